"""The methods, and the best drawing that they find within a budget."""

from typing import Any

from corpus.optimization.refusal import Refused
from corpus.vectorizing.layered import by_layers
from corpus.vectorizing.search import NEARLY, Budget, Candidate, Comparator
from corpus.vectorizing.tracer import by_vtracer


def vectorized(rgb: Any, budget: Budget, method: str = "layers") -> Candidate:
    """Return the drawing most like the picture, uint8 (S, S, 3), that the budget allows. Raises Refused.

    Of several that are nearly as good, the shortest. method: "layers", "vtracer", or "both": the better of the two.
    """
    comparator = Comparator(rgb)
    candidates: list[Candidate] = []
    if method in ("layers", "both"):
        candidates += by_layers(rgb, budget, comparator)
    if method in ("vtracer", "both"):
        candidates += by_vtracer(rgb, budget, comparator)
    if not candidates:
        raise Refused("no drawing fits into the budget")
    best = max(one.similarity for one in candidates)
    return min((one for one in candidates if one.similarity >= best - NEARLY), key=lambda one: len(one.svg))
