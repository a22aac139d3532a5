"""Descriptions of scenes, in many wordings: 5 to 25 words, in lower case, without a full stop."""

from random import Random

from corpus.composing import colours
from corpus.composing.scene import Item, Scene

SIZES = {"small": ("small", "small", "small", "tiny", "little"), "large": ("large", "large", "large", "big", "huge")}
RELATIONS = {
    "left": ("to the left of", "to the left of", "left of", "on the left of"),
    "right": ("to the right of", "to the right of", "right of", "on the right of"),
    "above": ("above", "above", "over"),
    "below": ("below", "below", "under", "beneath"),
    "inside": ("inside", "inside", "within", "in the middle of"),
}
REVERSED = {
    "left": "to its left", "right": "to its right", "above": "above it", "below": "below it", "inside": "inside it"
}  # fmt: skip
PLACES = {
    "center": ("in the center", "in the middle", "at the center"),
    "top": ("at the top", "near the top"),
    "bottom": ("at the bottom", "near the bottom"),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
}
CORNERS = ("in the {} corner", "in the {}", "at the {}")
BACKGROUNDS = ("on a {} background", "on a {} background", "against a {} background", "on {}", "on solid {}")
FEWEST, MOST = 5, 25  # words


def described(draw: Random, scene: Scene) -> str | None:
    """Return a description of the scene that says all it claims; None where it came out too short or too long."""
    background = ""
    if scene.background:
        background = draw.choice(BACKGROUNDS).format(colours.words(scene.background))
    said = plain(draw, scene)
    if not background:
        text = said
    elif draw.random() < 0.2:
        text = f"{background}, {said}"
    else:
        text = f"{said} {background}"
    return text if FEWEST <= len(text.split()) <= MOST else None


def plain(draw: Random, scene: Scene) -> str:
    names = [named(draw, item) for item in scene.items]
    if scene.relation:
        a, relation, b = scene.relation
        way = draw.random()
        if way < 0.7:
            return f"{names[a]}{' is ' if way < 0.1 else ' '}{draw.choice(RELATIONS[relation])} {names[b]}"
        return f"{names[b]} with {names[a]} {REVERSED[relation]}"
    parts = [f"{name} {place(draw, item)}" for name, item in zip(names, scene.items, strict=True)]
    return draw.choice((" and ", ", ", ", and ")).join(parts)


def named(draw: Random, item: Item) -> str:
    """ "a small orange diamond" """
    size = draw.choice(SIZES[item.size]) if item.size else ""
    return with_article(" ".join(filter(None, (size, colours.words(item.colour), item.thing))))


def place(draw: Random, item: Item) -> str:
    if item.place in PLACES:
        return draw.choice(PLACES[item.place])
    other = item.place.replace("top", "upper").replace("bottom", "lower")
    return draw.choice(CORNERS).format(draw.choice((item.place, other)))


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" and not noun.startswith(("uni", "use", "eu")) else f"a {noun}"
