"""Was it done, and was nothing else? Shapes of the drawing before against those of the answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from corpus.oklab import to_oklab
from corpus.optimization.paint import Paint
from qwen_svg.common.union_find import UnionFind
from qwen_svg.svg.values import NAMED_COLOURS
from scoring.composition import claims_of
from scoring.editing.shapes import NEAR, STEP, Shape, paint_distance, read_shapes, same, same_outline, same_paint
from scoring.scene.check import is_at
from svg_constraint import CANVAS

SAME_NAME = 0.1  # distance in OKLab of a paint that an instruction's colour may be
LEAST_SHADE, SAME_HUE, GRAY = 0.04, 45.0, 0.03  # of lightness; degrees; chroma below which there is no hue
LEAST_MOVE = 8.0  # canvas units
ASIDE = 0.15  # of a move, how far it may go to the side
STATED = 0.1  # share by which a stated distance or factor may be missed
LEAST_SCALE = 1.1  # of "bigger"; "smaller" is one by this
IN_PLACE = 0.25  # of its size, how far the middle of what is turned or enlarged may go
TURNED = 0.03  # of its size, how far an outline may lie beside, besides NEAR: some two degrees
LEAST_APART = 0.5  # of its size, how far a copy must lie from what it copies
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
Part = Sequence[Shape]
Check = Callable[[Part, Part, dict], bool]  # the part before, after, the edit


@dataclass(frozen=True)
class Judged:
    holds: bool  # what was asked is there
    unchanged: bool  # and all else as it was


def judge_edit(before: str, answer: str | None, edit: dict) -> Judged:
    """Return the verdict on an answer. edit: as corpus.edits writes it, with the shapes of the part that is meant."""
    old, new = read_shapes(before), read_shapes(answer)
    kind, numbers, free = edit["kind"], edit["shapes"], edit.get("free", [])
    if not new:
        return Judged(False, False)
    if kind in ("duplicate", "add") or not numbers:
        missing, added = compared(old, new)
        judge, is_all = ADDING[kind]
        return Judged(
            judge([old[i] for i in numbers], added, edit, answer), not missing and is_all(added, len(numbers))
        )
    part = [old[i] for i in numbers]
    missing, rest = compared([shape for i, shape in enumerate(old) if i not in {*numbers, *free}], new)
    if kind == "delete":
        left = [shape for shape in rest if any(same(shape, gone) for gone in part)]
        return Judged(not left, not missing and len(left) == len(rest))
    check = changed_and(CHANGING[kind])
    if free:  # the sun or moon may become whatever it likes, but not stay
        stays_there = all(any(same(old[i], shape) for shape in new) for i in free)
        done = any(check(part, window, edit) for window in windows(rest, len(part)))
        return Judged(done and not stays_there, not missing)
    if len(new) != len(old):
        done = any(check(part, window, edit) for window in windows(rest, len(part)))
        return Judged(done, not missing and len(rest) <= len(part))
    unchanged = all(same(a, b) for i, (a, b) in enumerate(zip(old, new, strict=True)) if i not in numbers)
    return Judged(check(part, [new[i] for i in numbers], edit), unchanged)


def changed_and(check: Check) -> Check:
    """Nothing holds of a part that is as it was: a square is the same after a turn of 90 degrees."""
    return lambda part, new, edit: not all(map(same, part, new)) and check(part, new, edit)


def compared(wanted: Part, there: Part) -> tuple[list[Shape], list[Shape]]:
    """Return what is missing of the wanted shapes, and what is there besides: all but the longest common run."""
    alike = [[same(a, b) for b in there] for a in wanted]
    longest = [[0] * (len(there) + 1) for _ in range(len(wanted) + 1)]
    for i in reversed(range(len(wanted))):
        for j in reversed(range(len(there))):
            longest[i][j] = longest[i + 1][j + 1] + 1 if alike[i][j] else max(longest[i + 1][j], longest[i][j + 1])
    missing, rest, i, j = [], [], 0, 0
    while i < len(wanted) and j < len(there):
        if alike[i][j] and longest[i][j] == longest[i + 1][j + 1] + 1:
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            missing.append(wanted[i])
            i += 1
        else:
            rest.append(there[j])
            j += 1
    return missing + list(wanted[i:]), rest + list(there[j:])


def windows(shapes: Part, size: int) -> list[Part]:
    return [shapes[i : i + size] for i in range(len(shapes) - size + 1)]


# --- color ----------------------------------------------------------------------------------------------------------


def is_named(paint: Paint, name: str, no_longer: str | None = None) -> bool:
    """Is the paint what a CSS name or a #rrggbb says? no_longer: another that it must be further from."""
    away = paint_distance(paint, code_of(name))
    return away <= SAME_NAME and (no_longer is None or away < paint_distance(paint, code_of(no_longer)))


