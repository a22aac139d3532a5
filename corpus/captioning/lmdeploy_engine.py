"""Captions by LMDeploy, where it is installed: several times the speed of `transformers` on a GPU.

LMDeploy brings its own torch and needs CUDA, so it is no requirement of this project: `pip install lmdeploy` in an
environment of its own. It batches and minds its memory by itself. Written for LMDeploy 0.18.
"""

from importlib.util import find_spec
from typing import Any

from qwen_svg.common.errors import UserError, one_line


class LMDeployEngine:
    def __init__(
        self, model: str, batch_size: int, tp: int, session_len: int, temperature: float, max_new_tokens: int, seed: int
    ):
        """tp: GPUs that share each layer. session_len: tokens of one conversation, picture included."""
        if find_spec("lmdeploy") is None:
            raise UserError(
                "ENGINE is 'lmdeploy', which is not installed: `pip install lmdeploy` on a machine with a GPU, or "
                "`--engine transformers`."
            )
        from lmdeploy import GenerationConfig, TurbomindEngineConfig, pipeline

        # Where TurboMind does not know the model, LMDeploy takes its PyTorch engine with the same settings.
        config = TurbomindEngineConfig(tp=tp, session_len=session_len, max_batch_size=batch_size)
        try:
            self.pipeline = pipeline(model, backend_config=config)
        except (OSError, ValueError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {one_line(error, 200)}"
            raise UserError(f"MODEL {model} cannot be loaded by LMDeploy ({reason}).") from None
        self.settings = GenerationConfig(
            max_new_tokens=max_new_tokens, do_sample=bool(temperature), temperature=temperature or 1.0, random_seed=seed
        )

    def captions(self, pictures: list[Any], prompts: list[str]) -> list[tuple[str, str]]:
        """Return (text, "") or ("", why not) for each pair. pictures: PIL images, RGB."""
        replies = self.pipeline(list(zip(prompts, pictures, strict=True)), gen_config=self.settings)
        return [_answer(reply) for reply in replies]


def _answer(reply: Any) -> tuple[str, str]:
    if reply.finish_reason == "length":
        return "", "cut at MAX_NEW_TOKENS"
    if reply.finish_reason != "stop":  # "error" or "abort", with a code; older versions name no code
        return "", f"LMDeploy: {getattr(reply, 'error_code', None) or reply.finish_reason}"
    return reply.text, ""
