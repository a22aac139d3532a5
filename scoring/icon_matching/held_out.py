"""How well a copy knows concepts it never saw, beside two ways that learn nothing; and what its cosines are worth."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import dctn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from scoring.icon_matching.drawings import Drawing
from scoring.icon_matching.matcher import Matcher, as_ink
from scoring.icon_matching.training import Samples

TOGETHER = 256  # pictures


def one_of_each(drawings: Sequence[Drawing]) -> list[int]:
    """Return the number of the first drawing of each concept."""
    first: dict[str, int] = {}
    for i, drawing in enumerate(drawings):
        first.setdefault(drawing.group, i)
    return list(first.values())


def directions_of(matcher: Matcher, pixels: np.ndarray) -> torch.Tensor:
    """pixels: uint8 (N, 64, 64, 3). Returns float32 (N, SHARED), of length 1."""
    with torch.inference_mode():
        parts = [matcher.pictures(as_ink(torch.from_numpy(part))) for part in _parts(pixels)]
    return torch.cat(parts)


def names_of(samples: Samples) -> torch.Tensor:
    """Return the directions of the drawings' names: float32 (N, WIDTH), of length 1."""
    known = {text: row for row, text in enumerate(samples.texts)}
    rows = [known[drawing.name] for drawing in samples.drawings]
    return normalize(torch.from_numpy(samples.vectors[rows]).float(), dim=1)


def recall(likeness: torch.Tensor) -> dict[str, float]:
    """likeness: (N, N) of pictures × words. Returns the shares whose own words come first, and among the first ten.

    Words as good as the own ones stand before them.
    """
    own = likeness.diagonal()[:, None]
    rank = (likeness >= own).sum(dim=1)  # 1 where no others are
    return {"recall@1": (rank <= 1).float().mean().item(), "recall@10": (rank <= 10).float().mean().item()}


def recall_of(matcher: Matcher, held_out: Samples) -> dict[str, float]:
    """held_out: a drawing of each concept."""
    with torch.inference_mode():
        return recall(directions_of(matcher, held_out.pixels) @ matcher.words(names_of(held_out)).T)


def recall_by_neighbour(held_out: Samples, trained: Samples, of: str) -> dict[str, float]:
    """Return what the words of the nearest training drawing would have found.

    of: "thumbnail", 16 × 16 pixels of colour and their squared differences, or "hash", 64 bits that say which of a
    grey thumbnail's low frequencies are above their median (pHash; Zauner 2010), and how many differ.
    """
    see = thumbnails if of == "thumbnail" else hashes
    known, asked = see(trained.pixels), see(held_out.pixels)
    nearest = torch.cat([torch.cdist(part, known).argmin(dim=1) for part in asked.split(TOGETHER)])
    return recall(names_of(trained)[nearest] @ names_of(held_out).T)


def thumbnails(pixels: np.ndarray) -> torch.Tensor:
    """Return float32 (N, 768) of uint8 (N, 64, 64, 3)."""
    small = [as_ink(torch.from_numpy(part)) for part in _parts(pixels)]
    return torch.cat([torch.nn.functional.avg_pool2d(part, 4).flatten(1) for part in small])


def hashes(pixels: np.ndarray) -> torch.Tensor:
    """Return float32 (N, 64) of zeros and ones of uint8 (N, 64, 64, 3)."""
    found = []
    for part in _parts(pixels):
        grey = part.mean(axis=3).reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4))
        low = dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(len(part), 64)
        found.append(low > np.median(low, axis=1, keepdims=True))
    return torch.from_numpy(np.concatenate(found)).float()


def calibrate(matcher: Matcher, held_out: Samples, seed: int) -> dict[str, float]:
    """Set the copy's calibration by logistic regression, and return what it says of pairs it was not fitted on.

    held_out: all drawings of the concepts held out; those of every other concept are fitted on. Each drawing is held
    against one of its wordings and against one of another concept. Returns the share on the right side of one half.
    """
    dice = np.random.default_rng(seed)
    n = len(held_out.drawings)
    groups = np.array([drawing.group for drawing in held_out.drawings])
    own = [row[dice.integers(len(row))] for row in held_out.rows]
    other = np.array([dice.choice(np.flatnonzero(groups != group)) for group in groups])
    fitted = np.isin(groups, sorted(set(groups))[::2])
    with torch.inference_mode():
        pictures = directions_of(matcher, held_out.pixels)
        words = matcher.words(torch.from_numpy(held_out.vectors[own]).float())
        cosines = torch.stack([(pictures * words).sum(dim=1), (pictures * words[other]).sum(dim=1)])
    cosines = cosines.clone()
    right = torch.tensor([[1.0], [0.0]]).expand(2, n)
    slope_and_bias = torch.tensor([10.0, -3.0], requires_grad=True)
    solver = torch.optim.LBFGS([slope_and_bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        logits = slope_and_bias[0] * cosines[:, fitted] + slope_and_bias[1]
        value = binary_cross_entropy_with_logits(logits, right[:, fitted])
        value.backward()
        return value

    solver.step(loss)
    matcher.calibration.copy_(slope_and_bias.detach())
    said = matcher.probability(cosines[:, ~fitted])
    return {
        "right side": ((said > 0.5) == (right[:, ~fitted] > 0.5)).float().mean().item(),
        "own words": said[0].mean().item(),
        "other words": said[1].mean().item(),
    }


def _parts(pixels: np.ndarray) -> list[np.ndarray]:
    return [pixels[start : start + TOGETHER] for start in range(0, len(pixels), TOGETHER)]
