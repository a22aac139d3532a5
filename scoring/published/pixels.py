"""A picture beside its reference, pixel by pixel or nearly so."""

from functools import cache
from typing import Any

import numpy as np
import torch

from corpus.optimization import compare
from qwen_svg.svg.render import is_one_colour
from scoring.published.inception import as_tensor, normalized, package, require_download
from scoring.published.seen import Seen, batches


def mse(seen: Seen) -> list[float]:
    """Return the mean squared error for each, of values in [0, 1]: StarVector's L2."""
    return [float(((a - b) ** 2).mean()) for a, b in _pairs(seen, np.float64)]


def ssim(seen: Seen) -> list[float]:
    """Return SSIM for each with a flat window of 11 × 11.

    StarVector and InternSVG hand σ = 1.5 to scikit-image and not `gaussian_weights`, so it is not looked at.
    """
    from skimage.metrics import structural_similarity

    seen.require_references()
    pairs = zip(seen.pictures, seen.references, strict=True)
    both = ((np.asarray(a), np.asarray(b.resize(a.size))) for a, b in pairs)
    return [float(structural_similarity(a, b, win_size=11, channel_axis=-1)) for a, b in both]


def same_picture(seen: Seen) -> list[float]:
    """Return for each 1 where it is the reference's picture within the bound of corpus.optimize, else 0.

    What is blank is 0 also beside a blank reference, as where an edit moves all off the canvas: it shows no skill.
    """
    seen.require_references()
    pairs = zip(seen.pictures, seen.references, strict=True)
    return [
        float(not is_one_colour(a) and compare.same_picture(np.asarray(a), np.asarray(b.resize(a.size))))
        for a, b in pairs
    ]


def lpips(seen: Seen) -> list[float]:
    """Return LPIPS (VGG) for each, of pictures that are normalised as for ImageNet.

    So do StarVector and InternSVG; the network itself asks for values in [-1, 1], and normalises them once more.
    """
    network = _lpips_network()
    seen.require_references()
    found = []
    for pictures, references in batches(seen.pictures, seen.references):
        references = [b.resize(a.size) for a, b in zip(pictures, references, strict=True)]
        with torch.inference_mode():
            made = network(*(normalized(as_tensor(side)) for side in (references, pictures)))
        found += made.flatten().tolist()
    return found


@cache
def _lpips_network() -> Any:
    require_download(package("torchvision.models").VGG16_Weights.IMAGENET1K_V1.url)
    return package("lpips").LPIPS(net="vgg", verbose=False).eval()


def _pairs(seen: Seen, dtype: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    seen.require_references()
    both = ((a, b.resize(a.size)) for a, b in zip(seen.pictures, seen.references, strict=True))
    return [tuple(np.asarray(side, dtype) / 255 for side in pair) for pair in both]
