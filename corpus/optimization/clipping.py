"""Clips on the canvas: an outline (filled by the nonzero rule) that others are cut with, or None for no clip."""

from dataclasses import replace

from corpus.optimization import boolean, outline
from corpus.optimization.drawn import Drawn
from corpus.optimization.svg_document import SvgDocument
from qwen_svg.svg.values import IDENTITY, Command, Matrix
from svg_constraint import CANVAS


def rectangle(x: float, y: float, width: float, height: float, matrix: Matrix) -> list[Command]:
    corners = [("M", (x, y)), ("L", (x + width, y)), ("L", (x + width, y + height)), ("L", (x, y + height))]
    return outline.transformed([*corners, ("Z", ())], matrix)


EVERYWHERE = rectangle(-CANVAS, -CANVAS, 3 * CANVAS, 3 * CANVAS, IDENTITY)


def narrowed(document: SvgDocument, clip: list[Command] | None, further: list[Command]) -> list[Command]:
    """Return the clip within a clip."""
    if clip is None:
        return further
    document.cut(further, clip)
    return boolean.clipped(further, clip)


def within(document: SvgDocument, part: Drawn, clip: list[Command]) -> Drawn | None:
    """Return what a clip leaves of a filled part. Strokes come here as outlines."""
    if not clip:
        return None
    if covers(clip, part.path, 0.0):
        return part
    document.cut(part.path, clip)
    path = boolean.clipped(part.path, clip)
    return replace(part, path=path, basic=()) if path else None


def covers(clip: list[Command], path: list[Command], reach: float) -> bool:
    """Does a clip that is a box hold an outline and `reach` around it?"""
    if len(clip) != 5 or not _is_box(clip):
        return False
    (left, top, right, bottom), c = outline.bounds(path), outline.bounds(clip)
    return c[0] <= left - reach and c[1] <= top - reach and right + reach <= c[2] and bottom + reach <= c[3]


def _is_box(clip: list[Command]) -> bool:
    if any(letter not in "MLZ" for letter, _ in clip):
        return False
    points = [v for letter, v in clip if letter != "Z"]
    return len({round(x, 6) for x, _ in points}) == len({round(y, 6) for _, y in points}) == 2
