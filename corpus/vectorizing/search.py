"""The best drawing within a budget: colours, detail and grid are searched, and each is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.optimization.refusal import Refused

METHODS = ("layers", "vtracer", "both")
NEARLY = 0.001  # of similarity, which nobody sees and fewer bytes are worth
NOTHING = -1.0  # the similarity where no drawing fits
LOOK = 256  # pixels, at which drawings are compared with the picture


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
class Found:
    svg: str
    similarity: float  # to the picture, by corpus/vectorizing/similarity.py


class Eye:
    """Compares drawings with one picture."""

    def __init__(self, rgb: Any):
        import numpy as np
        from PIL import Image

        kind = Image.Resampling.BOX if len(rgb) >= LOOK else Image.Resampling.BICUBIC
        self.wanted = np.asarray(Image.fromarray(rgb).resize((LOOK, LOOK), kind))

    def look(self, svg: str) -> Found:
        from corpus.vectorizing.similarity import similarity
        from qwen_svg.svg.render import render_rgb

        return Found(svg, similarity(self.wanted, render_rgb(svg, LOOK)))


def vectorized(rgb: Any, budget: Budget, method: str = "layers") -> Found:
    """Return the drawing most like the picture, uint8 (S, S, 3), that the budget allows. Raises Refused.

    Of several that are nearly as good, the shortest.
    """
    from corpus.vectorizing.layered import by_layers
    from corpus.vectorizing.tracer import by_vtracer

    eye = Eye(rgb)
    found: list[Found] = []
    if method in ("layers", "both"):
        found += by_layers(rgb, budget, eye)
    if method in ("vtracer", "both"):
        found += by_vtracer(rgb, budget, eye)
    if not found:
        raise Refused("no drawing fits into the budget")
    best = max(one.similarity for one in found)
    return min((one for one in found if one.similarity >= best - NEARLY), key=lambda one: len(one.svg))


def finest(candidates: list[Callable[[], str]], budget: Budget) -> str | None:
    """Return the first text that the budget allows, of candidates that get shorter; by bisection."""
    low, high, best = 0, len(candidates), None
    while low < high:
        middle = (low + high) // 2
        text = candidates[middle]()
        if budget.allows(text):
            best, high = text, middle
        else:
            low = middle + 1
    return best


def climb(steps: Sequence[Any], start: int, score: Callable[[Any], float]) -> float:
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
