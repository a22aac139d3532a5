"""What a score looks with: a pretrained model and its processor, from the hub or a local folder, loaded once."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image

from qwen_svg.common.errors import UserError, first_sentence
from qwen_svg.common.hub import hub_reachable
from qwen_svg.model.device import multiplies_bf16, pick_device

PICTURE = 384  # pixels; processors make it smaller, to what their models take


@lru_cache(4)
def load_pretrained(kind: str, model: str) -> tuple[Any, Any]:
    """Return (model in evaluation mode, on the GPU where there is one, and its processor).

    kind: a class of `transformers`, like "AutoModel". Raises UserError where the weights cannot be loaded, or belong to
    another kind of model: what is missing would be random, and so would the scores.
    """
    device = pick_device()
    half = torch.bfloat16 if device.type == "cuda" and multiplies_bf16() else torch.float16
    dtype = half if device.type == "cuda" else torch.float32
    local = Path(model).is_dir() or not hub_reachable()
    try:
        processor = transformers.AutoProcessor.from_pretrained(model, local_files_only=local)
        loaded, report = getattr(transformers, kind).from_pretrained(
            model, dtype=dtype, local_files_only=local, output_loading_info=True
        )
    except Exception as error:  # the hub, safetensors and each processor have their own
        raise unavailable(f"MODEL {model}", error, "`--model FOLDER`, in a list of scores NAME=FOLDER") from None
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"MODEL {model} holds no {missing[0]} ({len(missing)} missing weights); give another model.")
    return loaded.to(device).eval(), processor


class WeightsMissing(UserError):
    """The weights of a model cannot be had. reason: the sentence without its way out."""

    reason = ""


def unavailable(what: str, error: Exception, local: str) -> WeightsMissing:
    """what: the constant and its value. local: how to give a copy instead."""
    reason = f"{what} cannot be loaded ({type(error).__name__}: {first_sentence(error)})"
    missing = WeightsMissing(f"{reason}; connect to the hub, or give a local copy: {local}.")
    missing.reason = reason
    return missing


def picture_directions(model: str, pictures: list[Image.Image]) -> torch.Tensor:
    """Return what a vision or a vision-language model makes of pictures: float32 (N, D), of length 1."""
    return torch.nn.functional.normalize(picture_features(model, pictures), dim=-1)


def picture_features(model: str, pictures: list[Image.Image]) -> torch.Tensor:
    """Return the same with the length that the model gives it."""
    loaded, processor = load_pretrained("AutoModel", model)
    inputs = processor(images=pictures, return_tensors="pt").to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        return getattr(loaded, "get_image_features", loaded)(**inputs).pooler_output.float()
