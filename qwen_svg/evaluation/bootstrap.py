"""Confidence intervals by the bootstrap (Efron 1979), and of differences on the same prompts."""

import numpy as np

RESAMPLES = 2000
SEED = 0  # the same card from the same drawings


def mean_interval(values: list[float]) -> tuple[float, float, float]:
    """Return (mean, low, high): the 95 % percentile interval over prompts drawn anew with replacement."""
    data = np.asarray(values, np.float64)
    means = data[_drawn(len(data))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(data.mean()), float(low), float(high)


def paired_difference(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return (mean of ours - theirs, low, high). Both have a value for each of the same prompts, in one order.

    That a prompt is hard for both does not widen the interval, as it would with two intervals side by side.
    """
    return mean_interval(list(np.subtract(ours, theirs)))


def _drawn(n: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))
