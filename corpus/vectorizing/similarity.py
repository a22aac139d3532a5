"""How alike are two pictures? Structure and colour at three scales, in numpy alone.

For a search among drawings that are nearly the picture already. scoring/similarity.py, by which drawings of models are
scored, gives nothing for what an empty canvas has too; it takes four times as long for as many pixels, and in a search
that has to save bytes it finds nothing better.
"""

from typing import Any

import numpy as np

SCALES = 3  # full size, half, quarter: details, shapes, layout
WINDOW = 8  # pixels, side of the squares that are compared; half of one lies between two
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of SSIM (Wang et al., "Image quality assessment", 2004), equation 13


def similarity(a: Any, b: Any) -> float:
    """Return 1 for equal pictures, about 0 for unlike ones. a, b: uint8 arrays (H, W, 3), sides from 32 pixels.

    The mean of SSIM over windows, channels and scales, times 1 − the mean absolute difference: SSIM alone hardly sees
    the colour of a plain surface.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different sizes: {a.shape}, {b.shape}")
    a, b = a.astype(np.float32), b.astype(np.float32)
    distance = float(np.abs(a - b).mean()) / 255
    structure = 0.0
    for scale in range(SCALES):
        if scale:
            a, b = _halved(a), _halved(b)
        structure += _ssim(a, b) / SCALES
    return structure * (1 - distance)


def _ssim(a: Any, b: Any) -> float:
    mean_a, mean_b = _windows(a), _windows(b)
    variance_a, variance_b = _windows(a * a) - mean_a**2, _windows(b * b) - mean_b**2
    covariance = _windows(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return float((alike * (2 * covariance + C2) / (variance_a + variance_b + C2)).mean())


def _windows(x: Any) -> Any:
    """Means over squares of WINDOW pixels, one every half WINDOW."""
    half = WINDOW // 2
    h, w = x.shape[0] // half * half, x.shape[1] // half * half
    blocks = x[:h, :w].reshape(h // half, half, w // half, half, 3).mean(axis=(1, 3))
    rows = blocks[:-1] + blocks[1:]
    return (rows[:, :-1] + rows[:, 1:]) / 4


def _halved(x: Any) -> Any:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return x[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean(axis=(1, 3))
