"""Free decoding by vLLM, where it is installed: several times the speed of engine.py on a GPU, the same answers.

vLLM brings its own torch, so it is no requirement of this project: `pip install vllm` where a GPU is. It loads hub ids
and folders, not .gguf files, and knows nothing of closing an answer before its budget ends: constrained decoding stays
with qwen_svg/generation/engine.py. Written for vLLM 0.33.
"""

import gc
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch

from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.generation.engine import Answer, answer_from_tokens, rows_for

# What vLLM's kernels are built for; an adapter's rank is rounded up to one of them (its own default is 16).
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
MEMORY_SHARE = 0.5  # of the GPU, for weights and caches; the rest is for the model that measures cross-entropy


def can_run(constants: SimpleNamespace) -> bool:
    """Is vLLM installed, and can it load this run's base and adapter? It has no rows for tokens of an adapter's own.

    constants: of the run's training.
    """
    plain = not (constants.BASE_MODEL.endswith(".gguf") or constants.BASE_QUANTIZATION or constants.SVG_TOKENS)
    return plain and find_spec("vllm") is not None


def pick_engine(engine: Literal["auto", "transformers", "vllm"], constants: SimpleNamespace) -> str:
    """Return "vllm" or "transformers"; refuse vLLM where it is asked for and cannot run. constants: the run's."""
    if engine == "vllm" and not can_run(constants):
        raise UserError(
            f"ENGINE is 'vllm', but vLLM is not installed or cannot load {constants.BASE_MODEL} with this run's "
            "adapter: `pip install vllm` on a machine with a GPU, a hub id or folder as base, no new tokens, no "
            "4 bits; or `--engine transformers`."
        )
    return "vllm" if engine != "transformers" and can_run(constants) else "transformers"


class VLLMEngine:
    """A base in vLLM, answering with or without the adapter."""

    def __init__(self, base: str, adapter: Path, rank: int, dtype: Any, max_total: int, seed: int):
        """dtype: torch.float16 or torch.float32. max_total: tokens of prompt + answer."""
        from vllm import LLM

        if rank > RANKS[-1]:
            raise UserError(f"vLLM takes adapters up to rank {RANKS[-1]}, not {rank}; use `--engine transformers`.")
        self.adapter = adapter
        self.llm = LLM(
            model=base,
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=max_total,
            enable_lora=True,
            max_lora_rank=next(size for size in RANKS if size >= rank),
            gpu_memory_utilization=MEMORY_SHARE,
            seed=seed,
        )

    def generate_answers(
        self,
        tokenizer: Any,
        prompts: list[list[int]],
        max_total: int,
        max_new: int,
        temperature: float,
        seed: int,
        with_adapter: bool,
    ) -> list[Answer]:
        """Return one answer for each prompt (token ids), in the order given, ended as engine.py ends them."""
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest

        rows, stops = rows_for(prompts, max_total, max_new, temperature, seed), stop_tokens(tokenizer)
        settings = [
            SamplingParams(
                temperature=row.temperature, max_tokens=row.limit, stop_token_ids=stops, seed=row.sampler.initial_seed()
            )
            for row in rows
        ]
        start = time.perf_counter()
        outputs = self.llm.generate(
            [{"prompt_token_ids": row.prompt} for row in rows],
            settings,
            lora_request=LoRARequest("adapter", 1, str(self.adapter)) if with_adapter else None,
        )
        seconds = (time.perf_counter() - start) / len(rows)
        return [answer_from_tokens(tokenizer, output.outputs[0].token_ids, stops, seconds) for output in outputs]

    def close(self) -> None:
        """Give the GPU's memory back."""
        del self.llm
        gc.collect()
        torch.cuda.empty_cache()
