"""Boolean operations on outlines: Skia's, checked by area on polygons, which replace them where they are wrong.

Skia works on curves, and at times loses a piece, closes a hole or adds a corner without a word. Clipper works on
polygons of integers and is right, but a curve is many of its sides. So each result is compared with Clipper's: as long
as what lies in one and not in the other is a thin seam, the curves are kept. Inputs and outputs are on the canvas,
filled by the nonzero rule where nothing else is said.
"""

import math
from collections.abc import Callable, Sequence

import pathops
import pyclipper

from corpus.optimization import outline
from corpus.optimization.refusal import Refused
from qwen_svg.svg.values import Command

GRID = 1024.0  # Clipper's integers for a canvas unit
FAR = 1e6  # canvas units: beyond, Clipper's integers overflow
FLAT = 0.02  # canvas units between a curve and its chords
SEAM = 0.04  # canvas units: how wide a seam between the two results may be all along …
SPECK = 0.4  # … and square units besides
EVEN_ODD, NONZERO = pyclipper.PFT_EVENODD, pyclipper.PFT_NONZERO
Polygons = list[list[tuple[int, int]]]


def clipped(commands: list[Command], clip: list[Command]) -> list[Command]:
    """Return the part of a filled outline within a clip."""

    def skia():
        return pathops.op(
            outline.to_skia(commands), outline.to_skia(clip), pathops.PathOp.INTERSECTION, fix_winding=True
        )

    return _trusted(skia, _combined(pyclipper.CT_INTERSECTION, polygons(commands), polygons(clip)))


def union(parts: Sequence[list[Command]]) -> list[Command]:
    """Return what lies in any of the parts."""

    def skia():
        builder = pathops.OpBuilder(fix_winding=True)
        for part in parts:
            builder.add(outline.to_skia(part), pathops.PathOp.UNION)
        return builder.resolve()

    each = [_combined(pyclipper.CT_UNION, polygons(part), []) for part in parts]
    return _trusted(skia, _combined(pyclipper.CT_UNION, [ring for part in each for ring in part], []))


def nonzero(commands: list[Command]) -> list[Command]:
    """Return an outline that fills by the nonzero rule what `commands` fills by the even-odd rule."""
    rings = polygons(commands)
    wanted = _combined(pyclipper.CT_UNION, rings, [], EVEN_ODD)
    # Skia's simplify gives other commands for any outline, so those that fill alike by both rules are left as they are:
    # subpaths that run in opposite directions, as most programs write them.
    if _same(_combined(pyclipper.CT_UNION, rings, []), wanted):
        return commands

    def skia():
        path = outline.to_skia(commands, even_odd=True)
        path.simplify(fix_winding=True)
        return path

    return _trusted(skia, wanted)


def _trusted(skia: Callable, wanted: Polygons) -> list[Command]:
    """Return Skia's result where it is what Clipper says, else Clipper's polygons."""
    try:
        path = skia()
        path.convertConicsToQuads()
        found = outline.without_empty(outline.from_skia(path))
        if _same(_combined(pyclipper.CT_UNION, polygons(found), []), wanted):
            return found
    except (pathops.PathOpsError, pathops.UnsupportedVerbError):
        pass
    result: list[Command] = []
    for ring in wanted:
        points = [(x / GRID, y / GRID) for x, y in ring]
        result += [("M", points[0]), *(("L", point) for point in points[1:]), ("Z", ())]
    return result


def _same(p: Polygons, q: Polygons) -> bool:
    """Do two sets of polygons differ by a thin seam at most?"""
    if p == q:
        return True
    length = sum(
        math.dist(a, b) for rings in (p, q) for ring in rings for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
    )
    return area(_combined(pyclipper.CT_XOR, p, q)) < SEAM * length / GRID / 2 + SPECK


def area(rings: Polygons) -> float:
    """Return the area of polygons as Clipper gives them (holes run the other way), in square canvas units."""
    return abs(sum(map(pyclipper.Area, rings))) / GRID**2


def _combined(kind: int, subject: Polygons, clip: Polygons, rule: int = NONZERO) -> Polygons:
    clipper, added = pyclipper.Pyclipper(), 0
    for rings, role in ((subject, pyclipper.PT_SUBJECT), (clip, pyclipper.PT_CLIP)):
        for ring in rings:
            try:
                clipper.AddPath(ring, role, True)
                added += 1
            except pyclipper.ClipperException:  # it has no inside
                continue
    if not added:
        return []
    try:
        return [[tuple(point) for point in ring] for ring in clipper.Execute(kind, rule, NONZERO)]
    except pyclipper.ClipperException:
        raise Refused("outlines that cannot be cut") from None


def polygons(commands: list[Command]) -> Polygons:
    """Return each subpath as a polygon on Clipper's grid. Raises Refused far off the canvas."""
    rings: Polygons = []
    at = (0.0, 0.0)
    for letter, v in outline.arcs_as_curves(commands):
        if letter == "M":
            rings.append([])
        if letter in "QC":
            control = [at, *zip(v[::2], v[1::2], strict=True)]
            steps = _steps(control)
            rings[-1] += [_on_grid(outline.on_curve(control, i / steps)) for i in range(1, steps + 1)]
        elif letter in "ML":
            rings[-1].append(_on_grid(v))
        at = v[-2:] if v else at
    return [ring for ring in rings if len(ring) > 2]


def _steps(control: list[tuple[float, float]]) -> int:
    """Return into how many chords a curve is cut: its second differences bound how far it bends from them."""
    bend = max(
        math.hypot(a[0] - 2 * b[0] + c[0], a[1] - 2 * b[1] + c[1])
        for a, b, c in zip(control, control[1:], control[2:], strict=False)
    )
    degree = len(control) - 1
    return min(64, max(1, math.ceil(math.sqrt(degree * (degree - 1) * bend / (8 * FLAT)))))


def _on_grid(point: tuple[float, ...]) -> tuple[int, int]:
    x, y = point
    if not (abs(x) < FAR and abs(y) < FAR):
        raise Refused("outlines that cannot be cut")
    return round(x * GRID), round(y * GRID)
