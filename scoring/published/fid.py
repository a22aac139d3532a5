"""The Fréchet distance of two sets of pictures, as networks see them (Heusel et al. 2017, arXiv:1706.08500)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.references import on_white_rgb
from scoring.hub_model import picture_features
from scoring.published.inception import pytorch_fid_features, torchvision_features
from scoring.published.seen import Seen, batches


def fid(seen: Seen, *, network: Literal["pytorch-fid", "torchvision"], ridge: float = 0.0) -> float:
    """Return the distance of the drawings' set to the references'. network: whose Inception looks at them."""
    return _distance(seen, {"pytorch-fid": pytorch_fid_features, "torchvision": torchvision_features}[network](), ridge)


def fid_clip(seen: Seen, *, model: str) -> float:
    """Return the same of CLIP's features, with the length that it gives them."""
    return _distance(seen, lambda pictures: picture_features(model, pictures).cpu().numpy(), 0.0)


def _distance(seen: Seen, features: Callable[[list], np.ndarray], ridge: float) -> float:
    if not seen.pool:
        seen.require_references()
    wanted = seen.pool or seen.references
    if min(len(seen), len(wanted)) < 2:
        raise UserError(f"a distance of sets needs two pictures in each, and there are {len(seen)} and {len(wanted)}")
    return frechet_distance(_all(features, seen.pictures), _all(features, wanted), ridge)


def _all(features: Callable[[list], np.ndarray], pictures: Sequence[Any]) -> np.ndarray:
    opened = ([on_white_rgb(one) if isinstance(one, Path) else one for one in some] for (some,) in batches(pictures))
    return np.concatenate([features(some) for some in opened])


def frechet_distance(a: np.ndarray, b: np.ndarray, ridge: float = 0.0) -> float:
    """Return |μa - μb|² + Tr(Σa + Σb - 2 (Σa Σb)^½) of the Gaussians of features (N, D), unbiased covariances.

    ridge: added to the covariances' diagonals (OmniSVG's script: 1e-6). Tr (Σa Σb)^½ is the sum of the singular
    values of A Bᵀ, where Σa = AᵀA and Σb = BᵀB. It is real and exact for singular covariances too, of fewer pictures
    than features, where the published scripts take scipy's sqrtm of a product that has none.
    """
    (mean_a, root_a), (mean_b, root_b) = (_gaussian(side, ridge) for side in (a, b))
    covariances = (root_a**2).sum() + (root_b**2).sum()
    shared = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return float(((mean_a - mean_b) ** 2).sum() + covariances - 2 * shared)


def _gaussian(features: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean (D,), A (D, D) or smaller with AᵀA the covariance)."""
    data = np.asarray(features, np.float64)
    mean = data.mean(axis=0)
    rows = (data - mean) / np.sqrt(len(data) - 1)
    if ridge:
        rows = np.concatenate([rows, np.sqrt(ridge) * np.eye(data.shape[1])])
    return mean, np.linalg.qr(rows, mode="r")