def code_of(colour: str) -> str:
    return NAMED_COLOURS.get(colour, colour)


def recoloured(part: Part, changed: Part, edit: dict) -> bool:
    """What had the old colour has the new one; other paints, and all outlines, are as they were."""
    return repainted(part, changed, edit["from"], lambda _, new: is_named(new, edit["to"], edit["from"]))


def shaded(part: Part, changed: Part, edit: dict) -> bool:
    sign = -1 if edit["how"] == "darker" else 1
    return repainted(part, changed, edit["from"], lambda old, new: is_shade(old, new, sign))


def repainted(part: Part, changed: Part, old: str, fits: Callable[[str, str], bool]) -> bool:
    for a, b in zip(part, changed, strict=True):
        if not same_outline(a.points, b.points) or abs(a.opacity - b.opacity) > 0.05:
            return False
        for was, now in ((a.fill, b.fill), (a.stroke, b.stroke)):
            if is_named(was, old):
                if not isinstance(now, str) or not fits(was, now):
                    return False
            elif paint_distance(was, now) > SAME_NAME:
                return False
    return True


def is_shade(old: str, new: str, sign: int) -> bool:
    """Is it darker (-1) or lighter (1), and of the same hue where both have one?"""
    a, b = to_oklab(old), to_oklab(new)
    return sign * (b[0] - a[0]) >= LEAST_SHADE and (min(chroma(a), chroma(b)) < GRAY or hues_apart(a, b) <= SAME_HUE)


def chroma(lab: tuple[float, float, float]) -> float:
    return math.hypot(lab[1], lab[2])


def hue(lab: tuple[float, float, float]) -> float:
    return math.degrees(math.atan2(lab[2], lab[1])) % 360


