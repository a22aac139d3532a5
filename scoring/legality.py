"""Is it legal? 1 without a violation of svg_constraint.py, else the share of elements and comments without one.

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.legality drawing.svg --dialect kaggle
"""

from collections.abc import Sequence

from scoring.candidate import Candidate
from scoring.command import score_files

FILES: list[str] = []  # .svg files, and tables with a column svg_content; the flag may be left out
DIALECT: str = "prompt"  # "prompt", "prompt+gradients" or "kaggle"


def score(candidates: Sequence[Candidate], dialect: str = DIALECT) -> list[float]:
    """Return the structural score for each, in [0, 1]; 0 without an SVG. Raises UserError for an unknown dialect."""
    from qwen_svg.common.errors import UserError
    from svg_constraint import DIALECTS, check

    if dialect not in DIALECTS:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS)}, not {dialect!r}.")
    return [check(candidate.svg, dialect).score if candidate.svg else 0.0 for candidate in candidates]


if __name__ == "__main__":
    score_files(__file__, score)
