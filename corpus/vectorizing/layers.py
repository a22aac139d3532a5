"""Regions as layers, large ones first: outlines between pixels, holes filled, reaching below what is drawn later."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from contourpy import contour_generator
from scipy.ndimage import binary_dilation, binary_fill_holes, find_objects

from corpus.vectorizing.segments import Regions
from svg_constraint import CANVAS

MARGIN = 4  # pixels around a region's box
LAP = 3  # pixels by which a layer reaches below its later neighbours, so that no seam shows
SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclass(frozen=True)
class Layer:
    colour: str  # #rrggbb
    outlines: list[Any]  # closed, float arrays (n, 2) of canvas units, without the first point again; holes turn back
    below: frozenset[int]  # earlier layers that this one lies on


def layers(regions: Regions, rgb: Any) -> list[Layer]:
    """Return what is to be drawn on white, in an order in which it can be."""
    ids, size = regions.ids, regions.ids.shape[0]
    boxes = find_objects(ids + 1)
    filled = [binary_fill_holes(ids[box] == i) for i, box in enumerate(boxes)]
    order = sorted(range(len(boxes)), key=lambda i: -int(filled[i].sum()))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    ranks = np.pad(rank[ids], MARGIN, mode="edge")  # regions go on beyond the edge of the canvas
    colours = regions.colours[order]
    shares = [np.pad(share, MARGIN, mode="edge") for share in _shares(regions, rgb)]
    below: list[set[int]] = [set() for _ in order]
    found = []
    for i, region in enumerate(order):
        rows, columns = boxes[region] if i else (slice(0, size), slice(0, size))
        window = (slice(rows.start, rows.stop + 2 * MARGIN), slice(columns.start, columns.stop + 2 * MARGIN))
        field = _field(ranks[window], i, [share[window] for share in shares], np.pad(filled[region], MARGIN))
        for later in np.unique(ranks[window][(field > 0) & (ranks[window] > i)]):
            below[later].add(i)
        corner = np.array([columns.start - MARGIN + 0.5, rows.start - MARGIN + 0.5])
        outlines = [(line + corner) * (CANVAS / size) for line in _outlines(field)]
        outlines = [np.clip(line, 0, CANVAS)[:-1] for line in outlines if len(line) > 4]
        colour = "#" + bytes(regions.palette[colours[i]]).hex()
        found.append(Layer(colour, outlines, frozenset(below[i])))
    if found and found[0].colour == "#ffffff":  # the paper
        found[0] = Layer("#ffffff", [], frozenset())
    return found


def _shares(regions: Regions, rgb: Any) -> list[Any]:
    """For each side, the share of its own colour that a pixel has, the rest being its neighbour's: 1 where both agree.

    On the edge of a region that is how much of the pixel the region covers.
    """
    colours = regions.colours[regions.ids]
    shares = []
    for side in SIDES:
        share = np.ones(colours.shape, np.float32)
        neighbour = _shifted(colours, side)
        y, x = np.nonzero(_shifted(regions.ids, side) != regions.ids)
        own, other = (regions.palette[c[y, x]].astype(np.float32) for c in (colours, neighbour))
        span = own - other
        length = np.maximum((span * span).sum(axis=1), 1)
        share[y, x] = np.clip(((rgb[y, x] - other) * span).sum(axis=1) / length, 0, 1)
        shares.append(share)
    return shares


def _shifted(a: Any, side: tuple[int, int]) -> Any:
    """Return what each pixel has on that side; beyond the edge, itself."""
    padded = np.pad(a, 1, mode="edge")
    y, x = side
    return padded[1 + y : 1 + y + a.shape[0], 1 + x : 1 + x + a.shape[1]]


def _field(ranks: Any, own: int, shares: list[Any], filled: Any) -> Any:
    """Return how much of each pixel a layer covers, 0 to 1, with what it covers below others."""
    if own == 0:  # all else is drawn on it
        return np.ones(ranks.shape, np.float32)
    inside, earlier = ranks == own, ranks < own
    lap = binary_dilation(inside, iterations=LAP) & (ranks > own) & ~binary_dilation(earlier, iterations=LAP - 1)
    field = (inside | lap | filled).astype(np.float32)
    for side, share in zip(SIDES, shares, strict=True):
        edge = inside & _shifted(earlier, side)
        field[edge] = np.minimum(field[edge], np.maximum(share[edge], 0.51))
        edge = earlier & _shifted(inside, side)
        field[edge] = np.maximum(field[edge], np.minimum(1 - share[edge], 0.49))
    return field


def _outlines(field: Any) -> list[Any]:
    """Return where a layer ends, in pixels.

    A straight edge that leaves a share a of a pixel covered lies a - 1/2 beyond its middle. Contours are drawn by
    interpolation between the middles of pixels; it finds that place when a is first bent as below.
    """
    bent = np.where(field >= 0.5, 0.5 / (1.5 - field), field / (0.5 + field))
    return [line - 1 for line in contour_generator(z=np.pad(bent, 1)).lines(0.5)]
