"""DINOv2's likeness of a picture and its reference, as StarVector, OmniSVG and InternSVG compute it."""

import torch

from scoring.hub_model import load_pretrained
from scoring.published.seen import Seen, batches


def dino(seen: Seen, *, model: str) -> list[float]:
    """Return (cosine + 1) / 2 of the means over all tokens, the class token among them: .5 where nothing is alike."""
    seen.require_references()
    return [
        value
        for pictures, references in batches(seen.pictures, seen.references)
        for value in _likeness(_means(model, pictures), _means(model, references))
    ]


def _means(model: str, pictures: list) -> torch.Tensor:
    """Return float32 (N, D)."""
    loaded, processor = load_pretrained("AutoModel", model)
    inputs = processor(images=pictures, return_tensors="pt").to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        return loaded(**inputs).last_hidden_state.float().mean(dim=1)


def _likeness(a: torch.Tensor, b: torch.Tensor) -> list[float]:
    return ((torch.nn.functional.cosine_similarity(a, b) + 1) / 2).tolist()
