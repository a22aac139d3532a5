"""A scene as the answer a model shall write: seven short steps of reasoning, then the SVG, block by block.

The third step notes each thing's centre and size; the SVG then repeats these numbers, so that what is to be decided is
decided where nothing else is to be written. All is true of the drawing.
"""

import re
from functools import cache

from corpus.composing import colours, ground, shapes, things
from corpus.composing.names import NUMBERS, plural
from corpus.composing.scene import Item, Scene
from svg_constraint import CANVAS, SVG_OPEN

_PIECES = re.compile(r"\d| ?[A-Za-z]+|[^\sA-Za-z\d]+|\n| (?=\d)")
_SPLIT = {  # pieces that are more than one token in SmolLM2's vocabulary, and how many more
    "<!--": 2, "ellipse": 2, " cx=": 1, " rx=": 1, " ry=": 1, '="-': 1, ')"/>': 1, "viewBox": 1, "xmlns": 1,
    "reasoning": 1, "light": 1, "navy": 1, "beige": 1, "teal": 1, "lavender": 1, "raindrop": 2, "mushroom": 1,
}  # fmt: skip
SHARED = 18  # tokens of a thing that several of it need once
SAID = {"left": "left of", "right": "right of", "before": "in front of"}


def tokens_about(text: str) -> int:
    """Return about how many tokens a text has in SmolLM2's vocabulary; Qwen2.5's take a tenth less.

    Measured on 3,500 answers, 130 to 350 tokens long: 6 too many to 10 too few, half of them within 1.
    """
    return len(_PIECES.findall(text)) + sum(text.count(piece) * more for piece, more in _SPLIT.items())


@cache
def cost(thing: str) -> int:
    """Return about how many tokens a thing takes, its line of the reasoning included."""
    item = Item(thing, "red", ((128, 128),), 32)
    return tokens_about("\n".join([note(item), *block(item), ""]))


def answer(scene: Scene) -> str:
    return f"<reasoning>\n{reasoning(scene)}\n</reasoning>\n{drawing(scene)}"


def reasoning(scene: Scene) -> str:
    """The template's seven steps in at most 60 words."""
    drawn = [item for item in scene.items if not item.is_shape]
    accents = dict.fromkeys(colour for item in drawn for colour in things.accents(item.thing))
    used = [scene.background, scene.ground.colour if scene.ground else "", *(item.colour for item in scene.items)]
    base = [f"{colours.paint(scene.background)} background" if scene.background else "white paper"]
    if scene.ground:
        base.append(f"{scene.ground.name} from {scene.ground.horizon}")
    steps = (
        elements(scene),
        ", ".join(map(colours.paint, dict.fromkeys(filter(None, used)))) or "its own",
        "; ".join(map(note, scene.items)),
        ", ".join(base),
        f"{', '.join(accents)} parts" if accents else "none",
        "moved and scaled",
        "all visible",
    )
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def elements(scene: Scene) -> str:
    """ "small orange diamond left, medium red ring right"; "tree left of house", "3 apple" """
    if all(item.is_shape and item.count == 1 for item in scene.items):
        return ", ".join(map(phrase, scene.items))
    names = [f"{item.count} {item.thing}" if item.count > 1 else item.thing for item in scene.items]
    related = [
        f"{names[a]} {SAID.get(relation, relation)} {' and '.join(names[b] for b in others)}"
        for a, relation, *others in scene.relations
    ]
    alone = set(range(len(names))) - {i for a, _, *others in scene.relations for i in (a, *others)}
    return ", ".join([*related, *(names[i] for i in sorted(alone))])


def phrase(item: Item) -> str:
    """ "small orange diamond top left" """
    return " ".join([item.size or "medium", colours.paint(item.colour), item.thing, place(item)])


def note(item: Item) -> str:
    """ "small scale 5 circle left 64 middle 128"; "3 small scale 3 apple 64,128 128,128 192,128"

    Each number stands behind the word it follows from.
    """
    scale = shapes.scale(item.r) if item.is_shape else item.unit
    sized = f"{item.size or 'medium'} scale {scale} {item.thing}"
    if item.count > 1:
        return " ".join([f"{item.count} {sized}", *(f"{x},{y}" for x, y in item.spots)])
    (x, y), (column, row) = item.spots[0], column_and_row(item)
    return f"{sized} {column} {x} {row} {y}"


def column_and_row(item: Item) -> tuple[str, str]:
    """Return the part of the canvas, of three by three, that an item's centre is in."""
    x, y = item.spots[0]
    return ("left", "middle", "right")[3 * x // CANVAS], ("top", "middle", "bottom")[3 * y // CANVAS]


def place(item: Item) -> str:
    """ "top left", "right", "center" """
    column, row = column_and_row(item)
    return " ".join(word for word in (row, column) if word != "middle") or "center"


def drawing(scene: Scene) -> str:
    lines = [SVG_OPEN]
    if scene.background:
        fill = colours.paint(scene.background)
        lines += [f"<!-- {fill} background -->", f'<rect width="{CANVAS}" height="{CANVAS}" fill="{fill}"/>']
    if scene.ground:
        lines += [f"<!-- {scene.ground.colour} {scene.ground.name} -->", ground.element(scene.ground)]
    for item in scene.items:
        lines += block(item)
    return "\n".join([*lines, "</svg>"])


def block(item: Item) -> list[str]:
    """Return the lines of an item: its comment, and what draws it. Several that are alike stand in one <g>."""
    fill = colours.paint(item.colour)
    count, name = (NUMBERS[item.count], plural(item.thing)) if item.count > 1 else ("", item.thing)
    comment = f"<!-- {' '.join(filter(None, (count, item.colour, name)))} -->"
    if item.count == 1:
        return [comment, *one(item, *item.spots[0], fill)]
    each = [line for x, y in item.spots for line in one(item, x, y, fill)]
    return [
        comment,
        f'<g fill="{fill}">' if fill else "<g>",
        *(line.replace(f' fill="{fill}"', "") for line in each),
        "</g>",
    ]


def one(item: Item, x: int, y: int, fill: str) -> list[str]:
    """Return the lines of one thing. fill: a CSS name, "" for a thing that has its own colours."""
    if item.is_shape:
        return [shapes.element(item.thing, x, y, item.r, fill)]
    return things.lines(item.thing, x, y, item.unit, fill)
