"""Does the same thing drawn by another hand come back first?"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np


def recall(similarity: np.ndarray, labels: Sequence[str], sources: Sequence[str], at: Sequence[int] = (1, 10)) -> dict:
    """Return {k: recall@k} and {"queries": count}, as means over all ordered pairs of sources.

    similarity: (N, N), of N drawings to each other. For sources A, B every drawing of A whose label B has too asks
    among all drawings of B; it is answered when one with its label is among the first k.
    """
    labels, sources = np.asarray(labels), np.asarray(sources)
    found: dict[int, list[float]] = {k: [] for k in at}
    queries = 0
    for a, b in permutations(sorted(set(sources)), 2):
        gallery = np.flatnonzero(sources == b)
        asking = np.flatnonzero((sources == a) & np.isin(labels, labels[gallery]))
        if not len(asking):
            continue
        queries += len(asking)
        order = np.argsort(-similarity[np.ix_(asking, gallery)], axis=1, kind="stable")
        right = labels[gallery][order] == labels[asking][:, None]
        for k in at:
            found[k].append(right[:, :k].any(axis=1).mean())
    return {k: float(np.mean(values)) if values else 0.0 for k, values in found.items()} | {"queries": queries}
