"""A drawing as lines of text whose parts are known: which lines and which shapes each part is, and what it is called.

A line is one tag or one comment, as corpus.compose writes them. An edit changes lines and leaves all others as they
are.
"""

import re
from dataclasses import dataclass

from corpus.composing import answer, colours
from corpus.composing.answer import block
from corpus.composing.names import OTHER_NAMES, plural
from corpus.composing.scene import Item, Scene
from svg_constraint import SHAPES

SKY, BACKGROUND = "sky", "background"
_SHAPE = re.compile(rf"<(?:{'|'.join(sorted(SHAPES))})\b")


@dataclass(frozen=True)
class Part:
    """names: what it may be called, the usual name first. number: of its item in the scene, None for what lies behind.

    lines: of the text, its comment included; shapes: of the drawing, in painting order, from 0.
    """

    names: tuple[str, ...]
    colour: str  # a word, "light-blue"; "" for what has colours of its own
    lines: range
    shapes: range
    number: int | None = None


@dataclass(frozen=True)
class Drawing:
    scene: Scene
    lines: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def item(self, part: Part) -> Item:
        return self.scene.items[part.number]

    def part(self, number: int | None, name: str = "") -> Part | None:
        """Return the part that is this item, or the one behind all items that has this name."""
        found = (part for part in self.parts if part.number == number and (number is not None or name in part.names))
        return next(found, None)

    def things(self) -> list[Part]:
        return [part for part in self.parts if part.number is not None]


def drawing_of(scene: Scene) -> Drawing:
    lines = answer.drawing(scene).split("\n")
    parts: list[Part] = []
    line, shape = 1, 0

    def add(names: tuple[str, ...], colour: str, height: int, number: int | None = None) -> None:
        nonlocal line, shape
        shapes = count_shapes(lines[line : line + height])
        parts.append(Part(names, colour, range(line, line + height), range(shape, shape + shapes), number))
        line, shape = line + height, shape + shapes

    if scene.background:
        add((SKY, BACKGROUND) if scene.ground else (BACKGROUND,), scene.background, 2)
    if scene.ground:
        add((scene.ground.name,), scene.ground.colour, 2)
    for number, item in enumerate(scene.items):
        names = (item.thing, *OTHER_NAMES.get(item.thing, ()))
        names = names if item.count == 1 else tuple(map(plural, names))
        add(names, item.colour, len("\n".join(block(item)).split("\n")), number)
    return Drawing(scene, tuple(lines), tuple(parts))


def count_shapes(lines: list[str]) -> int:
    return sum(len(_SHAPE.findall(line)) for line in lines)


def behind(scene: Scene, number: int) -> set[str]:
    """Return the colours that an item is seen on or beside: of paper, ground, and whatever it touches."""
    found = {scene.background or "white"} | ({scene.ground.colour} if scene.ground else set())
    item = scene.items[number]
    for i, other in enumerate(scene.items):
        if i != number and other.colour and touch(item, other):
            found.add(other.colour)
    return found


def touch(one: Item, other: Item) -> bool:
    boxes = [(one.bounds(i), other.bounds(j)) for i in range(one.count) for j in range(other.count)]
    return any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for a, b in boxes)


def stands_alone(scene: Scene, number: int) -> bool:
    """Does the item touch no other, so that it may be moved and enlarged?"""
    return not any(touch(scene.items[number], other) for i, other in enumerate(scene.items) if i != number)


def paint(colour: str) -> str:
    return colours.paint(colour)
