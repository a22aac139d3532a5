"""Pictures changed anew each time they are seen: moved, scaled, blurred, and recoloured where words name no colour."""

import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate


def change(ink: torch.Tensor, recolour: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """Return changed pictures like `ink`, float (N, 3, S, S) with 0 on white. recolour: bool (N,), which may be."""
    ink = torch.where(recolour[:, None, None, None], _recoloured(ink, dice), ink)
    return _blurred(_moved(ink, dice), dice)


def decoys(ink: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """Return pictures that are nothing: half of them a rectangle, half a drawing whose quarters are shuffled.

    For a text to be told from, as many as there are in `ink`, float (N, 3, S, S).
    """
    half, side = len(ink) // 2, ink.shape[2]
    at = torch.arange(side)
    edges = (torch.rand(half, 2, 2, generator=dice) * side).sort(dim=2).values  # of each: x, y; from, to
    inside = (at >= edges[:, :, :1]) & (at < edges[:, :, 1:])
    plain = (inside[:, 0, None, :] & inside[:, 1, :, None])[:, None] * torch.rand(half, 3, 1, 1, generator=dice)
    left, right = ink[half:].chunk(2, dim=3)
    quarters = [*left.chunk(2, dim=2), *right.chunk(2, dim=2)]
    order = [(1, 2, 3, 0), (3, 2, 1, 0), (2, 3, 0, 1)][int(torch.randint(3, (), generator=dice))]
    a, b, c, d = (quarters[i] for i in order)
    return torch.cat([plain, torch.cat([torch.cat([a, b], dim=2), torch.cat([c, d], dim=2)], dim=3)])


def _recoloured(ink: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """The three channels change places and strengths: white stays white, and black becomes any dark colour."""
    n = len(ink)
    order = torch.rand(n, 3, generator=dice).argsort(dim=1)
    strength = 0.35 + 0.85 * torch.rand(n, 3, 1, 1, generator=dice)
    swapped = ink.gather(1, order[:, :, None, None].expand_as(ink))
    return (swapped * strength).clamp(0, 1)


def _moved(ink: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """Scaled to 75 to 120 %, turned by up to 10 degrees, moved by up to a tenth; never mirrored, arrows have a side."""
    n = len(ink)
    roll = torch.rand(n, 4, generator=dice)
    scale, turn = 1 / (0.75 + 0.45 * roll[:, 0]), 0.35 * (roll[:, 1] - 0.5)
    x, y = 0.4 * (roll[:, 2] - 0.5), 0.4 * (roll[:, 3] - 0.5)
    cosine, sine = scale * turn.cos(), scale * turn.sin()
    matrix = torch.stack([cosine, -sine, x, sine, cosine, y], dim=1).view(n, 2, 3)
    return grid_sample(ink, affine_grid(matrix, list(ink.shape), align_corners=False), align_corners=False)


def _blurred(ink: torch.Tensor, dice: torch.Generator) -> torch.Tensor:
    """Every fourth loses what is smaller than two pixels, as simplified outlines do."""
    some = torch.rand(len(ink), generator=dice) < 0.25
    if some.any():
        ink[some] = interpolate(avg_pool2d(ink[some], 2), scale_factor=2.0, mode="bilinear", align_corners=False)
    return ink
