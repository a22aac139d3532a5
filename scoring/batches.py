"""Many candidates, a batch at a time: what a score sees of each is made just before it is looked at."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tqdm import tqdm

from scoring.candidate import Candidate


def in_batches(
    candidates: Sequence[Candidate],
    batch_size: int,
    see: Callable[[Candidate], Any],
    score_batch: Callable[[list[Any]], Iterable[float]],
    name: str,
) -> list[float]:
    """Return a score for each candidate; 0 for one of which there is nothing to see.

    see: what score_batch takes of a candidate, None where there is none. name: for the progress bar.
    """
    found = [0.0] * len(candidates)
    with tqdm(total=len(candidates), desc=name, unit=" drawing", leave=False, disable=None) as bar:
        for start in range(0, len(candidates), batch_size):
            numbers = range(start, min(start + batch_size, len(candidates)))
            seen = {i: view for i in numbers if (view := see(candidates[i])) is not None}
            if seen:
                for i, value in zip(seen, score_batch(list(seen.values())), strict=True):
                    found[i] = float(value)
            bar.update(len(numbers))
    return found
