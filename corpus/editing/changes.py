"""Each kind of edit: what becomes of a scene, of its lines, and what is claimed of the drawing after.

A function of CHANGES takes a chance, a drawing and one of its parts, and returns a Change, or None where what was
chosen does not fit: then choose again.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from corpus.composing import colours, layout, things
from corpus.composing.answer import block
from corpus.composing.names import with_articles
from corpus.composing.scene import Bounds, Item, Scene
from corpus.composing.shapes import HALF, SHAPES
from corpus.composing.wording import named, place
from corpus.editing.drawing import (
    BACKGROUND,
    SKY,
    Drawing,
    Part,
    behind,
    drawing_of,
    stands_alone,
)
from corpus.editing.shades import DARKER, LIGHTER
from svg_constraint import CANVAS

KEPT = "All else stays."
EDGE = 4  # canvas units that a thing keeps from the canvas's edge when it is moved or enlarged
STEPS = (16, 32, 48, 64, 80, 96)  # canvas units
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SPOTS = {"left": 64, "right": 192, "top": 64, "bottom": 192}
SIZES = {True: (5, 8, 14), False: (3, 5, 7)}  # scales of plain shapes, and of other things
STROKES_ONLY = ("ring", "cross", "rectangle", "rainbow", "snowflake")
ADDED_COST = 90  # tokens of a thing that is added
SKIES = {"night": "navy", "day": "light-blue", "dusk": "orange"}
_WHERE = re.compile(r"translate\((\d+),(\d+)\) scale\((\d+)\)")


@dataclass(frozen=True)
class Change:
    """lines: of the drawing after. words: what the wordings need. edit: the claim, for a machine to check."""

    scene: Scene
    lines: tuple[str, ...]
    reason: str
    edit: dict
    words: dict[str, str]


def recolour(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    if not part.colour:
        return None
    known = colours.BACKGROUNDS if part.number is None else colours.THINGS
    new = draw.choice([colour for colour in known if colour != part.colour])
    scene = with_colour(drawing, part, new)
    if scene is None:
        return None
    old, paint = colours.paint(part.colour), colours.paint(new)
    name = part.names[0]
    reason = f"{name.capitalize()}: {old} becomes {paint}. {KEPT}"
    edit = {"from": old, "to": paint}
    kind = "background" if BACKGROUND in part.names and not drawing.scene.ground else "recolour"
    return Change(scene, painted(drawing, part, new), reason, {"kind": kind, **edit}, {"color": colours.words(new)})


def shade(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    """Darker, or lighter, in the same hue."""
    how = draw.choice(("darker", "lighter"))
    new = {"darker": DARKER, "lighter": LIGHTER}[how].get(part.colour)
    scene = with_colour(drawing, part, new) if new else None
    if scene is None:
        return None
    old = colours.paint(part.colour)
    reason = f"{part.names[0].capitalize()} {how}: {old} becomes {new}. {KEPT}"
    edit = {"kind": "shade", "from": old, "how": how}
    return Change(scene, painted(drawing, part, new), reason, edit, {"how": how})


def with_colour(drawing: Drawing, part: Part, colour: str) -> Scene | None:
    """Return the scene with the part in another colour; None where it is then not told from what it lies on."""
    scene = drawing.scene
    if part.number is not None:
        item = replace(drawing.item(part), colour=colour)
        scene = with_item(scene, part.number, item)
        on = behind(drawing.scene, part.number)
        return scene if all(layout.shows_on(item, other) for other in on) else None
    if scene.ground and part.names[0] == scene.ground.name:
        scene = replace(scene, ground=replace(scene.ground, colour=colour))
    else:
        scene = replace(scene, background=colour)
    back = [scene.background or "white"] + ([scene.ground.colour] if scene.ground else [])
    told = len(back) == 1 or colours.differ(*back)
    return scene if told and all(layout.shows_on(item, colour) for item in scene.items) else None


def painted(drawing: Drawing, part: Part, colour: str) -> tuple[str, ...]:
    old, new = colours.paint(part.colour), colours.paint(colour)
    lines = list(drawing.lines)
    for i in part.lines:
        if lines[i].startswith("<!--"):
            lines[i] = re.sub(rf"\b({part.colour}|{old})\b", new, lines[i], count=1)
        lines[i] = re.sub(rf'\b(fill|stroke)="{old}"', rf'\1="{new}"', lines[i])
    return tuple(lines)


def move(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not stands_alone(drawing.scene, part.number):
        return None
    x, y = item.spots[0]
    on_land = drawing.scene.ground and item.bounds()[3] > drawing.scene.ground.horizon
    if draw.random() < 0.35 and not on_land:
        return move_to_place(draw, drawing, part)
    way = draw.choice(("left", "right") if on_land else tuple(DIRECTIONS))
    stated = draw.random() < 0.4
    dx, dy = DIRECTIONS[way]
    by = draw.choice((*STEPS, 10, 20, 30, 40, 50)) if stated else 64
    moved = replace(item, spots=((x + by * dx, y + by * dy),))
    if not stated and not fits(drawing.scene, part.number, moved):
        by = 32
        moved = replace(item, spots=((x + by * dx, y + by * dy),))
    edit = {"kind": "move", "direction": way, "by": by if stated else None}
    words = {"way": way, "by": str(by) if stated else "", "other": {"up": "higher", "down": "lower"}.get(way, "")}
    sum_ = f"x {x} {sign(by * dx)} = {x + by * dx}" if dx else f"y {y} {sign(by * dy)} = {y + by * dy}"
    return put(drawing, part, moved, f"{part.names[0].capitalize()} {way} by {by}: {sum_}. {KEPT}", edit, words)


def move_to_place(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = drawing.item(part)
    place = draw.choice(("top", "bottom", "left", "right", "center", *(f"{v} {h}" for v in ("top", "bottom") for h in
                         ("left", "right"))))  # fmt: skip
    x, y = item.spots[0]
    for word in place.split():
        if word == "center":
            x = y = CANVAS // 2
        elif word in ("left", "right"):
            x = SPOTS[word]
        else:
            y = SPOTS[word]
    if math.dist((x, y), item.spots[0]) < 32 or is_in(item, place):
        return None
    moved = replace(item, spots=((x, y),))
    reason = f"{part.names[0].capitalize()} to {place}: x {x}, y {y}. {KEPT}"
    return put(drawing, part, moved, reason, {"kind": "move", "place": place}, {"place": place})


def is_in(item: Item, place: str) -> bool:
    """Is its centre in that third of the canvas already?"""
    x, y = item.spots[0]
    third = {"left": x < 104, "right": x > 152, "top": y < 104, "bottom": y > 152,
             "center": 94 <= x <= 162 and 94 <= y <= 162}  # fmt: skip
    return all(third[word] for word in place.split())


def scale(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not stands_alone(drawing.scene, part.number):
        return None
    unit = HALF if item.is_shape else 8
    old, sizes = item.r // unit, SIZES[item.is_shape]
    how = draw.choice(("bigger", "bigger", "smaller", "smaller", "twice", "half"))
    if how == "bigger":
        new = next((size for size in sizes if size > old), 0)
    elif how == "smaller":
        new = next((size for size in reversed(sizes) if size < old), 0)
    else:
        new = 2 * old if how == "twice" else old // 2 if old % 2 == 0 else 0
    if not new:
        return None
    scaled = replace(item, r=new * unit)
    factor = {"twice": 2.0, "half": 0.5}.get(how)
    edit = {"kind": "scale", "how": "bigger" if new > old else "smaller", "factor": factor}
    reason = f"{part.names[0].capitalize()} {edit['how']}: scale {old} becomes {new}. {KEPT}"
    return put(drawing, part, scaled, reason, edit, {"how": how})


def rotate(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not stands_alone(drawing.scene, part.number) or not on_canvas(around(item)):
        return None
    angle = draw.choice((30, 45, 45, 60, 90, 90, 180, 180, -45, -90, -30))
    if angle % 360 == 180:
        words = {"turn": draw.choice(("upside down", "by 180 degrees", "by half a turn"))}
    else:
        clockwise = "clockwise" if angle > 0 else draw.choice(("counterclockwise", "anticlockwise"))
        words = {"turn": f"by {abs(angle)} degrees {clockwise}"}
        if angle == 90 and draw.random() < 0.2:
            words = {"turn": "by a quarter turn clockwise"}
    reason = f"{part.names[0].capitalize()}: rotate({angle}) is added to its transform. {KEPT}"
    lines = turned(drawing, part, lambda x, y, s: f"translate({x},{y}) scale({s}) rotate({angle})")
    return Change(drawing.scene, lines, reason, {"kind": "rotate", "angle": angle}, words)


def flip(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not stands_alone(drawing.scene, part.number) or not on_canvas(around(item)):
        return None
    axis = draw.choice(("horizontally", "horizontally", "vertically"))
    signs = ("-", "") if axis == "horizontally" else ("", "-")
    lines = turned(drawing, part, lambda x, y, s: f"translate({x},{y}) scale({signs[0]}{s},{signs[1]}{s})")
    unit = item.r // HALF if item.is_shape else item.unit
    reason = f"{part.names[0].capitalize()}: scale {unit} becomes {signs[0]}{unit},{signs[1]}{unit}. {KEPT}"
    return Change(drawing.scene, lines, reason, {"kind": "flip", "axis": axis}, {"axis": axis})


def duplicate(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not stands_alone(drawing.scene, part.number):
        return None
    way = draw.choice(tuple(DIRECTIONS))
    dx, dy = DIRECTIONS[way]
    left, top, right, bottom = item.bounds()
    by = -(-(right - left if dx else bottom - top) // 16) * 16 + draw.choice((0, 16))
    x, y = item.spots[0]
    copy = replace(item, spots=((x + by * dx, y + by * dy),))
    scene = with_item(drawing.scene, part.number, replace(item, spots=item.spots + copy.spots))
    if not fits(drawing.scene, None, copy):
        return None
    again = [line for line in "\n".join(block(copy)).split("\n")]
    lines = (*drawing.lines[: part.lines.stop], *again, *drawing.lines[part.lines.stop :])
    stated = draw.random() < 0.7
    edit = {"kind": "duplicate", "direction": way if stated else None}
    reason = f"A second {part.names[0]} {beside(way)} the first, at {copy.spots[0][0]},{copy.spots[0][1]}. {KEPT}"
    return Change(scene, lines, reason, edit, {"beside": beside(way) if stated else "", "way": way})


def beside(way: str) -> str:
    return {"left": "to the left of", "right": "to the right of", "up": "above", "down": "below"}[way]


def delete(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    scene = drawing.scene
    if part.number is None:
        if drawing.scene.ground or not all(layout.shows_on(item, "white") for item in scene.items):
            return None
        after = replace(scene, background="")
    else:
        if len(scene.items) < 2 and not scene.ground:
            return None
        after = replace(scene, items=tuple(i for n, i in enumerate(scene.items) if n != part.number), relations=())
        if not all(layout.shows_on(item, scene.background or "white") for item in after.items):  # what it stood on
            return None
    lines = drawing.lines[: part.lines.start] + drawing.lines[part.lines.stop :]
    return Change(after, lines, f"{part.names[0].capitalize()}: taken out. {KEPT}", {"kind": "delete"}, {})


def outline(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    item = single(drawing, part)
    if item is None or not item.colour or item.thing in STROKES_ONLY:
        return None
    colour = draw.choice(("black", "black", "white", "navy", *colours.THINGS))
    if not all(colours.differ(colour, other) for other in {item.colour, *behind(drawing.scene, part.number)}):
        return None
    width = "1" if item.r <= (20 if item.is_shape else 24) else "0.5"
    lines, head = list(drawing.lines), part.lines.start + 1
    fill = f'fill="{colours.paint(item.colour)}"'
    if fill not in lines[head] or "stroke=" in lines[head]:
        return None
    lines[head] = lines[head].replace(fill, f'{fill} stroke="{colour}" stroke-width="{width}"', 1)
    reason = f"{part.names[0].capitalize()}: stroke {colour}, width {width}. {KEPT}"
    edit = {"kind": "outline", "to": colour}
    return Change(drawing.scene, tuple(lines), reason, edit, {"color": colours.words(colour)})


def background(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    """Put a background where there is none; `recolour` changes one that is there. part: any."""
    scene = drawing.scene
    if scene.background or scene.ground:
        return None
    colour = draw.choice([colour for colour in colours.BACKGROUNDS if colour != "white"])
    after = replace(scene, background=colour)
    if not all(layout.shows_on(item, colour) for item in scene.items):
        return None
    reason = f"A {colours.paint(colour)} rectangle behind all. {KEPT}"
    lines = (drawing.lines[0], *drawing_of(after).lines[1:3], *drawing.lines[1:])
    edit = {"kind": "background", "from": None, "to": colours.paint(colour)}
    return Change(after, lines, with_articles(reason), edit, {"color": colours.words(colour)})


def time(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    """Another time of day: the sky's colour, and by day the sun, by night the moon."""
    scene = drawing.scene
    if part.names[0] != SKY:
        return None
    new = draw.choice(("night", "night", "day", "dusk"))
    before = {"light-blue": "day", "navy": "night", "black": "night"}.get(scene.background, "dusk")
    things_there = {item.thing for item in scene.items}
    by_day, by_night = things_there & {"sun"}, things_there & {"moon", "star", "planet"}
    if new == before or (new != "night" and by_night - {"moon"}) or (new == "dusk" and before == "night"):
        return None
    after = with_colour(drawing, part, SKIES[new])
    lines, reason = painted(drawing, part, SKIES[new]), f"Sky: {colours.paint(SKIES[new])}."
    swap = {"night": ("sun", "moon"), "day": ("moon", "sun"), "dusk": ("moon", "sun")}[new]
    shapes: list[int] = []
    if after and swap[0] in things_there and ((new == "night" and by_day) or (new != "night" and by_night)):
        number = next(i for i, item in enumerate(scene.items) if item.thing == swap[0])
        old, there = scene.items[number], drawing.part(number)
        item = replace(old, thing=swap[1])
        if old.count > 1 or item.colour not in things.pictograms()[swap[1]].colours:
            return None
        if not layout.shows_on(item, SKIES[new]):
            return None
        after, shapes = with_item(after, number, item), list(there.shapes)
        lines = (*lines[: there.lines.start], *"\n".join(block(item)).split("\n"), *lines[there.lines.stop :])
        reason += f" The {swap[0]} becomes a {swap[1]}."
    if after is None:
        return None
    edit = {"kind": "time", "from": before, "to": new, "free": shapes}
    return Change(after, lines, f"{reason} {KEPT}", edit, {"time": new, "before": before})


