"""The things in a drawing: its shapes, put together so that what comes out looks like things.

Shapes that touch form a heap. Of a heap, runs of shapes that follow each other in painting order may be a thing; the
cut into runs is taken whose runs, weighted by what is to be seen of them, are most like things, each thing at a cost.
What reaches over the whole width of the canvas is ground, or what all is drawn on. Neither groups nor the number of
shapes of a thing are looked at, so that an answer may split or merge them.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwen_svg.common.union_find import UnionFind
from scoring.scene.drawing import CELL, UNIT, Drawing
from scoring.scene.families import families, likeness, look_at

LEAST_LIKE = 0.5  # of a thing to the family that it is most like
LEAST_SEEN = 0.5  # of a thing, the share that nothing hides
PER_THING = 0.08  # what one more thing costs, of a heap that is worth 1 when it is exactly like things
STRICT = 3.0  # how much less a run is worth than it is less alike
WANTED = 0.05  # what a run is worth more that is most like a thing that is asked for
MISSED = 0.3  # the same, where it has not been found
LONGEST = 12  # shapes of a thing
WIDE = 0.97  # share of the width, from which something is ground
SPECK = 4  # pixels; less than that is nothing


@dataclass(frozen=True)
class Thing:
    """Bounds are in canvas units, also of parts that are hidden. likeness: to each family; own_colour: RGB for each."""

    left: float
    top: float
    right: float
    bottom: float
    covers: Any  # bool (CELL, CELL), also where it is hidden
    seen: Any  # bool (CELL, CELL)
    likeness: Any
    own_colour: Any

    @property
    def name(self) -> str:
        return families().names[int(self.likeness.argmax())]

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def size(self) -> float:
        return max(self.right - self.left, self.bottom - self.top)

    def colour_as(self, name: str) -> Any:
        """Return its colour, RGB in [0, 1], looked at as a thing of this name."""
        as_named = [i for i, known in enumerate(families().names) if known == name]
        return self.own_colour[max(as_named, key=lambda i: self.likeness[i])]


@dataclass(frozen=True)
class Content:
    things: list[Thing]
    wide: list[int]  # shapes over the whole width, in painting order
    drawing: Drawing


def content_of(drawing: Drawing, wanted: Container[str] = ()) -> Content:
    """Return what is in a drawing. wanted: names of things that are asked for; they decide where a heap is cut."""
    paint, covers, shape_of = _pieces(drawing)
    wide = [i for i, covered in enumerate(drawing.covers) if covered.any(axis=0).mean() >= WIDE]
    seen = covers & (drawing.on_top == np.array(shape_of, int).reshape(-1, 1, 1))
    heaps = [_Heap(paint[heap], covers[heap], seen[heap]) for heap in _heaps(covers)]
    cuts = [heap.cut(wanted) for heap in heaps]
    missing = {*wanted} - {thing.name for things in cuts for thing in things}
    if missing:  # a small thing before a large one, or one that is itself made of things that are asked for
        for i, heap in enumerate(heaps):
            other = heap.cut(missing, MISSED)
            lost = {thing.name for thing in cuts[i]} & {*wanted} - {thing.name for thing in other}
            lost -= {thing.name for j, things in enumerate(cuts) if j != i for thing in things}
            if not lost and missing & {thing.name for thing in other}:
                cuts[i] = other
    return Content([thing for things in cuts for thing in things], wide, drawing)


def _pieces(drawing: Drawing) -> tuple[Any, Any, list[int]]:
    """Return what is not wide, shapes of several separate parts taken apart: paint, what it covers, of which shape."""
    paint, covers, shape_of = [], [], []
    for shape, (layer, covered) in enumerate(zip(drawing.paint, drawing.covers, strict=True)):
        if covered.sum() < SPECK or covered.any(axis=0).mean() >= WIDE:
            continue
        parts = separate(covered)
        for part in parts if 1 < len(parts) <= 6 else [covered]:
            piece = layer.copy() if len(parts) == 1 else layer * _grown(part)[..., None]
            paint.append(piece)
            covers.append(part)
            shape_of.append(shape)
    if not paint:
        return np.zeros((0, CELL, CELL, 4), np.float32), np.zeros((0, CELL, CELL), bool), []
    return np.stack(paint), np.stack(covers), shape_of


def separate(covered: Any) -> list[Any]:
    """Return the parts of a mask that do not touch, also not at corners; specks left out."""
    joined = UnionFind()
    runs: list[list[tuple[int, int]]] = [[] for _ in covered]  # of covered pixels: begin and end, row by row
    rows, edges = np.nonzero(np.diff(np.pad(covered, ((0, 0), (1, 1))), axis=1))
    for y, start, end in zip(rows[::2].tolist(), edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        joined.join((y, start), (y, start))
        for before, after in runs[y - 1] if y else []:
            if before <= end and start <= after:
                joined.join((y - 1, before), (y, start))
        runs[y].append((start, end))
    parts: dict[object, Any] = {}
    for y, here in enumerate(runs):
        for start, end in here:
            part = parts.setdefault(joined.find((y, start)), np.zeros_like(covered))
            part[y, start:end] = True
    found = [part for part in parts.values() if part.sum() >= SPECK]
    return found or [covered]


def _grown(mask: Any) -> Any:
    """Return the mask and the pixels beside it."""
    wide = np.pad(mask, 1)
    return sum(wide[1 + dy : 1 + dy + CELL, 1 + dx : 1 + dx + CELL] for dy in (-1, 0, 1) for dx in (-1, 0, 1)) > 0


def _heaps(covers: Any) -> list[list[int]]:
    """Return the pieces that touch, heap by heap."""
    joined = UnionFind()
    flat = np.array([_grown(covered).ravel() for covered in covers], np.float32).reshape(len(covers), CELL * CELL)
    touching = flat @ flat.T > 0
    for i in range(len(covers)):
        for j in range(i + 1):
            if touching[i, j]:
                joined.join(i, j)
    heaps: dict[object, list[int]] = {}
    for i in range(len(covers)):
        heaps.setdefault(joined.find(i), []).append(i)
    return list(heaps.values())


class _Heap:
    """Pieces that touch, in painting order, and how alike each run of them is to the families."""

    def __init__(self, paint: Any, covers: Any, seen: Any):
        self.covers, self.seen, self.count = covers, seen, len(paint)
        self.runs = [(i, j) for i in range(self.count) for j in range(i + 1, min(self.count, i + LONGEST) + 1)]
        rows, columns = np.flatnonzero(covers.any(axis=(0, 2))), np.flatnonzero(covers.any(axis=(0, 1)))
        near = paint[:, max(0, rows[0] - 2) : rows[-1] + 3, max(0, columns[0] - 2) : columns[-1] + 3]
        self.alike, self.colours = likeness(np.stack([look_at(near[i:j]) for i, j in self.runs]))
        area = max(1, seen.any(axis=0).sum())
        self.share = [seen[i:j].any(axis=0).sum() / area for i, j in self.runs]

    def cut(self, wanted: Container[str], more: float = WANTED) -> list[Thing]:
        """Return the things of the cut into runs that is worth most. more: what a wanted one is worth above others."""
        worth = {}
        for run, alike, share in zip(self.runs, self.alike, self.share, strict=True):
            name = families().names[int(alike.argmax())]
            good = max(0.0, 1 - STRICT * (1 - float(alike.max())))
            worth[run] = share * good + more * (name in wanted) - PER_THING
        best: list[tuple[float, int]] = [(0.0, 0)]  # of the first pieces: worth, and where the last run begins
        for j in range(1, self.count + 1):
            best.append(max((best[i][0] + worth[i, j], i) for i in range(max(0, j - LONGEST), j)))
        things, j = [], self.count
        while j:
            i = best[j][1]
            thing = self._thing(i, j)
            if thing.likeness.max() >= LEAST_LIKE and thing.seen.sum() >= LEAST_SEEN * thing.covers.sum():
                things.append(thing)
            j = i
        return things[::-1]

    def _thing(self, i: int, j: int) -> Thing:
        whole, number = self.covers[i:j].any(axis=0), self.runs.index((i, j))
        rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
        edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        return Thing(
            *(float(edge) * UNIT for edge in edges), whole, self.seen[i:j].any(axis=0), self.alike[number],
            self.colours[number],
        )  # fmt: skip
