"""Clips on the canvas: an outline (filled by the nonzero rule) that others are cut with, or None for no clip."""

from dataclasses import replace

from corpus.optimization import outline
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
    return outline.clipped(further, clip)


def within(document: SvgDocument, part: Drawn, clip: list[Command]) -> Drawn | None:
    """Return what a clip leaves of a filled part. Strokes come here as outlines."""
    if not clip:
        return None
    left, top, right, bottom = outline.bounds(part.path)
    c = outline.bounds(clip)
    if len(clip) == 5 and c[0] <= left and c[1] <= top and right <= c[2] and bottom <= c[3] and _is_box(clip):
        return part
    document.cut(part.path, clip)
    path = outline.clipped(part.path, clip)
    return replace(part, path=path, basic=()) if path else None


def _is_box(clip: list[Command]) -> bool:
    points = [v for letter, v in clip if letter != "Z"]
    return len({round(x, 6) for x, _ in points}) == len({round(y, 6) for _, y in points}) == 2
