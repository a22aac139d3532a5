"""What both methods search with: the budget, the comparison with the picture, bisection and hill climbing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from corpus.vectorizing.similarity import similarity
from qwen_svg.svg.render import render_rgb

NEARLY = 0.001  # of similarity, which nobody sees and fewer bytes are worth
NOTHING = -1.0  # the similarity where no drawing fits
COMPARED = 256  # pixels, at which drawings are compared with the picture


@dataclass(frozen=True)
class Budget:
    max_bytes: int  # of the file, its newline included
    max_tokens: int = 0  # 0 = any number
    count: Callable[[str], int] | None = None  # tokens of a text

    def allows(self, svg: str) -> bool:
        if len(svg.encode("utf-8")) + 1 > self.max_bytes:
            return False
        return not self.max_tokens or self.count(svg) <= self.max_tokens


@dataclass(frozen=True)
class Candidate:
    """A drawing that was tried."""

    svg: str
    similarity: float  # to the picture, by corpus/vectorizing/similarity.py


class Comparator:
    """Compares drawings with one picture, uint8 (S, S, 3)."""

    def __init__(self, rgb: Any):
        kind = Image.Resampling.BOX if len(rgb) >= COMPARED else Image.Resampling.BICUBIC
        self.picture = np.asarray(Image.fromarray(rgb).resize((COMPARED, COMPARED), kind))

    def compare(self, svg: str) -> Candidate:
        return Candidate(svg, similarity(self.picture, render_rgb(svg, COMPARED)))


def bisect_detail(texts: list[Callable[[], str]], budget: Budget) -> str | None:
    """Return the first text that the budget allows, of texts that get shorter; by bisection, so that few are made."""
    low, high, best = 0, len(texts), None
    while low < high:
        middle = (low + high) // 2
        text = texts[middle]()
        if budget.allows(text):
            best, high = text, middle
        else:
            low = middle + 1
    return best


def hill_climb(steps: Sequence[Any], start: int, score: Callable[[Any], float]) -> float:
    """Return the best score met on the way from `start`: on as long as it rises, or else back.

    steps: from those that make long texts to those that make short ones; past what scores NOTHING it goes on.
    """
    first = best = score(steps[start])
    for way in (steps[start + 1 :], steps[:start][::-1]):
        for step in way:
            value = score(step)
            if value <= best > NOTHING:
                break
            best = value
        if best > first or best == NOTHING:
            break
    return best
