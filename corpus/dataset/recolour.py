"""Copies of a drawing in another colour, with the word for it in the description changed to match."""

import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace

from corpus.oklab import from_oklab, to_oklab
from corpus.optimization.describe_geometry import bounds, flat
from corpus.optimization.paint import Gradient, Paint
from corpus.optimization.shorten import Shape, ShapeGroup
from qwen_svg.svg.values import NAMED_COLOURS

Parts = list[Shape | ShapeGroup]
HUES = "red orange gold green teal blue purple pink".split()  # what a copy may become
COLOUR_WORDS = {*HUES, "yellow", "brown", "violet", "cyan", "turquoise", "magenta", "lime", "crimson", "navy"}
NEAR = math.radians(35)  # hues closer than this are shades of one colour
CHROMATIC = 0.05  # OKLab chroma from which a colour has a hue


def recoloured(description: str, parts: Parts, copies: int, seed: str) -> Iterator[tuple[str, str, Parts]]:
    """Yield (colour, description, parts) of up to `copies` recoloured drawings, the same for the same seed.

    Shades of one colour turn together. It is the colour the description names, when the drawing has it; without a
    colour in the description it is that of the largest shape, and the new one is put before the description.
    """
    word = next((w for w in re.findall(r"[a-z]+", description.lower()) if w in COLOUR_WORDS), None)
    main = _shade_of(word, parts) if word else _largest(parts)
    if main is None:
        return
    hue = _hue(main)
    others = [name for name in HUES if abs(_turn(_hue(NAMED_COLOURS[name]) - hue)) > NEAR]
    for name in random.Random(seed).sample(others, min(copies, len(others))):
        words = re.sub(rf"\b{word}\b", name, description, count=1, flags=re.I) if word else f"{name} {description}"
        yield name, words, [_part(part, main, NAMED_COLOURS[name]) for part in parts]


def _shade_of(word: str, parts: Parts) -> str | None:
    """Return the drawing's colour that is nearest in hue to the word's."""
    wanted = _hue(NAMED_COLOURS[word])
    found = [colour for colour in _colours(parts) if abs(_turn(_hue(colour) - wanted)) <= NEAR]
    return max(found, key=_chroma, default=None)


def _largest(parts: Parts) -> str | None:
    def area(shape: Shape) -> float:
        box = bounds([shape])
        return (box.right - box.left) * (box.bottom - box.top)

    shape = max(flat(parts), key=area)
    return shape.fill if isinstance(shape.fill, str) and _chroma(shape.fill) >= CHROMATIC else None


def _colours(parts: Parts) -> list[str]:
    paints = {paint for shape in flat(parts) for paint in (shape.fill, shape.stroke) if isinstance(paint, str)}
    return sorted(paint for paint in paints if _chroma(paint) >= CHROMATIC)


def _part(part: Shape | ShapeGroup, main: str, target: str) -> Shape | ShapeGroup:
    if isinstance(part, ShapeGroup):
        return replace(part, members=tuple(_part(member, main, target) for member in part.members))
    return replace(part, fill=_paint(part.fill, main, target), stroke=_paint(part.stroke, main, target))


def _paint(paint: Paint, main: str, target: str) -> Paint:
    if paint is None:
        return None
    if isinstance(paint, Gradient):
        stops = tuple(replace(stop, colour=_colour(stop.colour, main, target)) for stop in paint.stops)
        return replace(paint, stops=stops)
    return _colour(paint, main, target)


def _colour(colour: str, main: str, target: str) -> str:
    """Move a shade of `main` as `main` moves to `target`; leave other colours alone."""
    turn = _turn(_hue(colour) - _hue(main))
    if _chroma(colour) < CHROMATIC or abs(turn) > NEAR:
        return colour
    hue = _hue(target) + turn
    chroma = _chroma(colour) * _chroma(target) / _chroma(main)
    light = to_oklab(colour)[0] + to_oklab(target)[0] - to_oklab(main)[0]
    return from_oklab((light, chroma * math.cos(hue), chroma * math.sin(hue)))


def _chroma(colour: str) -> float:
    return math.hypot(*to_oklab(colour)[1:])


def _hue(colour: str) -> float:
    return math.atan2(to_oklab(colour)[2], to_oklab(colour)[1])


def _turn(angle: float) -> float:
    return (angle + math.pi) % math.tau - math.pi