def hues_apart(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    return abs((hue(a) - hue(b) + 180) % 360 - 180)


def outlined(part: Part, changed: Part, edit: dict) -> bool:
    """The largest shape has a stroke in the colour; the others have one too, or what they had."""
    largest = max(range(len(part)), key=lambda i: area(part[i].box))
    for i, (a, b) in enumerate(zip(part, changed, strict=True)):
        has_it = is_named(b.stroke, edit["to"]) and b.width >= 0.5
        if not (same_outline(a.points, b.points) and paint_distance(a.fill, b.fill) <= SAME_NAME):
            return False
        if not (has_it or (i != largest and same_paint(a, b))):
            return False
    return True


def area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


# --- place and size -------------------------------------------------------------------------------------------------


def all_points(part: Part) -> Any:
    return np.concatenate([shape.points for shape in part])


def bounds(part: Part) -> tuple[Any, float]:
    """Return the middle of the box of all, (2,), and its longer side."""
    points = all_points(part)
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float((high - low).max())


def mapped(part: Part, changed: Part, matrix: Any, near: float = NEAR) -> bool:
    """Is the one the other, turned or enlarged by a matrix (2, 2) about its middle, wherever that is put?"""
    scaled = float(np.sqrt(abs(np.linalg.det(matrix))))
    images = [shape.points @ matrix.T for shape in part]
    every = np.concatenate(images)
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    there = bounds(changed)[0]
    return all(
        same_paint(a, b, scaled) and same_outline(image - middle + there, b.points, near, STEP * max(1.0, scaled))
        for a, b, image in zip(part, changed, images, strict=True)
    )


def moved(part: Part, changed: Part, edit: dict) -> bool:
    by = bounds(changed)[0] - bounds(part)[0]
    middle = bounds(changed)[0]
    if not mapped(part, changed, np.eye(2)) or not all(0 <= v <= CANVAS for v in middle):
        return False
    if "place" in edit:
        return bool(np.hypot(*by) >= LEAST_MOVE) and is_at(SimpleNamespace(middle=tuple(middle)), edit["place"])
    along, aside = going(by, edit["direction"])
    stated = edit.get("by")
    far = abs(along - stated) <= max(3.0, STATED * stated) if stated else along >= LEAST_MOVE
    return far and aside <= max(4.0, ASIDE * along)


def going(by: Any, direction: str) -> tuple[float, float]:
    """Return how far a step goes in a direction, and how far to the side."""
    x, y = DIRECTIONS[direction]
    return float(by[0] * x + by[1] * y), abs(float(by[0] * y - by[1] * x))


def scaled(part: Part, changed: Part, edit: dict) -> bool:
    (_, old), (_, new) = bounds(part), bounds(changed)
    factor = new / old if old else 0.0
    if not factor or not stays(part, changed) or not mapped(part, changed, factor * np.eye(2)):
        return False
    if edit.get("factor"):
        return abs(factor / edit["factor"] - 1) <= STATED
    return factor >= LEAST_SCALE if edit["how"] == "bigger" else factor <= 1 / LEAST_SCALE


def rotated(part: Part, changed: Part, edit: dict) -> bool:
    turn = math.radians(edit["angle"])
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return turned(part, changed, matrix)


def flipped(part: Part, changed: Part, edit: dict) -> bool:
    return turned(part, changed, np.diag([-1.0, 1.0] if edit["axis"] == "horizontally" else [1.0, -1.0]))


def turned(part: Part, changed: Part, matrix: Any) -> bool:
    return stays(part, changed) and mapped(part, changed, matrix, NEAR + TURNED * bounds(part)[1])


def stays(part: Part, changed: Part) -> bool:
    (old, size), (new, new_size) = bounds(part), bounds(changed)
    return bool(np.hypot(*(new - old)) <= max(LEAST_MOVE, IN_PLACE * max(size, new_size)))


# --- background and time --------------------------------------------------------------------------------------------


def covers_all(shape: Shape) -> bool:
    left, top, right, bottom = shape.box
    return shape.fill is not None and max(left, top) <= NEAR and min(right, bottom) >= CANVAS - NEAR


def background(part: Part, changed: Part, edit: dict) -> bool:
    return covers_all(changed[0]) and is_named(changed[0].fill, edit["to"], edit["from"])


def is_time(paint: Paint, time: str) -> bool:
    """Is it a sky's colour then? Night: dark. Day: a light blue. Dusk: orange, red, pink or purple."""
    if not isinstance(paint, str):
        return False
    lab = to_oklab(paint)
    if time == "night":
        return lab[0] <= 0.4
    if time == "day":
        return lab[0] >= 0.65 and chroma(lab) >= GRAY / 2 and 170 <= hue(lab) <= 280
    return chroma(lab) >= GRAY and not 95 <= hue(lab) <= 285


def another_time(part: Part, changed: Part, edit: dict) -> bool:
    same_place = same_outline(part[0].points, changed[0].points)
    return same_place and is_time(changed[0].fill, edit["to"]) and not is_time(part[0].fill, edit["to"])


# --- what is added --------------------------------------------------------------------------------------------------


def copied(part: Part, added: Part, edit: dict, answer: str | None) -> bool:
    for window in windows(added, len(part)):
        by, size = bounds(window)[0] - bounds(part)[0], bounds(part)[1]
        if not mapped(part, window, np.eye(2)):
            continue
        if edit.get("direction"):
            along, aside = going(by, edit["direction"])
            if along >= LEAST_MOVE and aside <= along:
                return True
        elif np.hypot(*by) >= LEAST_APART * size:
            return True
    return False


def new_background(part: Part, added: Part, edit: dict, answer: str | None) -> bool:
    return any(background([], [shape], edit) for shape in added)


def something_new(part: Part, added: Part, edit: dict, answer: str | None) -> bool:
    """There is such a thing now, in its colour and size (scoring/composition.py); what is added is in its place."""
    if not added:
        return False
    words = " ".join(filter(None, ("a", edit["size"], edit["color"].replace("-", " "), edit["thing"])))
    place = not edit["place"] or is_at(SimpleNamespace(middle=tuple(bounds(added)[0])), edit["place"])
    return place and all(claim.holds for claim in claims_of(words, answer))


def is_one_thing(added: Part, _: int) -> bool:
    """Do the shapes touch, by their boxes?"""
    joined = UnionFind()
    for i, a in enumerate(added):
        for j, b in enumerate(added[: i + 1]):
            if all(a.box[k] <= b.box[k + 2] + NEAR and b.box[k] <= a.box[k + 2] + NEAR for k in (0, 1)):
                joined.join(i, j)
    return len({joined.find(i) for i in range(len(added))}) <= 1


def is_no_more(added: Part, shapes: int) -> bool:
    return len(added) <= max(1, shapes)


# What judges such an edit, and whether nothing is added besides.
ADDING: dict[str, tuple[Callable[[Part, Part, dict, str | None], bool], Callable[[Part, int], bool]]] = {
    "duplicate": (copied, is_no_more), "add": (something_new, is_one_thing), "background": (new_background, is_no_more),
}  # fmt: skip
CHANGING: dict[str, Check] = {
    "recolour": recoloured, "shade": shaded, "outline": outlined, "move": moved, "scale": scaled, "rotate": rotated,
    "flip": flipped, "background": background, "time": another_time,
}  # fmt: skip
