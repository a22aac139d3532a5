"""Captions from any image-text-to-text model of `transformers`, on the GPU where there is one."""

from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from transformers import AutoModelForImageTextToText, AutoProcessor, set_seed

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.hub import hub_reachable
from qwen_svg.model.device import multiplies_bf16, pick_device


class TransformersEngine:
    """A vision-language model in this process. batch_size: halved for good each time the memory does not suffice."""

    def __init__(self, model: str, batch_size: int, temperature: float, max_new_tokens: int, seed: int):
        """temperature: 0 = greedy. Raises UserError when the model cannot be loaded."""
        device = pick_device()
        half = torch.bfloat16 if device.type == "cuda" and multiplies_bf16() else torch.float16
        dtype = half if device.type == "cuda" else torch.float32
        local = Path(model).is_dir() or not hub_reachable()
        try:
            self.processor = AutoProcessor.from_pretrained(model, local_files_only=local)
            loaded = AutoModelForImageTextToText.from_pretrained(model, dtype=dtype, local_files_only=local)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise UserError(_cannot_load(model, error)) from None
        self.model = loaded.to(device).eval()
        if not getattr(self.processor, "chat_template", None):
            raise UserError(f"MODEL {model} has no chat template, so it cannot be asked; take one that has.")
        self.processor.tokenizer.padding_side = "left"
        self.batch_size = batch_size
        self.sampling = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        self.max_new_tokens = max_new_tokens
        set_seed(seed)

    def captions(self, pictures: list[Any], prompts: list[str]) -> list[tuple[str, str]]:
        """Return (text, "") or ("", why not) for each pair. pictures: PIL images, RGB."""
        answers: list[tuple[str, str]] = []
        while len(answers) < len(pictures):
            part = slice(len(answers), len(answers) + self.batch_size)
            answered = self._within_memory(pictures[part], prompts[part])
            if answered is None:
                self._take_less()
            else:
                answers += answered
        return answers

    def _within_memory(self, pictures: list[Any], prompts: list[str]) -> list[tuple[str, str]] | None:
        try:
            return self._generate(pictures, prompts)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error):
                return None  # the exception, and the tensors its frames hold, are gone with this
            raise

    def _take_less(self) -> None:
        if self.batch_size == 1:
            raise UserError(
                "not even one picture fits into memory; take a smaller MODEL, a smaller RESOLUTION or a larger GPU, "
                "and run the same command again, which goes on where this one stopped."
            )
        self.batch_size //= 2
        clear_device_cache(garbage_collection=True)

    def _generate(self, pictures: list[Any], prompts: list[str]) -> list[tuple[str, str]]:
        conversations = [
            [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": prompt}]}]
            for picture, prompt in zip(pictures, prompts, strict=True)
        ]
        inputs = self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self.model.device, self.model.dtype)
        with torch.inference_mode():
            tokens = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, **self.sampling)
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(answers, skip_special_tokens=True)
        ends = torch.tensor(self._end_tokens(), device=answers.device)
        ended = torch.isin(answers, ends).any(dim=1).tolist()
        return [(text, "") if end else ("", "cut at MAX_NEW_TOKENS") for text, end in zip(texts, ended, strict=True)]

    def _end_tokens(self) -> list[int]:
        ends = self.model.generation_config.eos_token_id
        if ends is None:
            ends = self.processor.tokenizer.eos_token_id
        return ends if isinstance(ends, list) else [ends]


def _cannot_load(model: str, error: Exception) -> str:
    reason = one_line(error, 1000)
    if "torchvision" in reason:
        return f"MODEL {model} needs torchvision to read pictures; run `pip install torchvision`."
    if "trust_remote_code" in reason or "internvl_chat" in reason:
        return (
            f"MODEL {model} comes with Python of its own, which is not run; take its native checkpoint, like "
            "OpenGVLab/InternVL3-2B-hf in place of OpenGVLab/InternVL3-2B."
        )
    return (
        f"MODEL {model} cannot be loaded ({type(error).__name__}: {reason[:200]}); connect to the hub, or give the "
        "folder of an image-text-to-text model."
    )