def add(draw: Random, drawing: Drawing, part: Part) -> Change | None:
    """Something more, from what scenes of its level have. part: any."""
    scene = drawing.scene
    options = list(SHAPES) if scene.level == 1 else layout.affordable(list(things.pictograms()), ADDED_COST)
    if scene.ground:
        options = [thing for thing in options if thing in SKY_THINGS]
    thing = draw.choice(options)
    if thing in {item.thing for item in scene.items}:
        return None
    back = [scene.background or "white"] + ([scene.ground.colour] if scene.ground else [])
    colour, size = layout.colour_for(draw, thing, back), draw.choice(("", "", "small"))
    if colour is None:
        return None
    places = {p: at for p, at in layout.PLACES.items() if not scene.ground or p.startswith("top")}
    item = layout.placed(draw, (thing, colour, size), {p: (xs[1:2], ys[1:2]) for p, (xs, ys) in places.items()})
    if item is None or not layout.shows_on(item, back[0]) or not fits(scene, None, item):
        return None
    item = replace(item, tells_colour=bool(colour))
    after = replace(scene, items=(*scene.items, item))
    lines = (*drawing.lines[:-1], *"\n".join(block(item)).split("\n"), drawing.lines[-1])
    x, y = item.spots[0]
    unit = item.r // HALF if item.is_shape else item.unit
    reason = (
        f"{thing.capitalize()} on top at {x},{y}, scale {unit}, {colours.paint(colour) or 'its own colors'}. {KEPT}"
    )
    edit = {"kind": "add", "thing": thing, "color": colour, "size": size, "place": item.place}
    return Change(after, lines, reason, edit, {"new": with_articles(named(draw, item)), "where": place(draw, item)})


