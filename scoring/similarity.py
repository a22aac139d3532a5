"""How like its reference does a drawing look? 1 = the same picture, 0 = no better than a canvas of one colour.

Reads   FILES, and REFERENCE or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.similarity drawing.svg --reference original.svg

The mean of three parts, each a skill: 1 - error / error of an empty canvas in the reference's own colour, and not
below 0. So background in common scores nothing, and neither does a square of the mean colour.
    structure   error = 1 - SSIM (Wang et al. 2004)
    colour      error = mean squared, at several scales: what is a little out of place is not all wrong
    edges       error = mean squared of the gradients' magnitudes, at several scales
So it is not the measure of corpus/vectorizing/similarity.py, a quick one for what is nearly the picture already.
Rodriguez et al. 2025 (RLRF, arXiv 2505.20793) reward SVGs by pixels and by edges too.
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and reference; the flag may be left out
REFERENCE: str = ""  # .svg that FILES are held against, where they bring none themselves

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import score_files
from scoring.pictures import pair

SIZE = 128  # pixels; SSIM of 256 costs four times as much and orders drawings alike
SCALES = (1, 4, 16)  # pixels to a side that are averaged before colours and edges are compared
# What the empty canvas misses by less than this is not there at all, and rounding must not decide.
FLAT = {"structure": 1e-2, "colour": 1e-4, "edges": 1e-4}


def score(candidates: Sequence[Candidate]) -> list[float]:
    """Return the similarity for each, in [0, 1]; 0 where a drawing or its reference does not render."""
    require(candidates, "reference")

    def compared(pairs: list) -> list[float]:
        return [compare(*both) for both in pairs]

    return in_batches(candidates, 1, lambda candidate: pair(candidate, SIZE), compared, "similarity")


def compare(drawing: Image.Image, reference: Image.Image) -> float:
    """Return the similarity of two pictures (RGB, S × S)."""
    drawn, wanted = (np.asarray(picture, np.float32) / 255 for picture in (drawing, reference))
    middle = np.broadcast_to(np.median(wanted, axis=(0, 1)), wanted.shape).astype(np.float32)  # mostly its background
    mean = np.broadcast_to(wanted.mean(axis=(0, 1)), wanted.shape)
    edges, outlines = _edges(drawn), _edges(wanted)
    skills = [_skill("structure", 1 - _ssim(drawn, wanted), 1 - _ssim(middle, wanted)) * len(SCALES)]
    for scale in SCALES:
        skills.append(_skill("colour", _error(drawn, wanted, scale), _error(mean, wanted, scale)))
        skills.append(_skill("edges", _error(edges, outlines, scale), _error(np.zeros_like(edges), outlines, scale)))
    return sum(skills) / (3 * len(SCALES))


def _skill(part: str, error: float, of_nothing: float) -> float:
    return min(1.0, max(0.0, 1 - error / max(of_nothing, FLAT[part])))


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    """With the paper's window, a Gaussian of 11 × 11 pixels, on each colour."""
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(a, b, channel_axis=2, data_range=1.0, **window))


def _error(a: np.ndarray, b: np.ndarray, scale: int) -> float:
    """Return the mean squared difference of pictures (S, S, 3) seen from afar."""
    side = len(a) // scale
    tiles = (a - b).reshape(side, scale, side, scale, 3).mean(axis=(1, 3))
    return float((tiles**2).mean())


def _edges(picture: np.ndarray) -> np.ndarray:
    """Return how much each colour changes from pixel to pixel, (S, S, 3); grey alone would miss red on green."""
    return np.hypot(np.diff(picture, axis=0, append=picture[-1:]), np.diff(picture, axis=1, append=picture[:, -1:]))


if __name__ == "__main__":
    run(partial(score_files, score), c)
