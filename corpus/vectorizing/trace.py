"""Method "layers": a picture → an SVG of few colours, at any detail."""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from corpus.optimization.document import write_document
from corpus.optimization.recognise import NEAR, recognised
from corpus.optimization.shorten import Shape, basic_geometry
from corpus.optimization.simplify import moved, rounded, tidy
from corpus.vectorizing.curves import Tree, path, trees
from corpus.vectorizing.layers import Layer, layers
from corpus.vectorizing.segments import Regions
from qwen_svg.svg.values import Command
from svg_constraint import CANVAS

# Decimals of coordinates, and the square canvas units by which rounding may move a segment; beyond, there is one more.
FINE, MIXED, COARSE = (1, math.inf), (0, 20.0), (0, math.inf)
Grid = tuple[int, float]


@dataclass(frozen=True)
class Part:
    """A layer whose outlines are curves."""

    colour: str
    trees: list[Tree]
    basic: tuple  # what corpus/optimization/recognise.py says of it


@dataclass(frozen=True)
class Traced:
    """A picture with its colours chosen; the detail is not yet."""

    parts: list[Part]  # in drawing order

    def svg(self, tolerance: float, grid: Grid) -> str:
        shapes = []
        for colour, run in groupby(self.parts, key=lambda part: part.colour):
            commands: list[Command] = []
            for part in run:
                geometry = basic_geometry(part.basic, grid[0], False) if part.basic else None
                if geometry and geometry[1]:
                    shapes.append(Shape(*geometry, colour))
                    continue
                for tree in part.trees:
                    commands += tidy(_on_grid(path(tree, tolerance), *grid), False)
            if commands:
                shapes.append(Shape("path", {}, colour, commands=tuple(commands)))
        return write_document(shapes)


def _on_grid(commands: list[Command], decimals: int, most: float) -> list[Command]:
    result = rounded(commands, decimals)
    return result if max(moved(commands, result), default=0) < most else rounded(commands, decimals + 1)


def trace(regions: Regions, rgb: Any) -> Traced:
    step = CANVAS / len(rgb)
    drawn = in_blocks(layers(regions, rgb))
    grown = iter(trees([outline for layer in drawn for outline in layer.outlines], step))
    parts = []
    for layer in drawn:
        own = [next(grown) for _ in layer.outlines]
        basic = ()
        if len(own) == 1:
            basic = ellipse(layer.outlines[0], NEAR / 2 + step / 4) or recognised(path(own[0], NEAR / 2), False)
        parts.append(Part(layer.colour, own, basic))
    return Traced(parts)


def ellipse(outline: Any, near: float) -> tuple:
    """Return what `recognised` does, for points (n, 2) that lie `near` a circle or an ellipse."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    centre, radii = (low + high) / 2, (high - low) / 2
    distance = np.hypot(*((outline - centre) / radii).T)
    if radii.min() < 1 or np.abs(distance - 1).max() * radii.max() > near:
        return ()
    if abs(radii[0] - radii[1]) < near:
        return ("circle", *centre.tolist(), float((distance * radii.mean()).mean()))
    return ("ellipse", *centre.tolist(), *radii.tolist())


def in_blocks(found: list[Layer]) -> list[Layer]:
    """Reorder so that layers of one colour stand together where what lies on what allows it."""
    waiting = [set(layer.below) for layer in found]
    above: list[list[int]] = [[] for _ in found]
    for i, layer in enumerate(found):
        for j in layer.below:
            above[j].append(i)
    ready = [i for i, below in enumerate(waiting) if not below]
    order: list[int] = []
    colour = ""
    while ready:
        same = [i for i in ready if found[i].colour == colour]
        i = min(same) if same else min(ready)
        colour = found[i].colour
        ready.remove(i)
        order.append(i)
        for j in above[i]:
            waiting[j].discard(i)
            if not waiting[j]:
                ready.append(j)
    return [found[i] for i in order if found[i].outlines]
