"""Is it legal? 1 without a violation of svg_constraint.py, else the share of elements and comments without one.

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.legality drawing.svg --dialect kaggle
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with a column svg_content; the flag may be left out
DIALECT: Literal["prompt", "prompt+gradients", "prompt+strokes", "kaggle"] = "prompt"  # of svg_constraint.py

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

from scoring.candidate import Candidate
from scoring.command import score_files
from svg_constraint import check


def score(candidates: Sequence[Candidate], dialect: str = DIALECT) -> list[float]:
    """Return the structural score for each, in [0, 1]; 0 without an SVG."""
    return [check(candidate.svg, dialect).score if candidate.svg else 0.0 for candidate in candidates]


if __name__ == "__main__":
    run(partial(score_files, score), c)
