"""The score of the public "Drawing with LLMs" competition: vqa and aesthetics in one, less where there is writing.

Reads   FILES, and DESCRIPTION or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.competition drawing.svg --description "a red fox in the snow"

    1.25 · vqa · aesthetics / (0.25 · vqa + aesthetics) · ocr

the weighted harmonic mean (F-measure) with β = 0.5, which counts what the drawing shows more than how it pleases. So
it is in the competition's public metric notebook (svg-image-fidelity, May 2025). Differences: the
questions are made here (scoring.vqa) and the writing is read by another model (scoring.ocr); the competition's crops,
filters and JPEG passes, its defence against pictures made to fool it, are left out. It also asks for legality in the
dialect "kaggle": an illegal drawing scores 0. Models are the constants of the three scores.
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
DESCRIPTION: str = ""  # of FILES that bring none themselves

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

from scoring import aesthetics, ocr, vqa
from scoring.candidate import Candidate
from scoring.command import score_files
from svg_constraint import check

BETA = 0.5  # below 1: vqa counts more


def score(candidates: Sequence[Candidate]) -> list[float]:
    """Return the score for each, in [0, 1]; 0 where a drawing is illegal or does not render."""
    parts = zip(candidates, vqa.score(candidates), aesthetics.score(candidates), ocr.score(candidates), strict=True)
    return [
        harmonic_mean(shows, pleases) * unwritten if candidate.svg and check(candidate.svg, "kaggle").valid else 0.0
        for candidate, shows, pleases, unwritten in parts
    ]


def harmonic_mean(a: float, b: float, beta: float = BETA) -> float:
    """Return the harmonic mean of a and b, in which b weighs beta² times as much as a; 0 where one of them is 0."""
    return (1 + beta**2) * a * b / (beta**2 * a + b) if a > 0 and b > 0 else 0.0


if __name__ == "__main__":
    run(partial(score_files, score), c)