SKY_THINGS = ("sun", "moon", "cloud", "star", "bird", "kite", "balloon", "butterfly", "lightning bolt", "airplane")
Maker = Callable[[Random, Drawing, Part], Change | None]
CHANGES: dict[str, Maker] = {
    "recolour": recolour, "shade": shade, "move": move, "scale": scale, "rotate": rotate, "flip": flip,
    "duplicate": duplicate, "delete": delete, "outline": outline, "background": background, "time": time, "add": add,
}  # fmt: skip
WITHOUT_PART = ("background", "time", "add")  # whose instructions name no part


# --- what several kinds need ----------------------------------------------------------------------------------------


def single(drawing: Drawing, part: Part) -> Item | None:
    """Return the part's item where it is one thing, None where it is several or no item."""
    item = drawing.item(part) if part.number is not None else None
    return item if item and item.count == 1 else None


def with_item(scene: Scene, number: int, item: Item) -> Scene:
    return replace(scene, items=(*scene.items[:number], item, *scene.items[number + 1 :]))


def on_canvas(box: Bounds) -> bool:
    return min(box[:2]) >= EDGE and max(box[2:]) <= CANVAS - EDGE


def around(item: Item) -> Bounds:
    """Return a box that holds the thing however it is turned about its origin."""
    (x, y), (left, top, right, bottom) = item.spots[0], item.bounds()
    reach = math.ceil(max(math.hypot(h - x, v - y) for h in (left, right) for v in (top, bottom)))
    return x - reach, y - reach, x + reach, y + reach


