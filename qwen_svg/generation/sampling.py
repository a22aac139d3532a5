"""The next token of every row from its scores: the likeliest, or one drawn by the row's own random numbers.

A row's numbers come from its own generator, so what it gets does not depend on its neighbours. On a CPU each row is
drawn by itself, with a number for each token of the vocabulary. From a GPU nothing so wide is brought to the host: a
row has a single number, and all are drawn there at once. So the tokens of a seed are others on a GPU.
"""

import math
from dataclasses import dataclass

import torch

from qwen_svg.generation.decoder import RowState

GREEDY_BELOW = 1e-3  # a temperature so low leaves nothing to chance but rounding


@dataclass(frozen=True)
class Chance:
    """What a row is drawn by on a GPU."""

    temperature: float
    number: float  # from 0 to 1, without 1


def chance_of(row: RowState) -> Chance | None:
    """Return the chance for a row's next token; None where it is left none."""
    if row.temperature < GREEDY_BELOW:
        return None
    return Chance(row.temperature, float(torch.rand((), generator=row.sampler)))


def next_tokens(
    scores: torch.Tensor, forbidden: torch.Tensor | None, chances: list[Chance | None]
) -> tuple[list[float], list[int]]:
    """Return the largest score of each row, NaN where any is, and its token: drawn where it has a chance, or the best.

    scores: fp32 (rows, V); becomes -inf where `forbidden`, bool (rows, V), is True. One wait for a GPU. The token means
    nothing where the largest score is not finite.
    """
    broken = scores.isnan().any(dim=-1)
    if forbidden is not None:
        scores.masked_fill_(forbidden.to(scores.device, non_blocking=True), -torch.inf)
    largest, tokens = scores.max(dim=-1)
    if any(chances):
        tokens = _drawn(scores - largest.unsqueeze(-1), chances, tokens)
    facts = torch.stack([largest.double().masked_fill(broken, math.nan), tokens.double()])  # fp64 holds both exactly
    values, ids = facts.tolist()
    return values, [int(token) for token in ids]


def sample(scores: torch.Tensor, temperature: float, sampler: torch.Generator) -> int:
    """Draw a row on a CPU. scores: (V,), the largest 0, so that no temperature makes them overflow; -inf = not allowed.

    Part of what a seed means: another way of drawing would give other tokens.
    """
    return int(torch.multinomial(torch.softmax(_heated(scores, temperature), dim=-1), 1, generator=sampler))


def _drawn(scores: torch.Tensor, chances: list[Chance | None], best: torch.Tensor) -> torch.Tensor:
    """Return a token for each row, that of `best` where there is no chance: int64 (rows,). scores: see `sample`.

    The first token with which the sum of the probabilities exceeds the row's number. In fp64: sums over a vocabulary in
    fp32 are coarser than the number.
    """
    facts = [(c.temperature, c.number, 1.0) if c else (1.0, 0.0, 0.0) for c in chances]
    on_device = torch.tensor(facts, dtype=torch.float64).to(scores.device, non_blocking=True)
    temperatures, numbers, drawn = on_device.unsqueeze(-1).unbind(dim=1)
    sums = torch.softmax(_heated(scores, temperatures.float()), dim=-1, dtype=torch.float64).cumsum(dim=-1)
    tokens = torch.searchsorted(sums, numbers * sums[:, -1:], right=True)  # right: none of probability 0
    tokens = tokens.squeeze(-1).clamp_(max=scores.shape[1] - 1)  # beyond it only where there is no finite score
    return torch.where(drawn.squeeze(-1) > 0, tokens, best)


def _heated(scores: torch.Tensor, temperature: float | torch.Tensor) -> torch.Tensor:
    return (scores / temperature).masked_fill(scores == -torch.inf, -torch.inf)  # -inf / inf is no number
