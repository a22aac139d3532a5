"""What a record holds: the answer, whether an edit is to be seen, a repair."""

from random import Random

from corpus.editing.breaking import broken
from corpus.editing.wording import REPAIR
from qwen_svg.svg.render import picture_difference, render_rgb

SIDE = 96  # pixels of the pictures in which an edit must be seen
LEAST_SEEN = 0.1  # by which the worst tile of 16 × 16 differs
PATIENCE = 60.0  # seconds for a picture, on a machine however busy: the drawings are our own


def answer(reason: str, svg: str) -> str:
    return f"<reasoning>\n{reason}\n</reasoning>\n{svg}"


def differs(before: str, after: str) -> bool:
    """Is the change to be seen?"""
    pictures = (render_rgb(svg, SIDE, PATIENCE) for svg in (before, after))
    return picture_difference(*pictures, tile=SIDE // 16)[1] >= LEAST_SEEN


def repair(draw: Random, svg: str) -> dict | None:
    """Return the record of a repair of a legal drawing; None where the faults chosen do not fit it."""
    found = broken(draw, svg)
    if found is None:
        return None
    text, target, reason, faults = found
    return {
        "description": draw.choice(REPAIR),
        "task": "repair",
        "svg": text,
        "svg_content": answer(reason, target),
        "faults": faults,
    }
