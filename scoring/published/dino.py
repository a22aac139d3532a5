"""DINOv2's likeness of a picture and its reference, as StarVector, OmniSVG and InternSVG compute it."""

from scoring.dino import likeness
from scoring.published.seen import Seen, batches


def dino(seen: Seen, *, model: str) -> list[float]:
    """Return (1 + cosine) / 2 of the means over all tokens, the class token's among them."""
    seen.require_references()
    return [value for both in batches(seen.pictures, seen.references) for value in likeness(model, *both)]
