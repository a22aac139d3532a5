"""How like its reference does a drawing look? 1 = the same picture, 0 = no better than a canvas of one colour.

Reads   FILES, and REFERENCE or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.similarity drawing.svg --reference original.svg

The mean of three parts, each a skill: 1 - error / error of an empty canvas in the reference's own colour, and not
below 0. So background in common earns nothing, and neither does a square of the mean colour.
    structure   error = 1 - SSIM (Wang et al. 2004)
    colour      error = mean squared, at several scales: what is a little out of place is not all wrong
    edges       error = mean squared of the Sobel magnitudes, at several scales
Rodriguez et al. 2025 (RLRF, arXiv 2505.20793) reward SVGs by pixels and by edges too.
"""

from collections.abc import Sequence
from typing import Any

from scoring.candidate import Candidate, require
from scoring.command import score_files

FILES: list[str] = []  # .svg files, and tables with columns svg_content and reference; the flag may be left out
REFERENCE: str = ""  # .svg that FILES are held against, where they bring none themselves
BATCH_SIZE: int = 64  # drawings compared together

SIZE = 128  # pixels; SSIM of 256 costs six times as much and orders drawings alike
SCALES = (1, 4, 16)  # pixels to a side that are averaged before colours and edges are compared
# What the empty canvas misses by less than this is not there at all, and rounding must not decide.
FLAT = {"structure": 1e-2, "colour": 1e-4, "edges": 1e-4}


def score(candidates: Sequence[Candidate], batch_size: int = BATCH_SIZE) -> list[float]:
    """Return the similarity for each, in [0, 1]; 0 where a drawing or its reference does not render."""
    from scoring.batches import in_batches
    from scoring.render import pair

    require(candidates, "reference")

    def compared(pairs: list) -> list[float]:
        return compare(*(_tensor(side) for side in zip(*pairs, strict=True))).tolist()

    return in_batches(candidates, batch_size, lambda candidate: pair(candidate, SIZE), compared, "similarity")


def compare(drawings: Any, references: Any) -> Any:
    """Return the similarity (N,) of two batches of pictures, float (N, 3, S, S) in [0, 1]."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    def unlike(pictures: Any) -> Any:
        return 1 - structural_similarity_index_measure(pictures, references, data_range=1.0, reduction="none")

    middle = references.flatten(2).median(dim=2).values[..., None, None].expand_as(references)  # mostly its background
    mean = references.mean(dim=(2, 3), keepdim=True).expand_as(references)
    outlines, edges = _edges(references), _edges(drawings)
    none = torch.zeros_like(outlines)
    skills = [_skill("structure", unlike(drawings), unlike(middle)) * len(SCALES)]
    for scale in SCALES:
        skills.append(_skill("colour", _error(drawings, references, scale), _error(mean, references, scale)))
        skills.append(_skill("edges", _error(edges, outlines, scale), _error(none, outlines, scale)))
    return sum(skills) / (3 * len(SCALES))


def _skill(part: str, error: Any, of_nothing: Any) -> Any:
    return (1 - error / of_nothing.clamp(min=FLAT[part])).clamp(0, 1)


def _error(a: Any, b: Any, scale: int) -> Any:
    """Return the mean squared difference (N,) of pictures seen from afar."""
    import torch.nn.functional as F

    return (F.avg_pool2d(a, scale) - F.avg_pool2d(b, scale)).square().flatten(1).mean(dim=1)


def _edges(pictures: Any) -> Any:
    """Return the Sobel magnitude (N, 3, S, S) of each colour: grey alone would miss red on green."""
    import torch
    import torch.nn.functional as F

    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], device=pictures.device) / 4
    kernels = torch.stack([sobel, sobel.T])[:, None]
    padded = F.pad(pictures.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernels).norm(dim=1).view_as(pictures)


def _tensor(pictures: Sequence[Any]) -> Any:
    """Return float32 (N, 3, S, S) in [0, 1], on the GPU where there is one."""
    import numpy as np
    import torch

    from common.model import pick_device

    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).to(pick_device())
    return pixels.permute(0, 3, 1, 2).float() / 255


if __name__ == "__main__":
    score_files(__file__, score)
