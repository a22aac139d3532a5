"""A picture as regions of few colours: K-means in OKLab, edge pixels given to the regions they lie between."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter
from skimage.measure import label as connected

ROUNDS = 12  # of K-means; the centres hardly move after that
FLAT = 10  # levels of 255 by which a pixel inside a surface may differ from its neighbours
GRAIN = 9 / 512  # of the side: that of the square whose median a pixel of a photo gets
LINE = 30**2  # the same for a line on its ground, squared
RARE = 1e-4  # share of the pixels below which a colour is an accident of some edge, but in photos
REACH = 7  # pixels, side of the square around an edge pixel in which it finds the surfaces it lies between


@dataclass(frozen=True)
class Regions:
    """Connected regions of one colour each."""

    ids: Any  # int32 (H, W): the region of each pixel, 0 to N-1
    colours: Any  # int32 (N,): index into the palette
    palette: Any  # uint8 (K, 3), sRGB


def surfaces(rgb: Any) -> Any:
    """Return a bool array (H, W): pixels that do not lie on an edge, and those of thin lines, which are all edge."""
    window = (3, 3, 1)
    flat = (maximum_filter(rgb, window) - minimum_filter(rgb, window)).max(axis=2) <= FLAT
    if flat.mean() <= 0.1:  # noise all over: nothing to tell apart
        return np.ones_like(flat)
    here = rgb.astype(np.int32)
    for axis in (0, 1):  # unlike both sides in the same way: on an edge it would lie between them
        before, after = (here - np.roll(here, shift, axis) for shift in (2, -2))
        flat |= (before * after).sum(axis=2) > LINE
    return flat


def calmed(rgb: Any) -> Any:
    """Return the picture without its grain, edges kept: of a photo's, each speck would be a region."""
    side = round(GRAIN * len(rgb)) | 1  # odd
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.MedianFilter(side)))


def colour_counts(lab: Any, rgb: Any, flat: Any) -> tuple[Any, Any]:
    """Return the colours of the surfaces in OKLab (M, 3), near ones as one, and how many pixels have each (M,)."""
    coarse = (rgb[flat] >> 2).astype(np.int64)
    keys = (coarse[:, 0] << 12) | (coarse[:, 1] << 6) | coarse[:, 2]
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(place, weights=lab[flat][:, i]) for i in range(3)]
    points = np.stack(sums, axis=1) / counts[:, None]
    often = counts >= RARE * counts.sum()
    if often.sum() < 2 or counts[often].sum() <= 0.9 * counts.sum():  # a dot on paper, or a photo
        return points, counts
    return points[often], counts[often]


def k_means(points: Any, weights: Any, k: int) -> Any:
    """Return up to k centres (K, 3). The same each time: a new centre starts where the most is far from the others."""
    chosen = [int(weights.argmax())]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < k and (distance * weights).max() > 1e-9:
        chosen.append(int((distance * weights).argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    centres = points[chosen]
    for _ in range(ROUNDS):
        nearest = _distances(points, centres).argmin(axis=1)
        total = np.bincount(nearest, weights=weights, minlength=len(centres))
        sums = [np.bincount(nearest, weights=weights * points[:, i], minlength=len(centres)) for i in range(3)]
        centres = np.where(total[:, None] > 0, np.stack(sums, axis=1) / np.maximum(total, 1)[:, None], centres)
    return centres


def _distances(points: Any, centres: Any) -> Any:
    return ((points[:, None] - centres[None]) ** 2).sum(axis=2)


def label(lab: Any, flat: Any, centres: Any) -> Any:
    """Return uint8 (H, W): the nearest centre; on edges, of those that a surface close by has.

    Else the pixels between black and white would be a grey line.
    """
    inside = _distances(lab[flat], centres).argmin(axis=1)
    labels = np.zeros(flat.shape, np.uint8)
    labels[flat] = inside
    edge = ~flat
    if not edge.any():
        return labels
    distances = _distances(lab[edge], centres)
    near = np.zeros(distances.shape, bool)
    for k in np.unique(inside):
        near[:, k] = maximum_filter(flat & (labels == k), REACH)[edge]
    near[~near.any(axis=1)] = True
    labels[edge] = np.where(near, distances, np.inf).argmin(axis=1)
    return labels


def regions(labels: Any, rgb: Any, flat: Any, smallest: float) -> Regions:
    """Return the connected regions; those of fewer than `smallest` pixels go to their neighbours."""
    ids = connected(labels, background=-1, connectivity=1) - 1
    sizes = np.bincount(ids.ravel())
    small = (sizes < min(smallest, sizes.max()))[ids]
    if small.any():
        nearest = distance_transform_edt(small, return_distances=False, return_indices=True)
        labels = labels[tuple(nearest)]
        ids = connected(labels, background=-1, connectivity=1) - 1
    labels = np.unique(labels, return_inverse=True)[1]
    first = np.unique(ids, return_index=True)[1]
    palette = [_colour(rgb, labels == k, flat) for k in range(int(labels.max()) + 1)]
    return Regions(ids.astype(np.int32), labels.ravel()[first].astype(np.int32), np.stack(palette))


def _colour(rgb: Any, here: Any, flat: Any) -> Any:
    """Return the median over the surfaces: the flat colour itself, and of paper with some light grey the paper's."""
    inside = here & flat
    return np.median(rgb[inside if inside.any() else here], axis=0).astype(np.uint8)
