"""Words that name exactly one part of a drawing: by name, by colour, by place, by size."""

from random import Random

from corpus.composing import colours
from corpus.composing.names import NUMBERS
from corpus.editing.drawing import Drawing, Part

APART = 32  # canvas units by which a thing is further left than all others, for "the left one"
WEIGHTS = {"name": 45, "color and name": 20, "color": 14, "place": 14, "size": 7}  # of 100 references
SIDES = {  # axis, and the sign of what comes first
    "left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)
}  # fmt: skip
EXTREMES = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "lowest"}


def reference(draw: Random, drawing: Drawing, part: Part) -> tuple[str, str] | None:
    """Return (how, words): ("place", "the left one"). None where no words name this part and no other."""
    ways = {how: words for how, words in all_references(draw, drawing, part).items() if words}
    if not ways:
        return None
    how = draw.choices(list(ways), [WEIGHTS[way] for way in ways])[0]
    return how, draw.choice(ways[how])


def all_references(draw: Random, drawing: Drawing, part: Part) -> dict[str, list[str]]:
    """Return for each way of referring the words that name exactly this part."""
    if part.number is None:
        return {"name": [f"the {name}" for name in part.names]}
    item, others = drawing.item(part), [other for other in drawing.things() if other is not part]
    name = part.names[0] if draw.random() < 0.8 else draw.choice(part.names)
    named = [other for other in others if set(part.names) & set(other.names)]
    color = colours.words(part.colour) if part.colour else ""
    found: dict[str, list[str]] = {}
    if not named:
        found["name"] = [f"the {name}"]
        if item.count > 1:
            found["name"] += [f"the {NUMBERS[item.count]} {name}", f"all the {name}"]
    if color and all(other.colour != part.colour for other in named):
        found["color and name"] = [f"the {color} {name}"]
    if color and item.count == 1 and is_only_one_in_color(drawing, part):
        found["color"] = [f"the {color} one", f"the {color} thing"] + [f"the {color} shape"] * item.is_shape
    if item.count == 1:
        found["place"] = [words for side in sides_of(drawing, part) for words in by_place(side, name, not named)]
        found["size"] = by_size(drawing, part, name, named)
    return found


def is_only_one_in_color(drawing: Drawing, part: Part) -> bool:
    return not any(other.colour == part.colour for other in drawing.parts if other is not part)


def by_place(side: str, name: str, is_only_one: bool) -> list[str]:
    known = [f"the {side} one", f"the one {place_of(side)}", f"the {EXTREMES[side]} one"]
    return known + ([f"the {side} {name}", f"the {name} {place_of(side)}"] if not is_only_one else [])


def place_of(side: str) -> str:
    return f"on the {side}" if side in ("left", "right") else f"at the {side}"


def sides_of(drawing: Drawing, part: Part) -> list[str]:
    """Return the sides on which the thing is, clearly further out than any other."""
    middles = {other: middle(drawing, other) for other in drawing.things()}
    if len(middles) < 2:
        return []
    if any(drawing.item(other).count > 1 for other in middles):
        return []
    found = []
    for side, (axis, sign) in SIDES.items():
        rest = min(sign * spot[axis] for other, spot in middles.items() if other is not part)
        if sign * middles[part][axis] + APART <= rest:
            found.append(side)
    return found


def middle(drawing: Drawing, part: Part) -> tuple[float, float]:
    left, top, right, bottom = drawing.item(part).bounds()
    return (left + right) / 2, (top + bottom) / 2


def by_size(drawing: Drawing, part: Part, name: str, named: list[Part]) -> list[str]:
    """ "the small one", of two or more things of which the others are all half as large again"""
    others = [drawing.item(other).r for other in drawing.things() if other is not part]
    r = drawing.item(part).r
    if not others:
        return []
    for words, fits in (("small", 1.5 * r <= min(others)), ("large", r >= 1.5 * max(others))):
        if fits:
            more = ("smaller", "smallest") if words == "small" else ("larger", "big", "bigger")
            return [f"the {word} one" for word in (words, *more)] + [f"the {words} {name}"] * bool(named)
    return []