def fits(scene: Scene, number: int | None, item: Item) -> bool:
    """Is the item on the canvas, and apart from all but the one whose place it takes?"""
    others = [other for i, other in enumerate(scene.items) if i != number]
    box = item.bounds()
    apart = all(layout.apart(box, other.bounds(i), gap=4) for other in others for i in range(other.count))
    return apart and on_canvas(box)


def put(drawing: Drawing, part: Part, item: Item, reason: str, edit: dict, words: dict[str, str]) -> Change | None:
    """Return the change by which the part's item is somewhere else, or larger or smaller."""
    if not fits(drawing.scene, part.number, item):
        return None
    unit = item.r // HALF if item.is_shape else item.unit
    (x, y) = item.spots[0]
    lines = turned(drawing, part, lambda *_: f"translate({x},{y}) scale({unit})")
    scene = replace(with_item(drawing.scene, part.number, item), relations=())
    return Change(scene, lines, reason, edit, words)


def turned(drawing: Drawing, part: Part, where: Callable[[str, str, str], str]) -> tuple[str, ...]:
    """Return the lines with another transform of the part."""
    lines, head = list(drawing.lines), part.lines.start + 1
    lines[head] = _WHERE.sub(lambda found: where(*found.groups()), lines[head], count=1)
    return tuple(lines)


def sign(by: int) -> str:
    return f"+ {by}" if by > 0 else f"- {-by}"
