"""CLIP's cosines of a picture with its text or its reference, and the features that a distance of sets is taken of."""

from typing import Literal

import torch
from torch.nn.functional import normalize

from scoring.hub_model import load_pretrained, picture_directions
from scoring.published.seen import Seen, batches


def clip_text(
    seen: Seen, *, model: str, scale: float = 1, text: Literal["plain", "list"] = "plain",
    long: Literal["end kept", "end cut"] = "end kept",
) -> list[float]:  # fmt: skip
    """Return scale × the cosine of each picture and its prompt; not cut at 0.

    text: "list", with the prompt as Python prints a list of it, brackets and quotes included (SVGen's script).
    long: what becomes of a text with more tokens than CLIP has positions; "end cut" loses its end token too, from which
    CLIP reads the text (torchmetrics' CLIPScore).
    """
    texts = [str([words]) if text == "list" else words for words in seen.texts]
    return [
        value
        for pictures, words in batches(seen.pictures, texts)
        for value in _cosines(picture_directions(model, pictures), _text_directions(model, words, long), scale)
    ]


def clip_image(seen: Seen, *, model: str, scale: float = 1) -> list[float]:
    """Return scale × the cosine of each picture and its reference; not cut at 0."""
    seen.require_references()
    return [
        value
        for pictures, references in batches(seen.pictures, seen.references)
        for value in _cosines(picture_directions(model, pictures), picture_directions(model, references), scale)
    ]


def _cosines(a: torch.Tensor, b: torch.Tensor, scale: float) -> list[float]:
    return (scale * (a * b).sum(dim=1)).tolist()


def _text_directions(model: str, texts: list[str], long: str) -> torch.Tensor:
    loaded, processor = load_pretrained("AutoModel", model)
    most, keep = loaded.config.text_config.max_position_embeddings, long == "end kept"
    inputs = processor.tokenizer(
        texts, padding=True, truncation=keep, max_length=most if keep else None, return_tensors="pt"
    )
    ids, mask = (inputs[name][:, :most].to(loaded.device) for name in ("input_ids", "attention_mask"))
    with torch.inference_mode():
        made = loaded.get_text_features(input_ids=ids, attention_mask=mask)
    return normalize(made.pooler_output.float(), dim=-1)
