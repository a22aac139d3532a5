"""Does it render, and does it show anything? 1 for a picture of more than one colour, else 0.

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.render drawing.svg drawings.jsonl
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with a column svg_content; the flag may be left out

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

from qwen_svg.svg.render import is_blank
from scoring.candidate import Candidate
from scoring.command import score_files
from scoring.pictures import png


def score(candidates: Sequence[Candidate]) -> list[float]:
    """Return 1.0 or 0.0 for each."""
    return [float(not is_blank(png(candidate.svg))) for candidate in candidates]


if __name__ == "__main__":
    run(partial(score_files, score), c)
