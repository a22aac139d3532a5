"""Does it render, and does it show anything? 1 for a picture of more than one colour, else 0.

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.render drawing.svg drawings.jsonl
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from prompt_template import extract_svg
from scoring.candidate import Candidate
from scoring.command import score_files

FILES: list[str] = []  # .svg files, and tables with a column svg_content; the flag may be left out

KEPT = 4096  # pictures, as PNG of a few kB: several scores look at the same drawings


def score(candidates: Sequence[Candidate]) -> list[float]:
    """Return 1.0 or 0.0 for each."""
    from qwen_svg.svg.render import is_blank

    return [float(not is_blank(png(candidate.svg))) for candidate in candidates]


@lru_cache(KEPT)
def png(svg: str | None, size: int = 256) -> bytes | None:
    """Return the drawing as PNG on white, fitted into size × size pixels; None where there is none."""
    from qwen_svg.svg.render import png_bytes

    try:
        return png_bytes(svg, size) if svg else None
    except ValueError:
        return None


def picture(svg: str | None, size: int = 256) -> Any:
    """Return the drawing, centred on white, as a PIL image (RGB, size × size); None where there is none."""
    from qwen_svg.svg.render import on_white

    found = png(svg, size)
    return on_white(found, size) if found else None


def pair(candidate: Candidate, size: int = 256) -> tuple[Any, Any] | None:
    """Return the drawing and its reference as `picture` does; None unless there are both."""
    both = picture(candidate.svg, size), picture(extract_svg(candidate.reference), size)
    return None if None in both else both


if __name__ == "__main__":
    score_files(__file__, score)
