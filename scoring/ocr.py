"""Is there writing in the picture? 1 up to FREE characters, then less with each, as exp(FREE - characters).

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.ocr drawing.svg

A drawing that spells its description fools models that look at it, so the public "Drawing with LLMs" competition
multiplies its score by this; there PaliGemma reads, up to 32 tokens, and the spaces between words count; here RapidOCR,
whose models come with the package, and they do not: it returns lines, not one text.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from qwen_svg.common.constants import NonNegativeInt, start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with a column svg_content; the flag may be left out
FREE: NonNegativeInt = 4  # characters that cost nothing, as in the competition: circles are read as 0

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import numpy as np
from PIL import Image

from scoring.batches import in_batches
from scoring.candidate import Candidate
from scoring.command import score_files
from scoring.pictures import picture

SIZE = 384  # pixels, as in the competition


def score(candidates: Sequence[Candidate], free: int = FREE) -> list[float]:
    """Return the factor for each, in (0, 1]; 0 where a drawing does not render."""

    def factors(pictures: list[Image.Image]) -> list[float]:
        return [min(1.0, math.exp(free - len(read(picture)))) for picture in pictures]

    return in_batches(candidates, 1, lambda candidate: picture(candidate.svg, SIZE), factors, "ocr")


def read(picture: Image.Image) -> str:
    """Return the characters that are read in a picture, without those between words."""
    found = _reader()(np.asarray(picture)[:, :, ::-1])  # BGR, as OpenCV has it
    return "".join("".join(found.txts or ()).split())


@lru_cache(1)
def _reader() -> Any:
    from rapidocr import RapidOCR  # an optional package

    return RapidOCR(params={"Global.log_level": "error"})


if __name__ == "__main__":
    run(partial(score_files, score), c)
