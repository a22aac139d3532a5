"""Drawings as the scores see them: rendered once, centred on white."""

from functools import lru_cache

from PIL import Image

from prompt_template import extract_svg
from qwen_svg.svg.render import on_white, png_bytes
from scoring.candidate import Candidate

KEPT = 4096  # pictures, as PNG of a few kB: several scores look at the same drawings


@lru_cache(KEPT)
def png(svg: str | None, size: int = 256) -> bytes | None:
    """Return the drawing as PNG on white, fitted into size × size pixels; None where there is none."""
    try:
        return png_bytes(svg, size) if svg else None
    except ValueError:
        return None


def picture(svg: str | None, size: int = 256) -> Image.Image | None:
    """Return the drawing, centred on white, in RGB and size × size pixels; None where there is none."""
    found = png(svg, size)
    return on_white(found, size) if found else None


def pair(candidate: Candidate, size: int = 256) -> tuple[Image.Image, Image.Image] | None:
    """Return the drawing and its reference as `picture` does; None unless there are both."""
    both = picture(candidate.svg, size), picture(extract_svg(candidate.reference), size)
    return None if None in both else both
