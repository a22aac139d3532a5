"""Edits of drawings of which no part is known but by its paint: icons, and whatever else there is.

A part is what has one paint, and is named by the basic word for it, "the blue part", where no other paint of the
drawing goes by that word. All of a drawing may be turned, flipped or made smaller; what lies behind it may be changed.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from random import Random

from corpus.composing import colours
from corpus.composing.names import with_articles
from corpus.editing.drawing import count_shapes
from corpus.editing.records import answer, differs, repair
from corpus.editing.wording import instruction_from, wordings_of
from corpus.oklab import to_oklab
from corpus.optimization.describe_geometry import colour_name
from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import group_of
from qwen_svg.common.tables import rows
from qwen_svg.svg.values import NAMED_COLOURS, ValueFault, parse_paint
from svg_constraint import CANVAS, check

WEIGHTS = {"recolour": 45, "delete": 20, "background": 15, "scale": 7, "flip": 7, "rotate": 6}  # of 100 edits
CLEAR = 0.15  # distance in OKLab within which a paint goes by a basic word
LONGEST = 900  # characters of a drawing: some 400 tokens
WHOLE = ("the drawing", "the whole drawing", "the picture", "everything", "all of it")
TURNS = {90: "by 90 degrees clockwise", -90: "by 90 degrees counterclockwise", 180: "upside down"}
_LINE = re.compile(r"<!--[^<]*-->|<[^<>]*>")
_PAINT = re.compile(r'\b(fill|stroke)="([^"]*)"')
_BACKGROUND = re.compile(rf'<rect(?: [xy]="0")* width="{CANVAS}" height="{CANVAS}" fill="([^"]*)" ?/>')


@dataclass(frozen=True)
class Collected:
    id: str
    group: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def begin(self) -> int:
        """The line of the root, or of a background behind all; what is drawn comes behind it."""
        first = next((i for i, line in enumerate(self.lines) if i and not line.startswith("<!--")), 0)
        return first if _BACKGROUND.fullmatch(self.lines[first]) else 0


def samples_of_drawings(path: str, seed: int, count: int, share_of_repairs: float) -> Iterator[dict]:
    """Yield records as `samples` does, from a table's drawings in svg_content; again and again, until there are enough.

    Raises UserError where no drawing of the table can be edited.
    """
    there = sum(1 for _ in rows(path))
    made, again = 0, 0
    while made < count:
        before, share = made, min(1.0, 1.5 * (count - made) / max(1, there))
        for drawing in drawings(path):
            draw = Random(f"edits:{seed}:{again}:{drawing.id}")
            if draw.random() >= share or made == count:
                continue
            is_repair = draw.random() < share_of_repairs
            found = repair(draw, drawing.text) if is_repair else edit(draw, drawing)
            if found:
                name = "repair" if is_repair else "edit"
                yield {"id": f"{name}-{drawing.id}-{seed}-{again}", **found, "group": drawing.group}
                made += 1
        again += 1
        if made == before and share == 1.0:
            raise UserError(
                f"DRAWINGS {path} has no drawing that can be edited: in svg_content, legal, a tag or a comment on each "
                f"line, at most {LONGEST} characters; `python -m corpus.optimize` writes such."
            )


def drawings(path: str) -> Iterator[Collected]:
    for row in rows(path):
        svg = extract_svg(str(row.values.get("svg_content") or ""))
        if not svg or len(svg) > LONGEST:
            continue
        lines = tuple(line.strip() for line in svg.splitlines() if line.strip())
        if len(lines) < 4 or not all(map(_LINE.fullmatch, lines)) or check("\n".join(lines)).violations:
            continue
        id = str(row.values.get("id") or blake2b(svg.encode(), digest_size=6).hexdigest())
        yield Collected(id, group_of(row.values.get("group")) or f"drawing: {id}", lines)


def edit(draw: Random, drawing: Collected) -> dict | None:
    kind = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    found = KINDS[kind](draw, drawing)
    if found is None:
        return None
    lines, reason, claim, words = found
    svg = "\n".join(lines)
    if check(svg).violations or not differs(drawing.text, svg):
        return None
    return {
        "description": instruction_from(draw, wordings_of(claim, words), words),
        "svg": drawing.text,
        "svg_content": answer(reason, svg),
        "edit": claim,
    }


Found = tuple[list[str], str, dict, dict[str, str]]  # the lines after, what is said of them, the claim, words


def paints(drawing: Collected) -> dict[str, str]:
    """Return the paints, as they are written, that one basic word names and no other paint: paint → word."""
    written = {paint for line in drawing.lines for _, paint in _PAINT.findall(line) if paint != "none"}
    if is_black_unsaid(drawing):
        written.add("black")
    words: dict[str, list[str]] = {}
    for paint in written:
        words.setdefault(basic_word(code_of(paint)), []).append(paint)
    return {paints[0]: word for word, paints in words.items() if len(paints) == 1 and word}


def is_black_unsaid(drawing: Collected) -> bool:
    """Is there a shape without a fill of its own? It is black, or what its group says."""
    return any("fill=" not in line for line in drawing.lines if count_shapes([line]))


def code_of(paint: str) -> str:
    try:
        return parse_paint(paint)[1] or "#000000"
    except ValueFault:
        return "#000000"


@cache
def basic_word(code: str) -> str:
    """Return the nearest basic colour; "" where none is near, or two nearly as much."""
    near = sorted((math.dist(to_oklab(code), to_oklab(NAMED_COLOURS[word])), word) for word in colours.THINGS)
    (distance, word), (other, _) = near[:2]
    return word if distance <= min(CLEAR, other / 1.5) else ""


def part_of(draw: Random, drawing: Collected) -> tuple[str, str, list[int]] | None:
    """Return a paint, its word, and the numbers of the shapes that have no other; None where none has a clear name."""
    named = paints(drawing)
    able = []
    for paint in sorted(named):
        lines = [i for i, line in enumerate(drawing.lines) if (paint in (p for _, p in _PAINT.findall(line)))]
        are_shapes = all(count_shapes([drawing.lines[i]]) for i in lines)
        only_paint = all({p for _, p in _PAINT.findall(drawing.lines[i])} <= {paint, "none"} for i in lines)
        if lines and are_shapes and only_paint and min(lines) > drawing.begin:
            numbers = [count_shapes(list(drawing.lines[:i])) for i in lines]
            able.append((paint, named[paint], numbers))
    return draw.choice(able) if able else None


def parts_words(draw: Random, word: str, count: int) -> str:
    one = (f"the {word} part", f"the {word} shape", f"the {word} one")
    return draw.choice(one if count == 1 else (f"the {word} parts", f"everything {word}", f"all {word} parts"))


def recolour(draw: Random, drawing: Collected) -> Found | None:
    part = part_of(draw, drawing)
    # Paint that a shape has for want of another is not in its text.
    if part is None or (
        part[0] == "black" and any(count_shapes([line]) and "fill=" not in line for line in drawing.lines)
    ):
        return None
    paint, word, numbers = part
    new = draw.choice(
        [color for color in colours.THINGS if colours.differ(color, word) and color not in named_in(drawing)]
    )
    said = colour_name(code_of(paint))
    lines = [
        re.sub(rf'\b(fill|stroke)="{re.escape(paint)}"', rf'\1="{new}"', line)
        if not line.startswith("<!--") else line.replace(f" {said} ", f" {new} ")
        for line in drawing.lines
    ]  # fmt: skip
    claim = {"kind": "recolour", "from": code_of(paint), "to": new, "shapes": numbers, "named": "color"}
    words = {"it": parts_words(draw, word, len(numbers)), "color": new}
    return lines, f"Fill or stroke {paint} becomes {new}. All else stays.", claim, words


def named_in(drawing: Collected) -> set[str]:
    return set(paints(drawing).values())


def delete(draw: Random, drawing: Collected) -> Found | None:
    part = part_of(draw, drawing)
    if part is None or len(part[2]) >= count_shapes(list(drawing.lines)) - 1:
        return None
    paint, word, numbers = part
    lines, seen = [], 0
    for line in drawing.lines:
        if count_shapes([line]):
            seen += 1
            if seen - 1 in numbers:
                continue
        if line.startswith(("<!--", "</")) and lines[-1].startswith("<!--"):
            lines.pop()  # the comment before was of what is gone
        lines.append(line)
    claim = {"kind": "delete", "shapes": numbers, "named": "color"}
    words = {"it": parts_words(draw, word, len(numbers))}
    return lines, f"What is painted {paint} is taken out. All else stays.", claim, words


def background(draw: Random, drawing: Collected) -> Found | None:
    there = drawing.begin
    able = [color for color in colours.BACKGROUNDS if colours.words(color).split()[-1] not in named_in(drawing)]
    new = draw.choice(able)
    paint, lines = colours.paint(new), list(drawing.lines)
    if there:
        old = _BACKGROUND.fullmatch(lines[there]).group(1)
        lines[there] = lines[there].replace(f'fill="{old}"', f'fill="{paint}"')
        reason, numbers, old = f"Background: {old} becomes {paint}.", [0], code_of(old)
    else:
        lines[1:1] = [f"<!-- {paint} background -->", f'<rect width="{CANVAS}" height="{CANVAS}" fill="{paint}"/>']
        reason, numbers, old = f"A {paint} rectangle behind all.", [], None
    claim = {"kind": "background", "from": old, "to": paint, "shapes": numbers, "named": "none"}
    return lines, with_articles(f"{reason} All else stays."), claim, {"it": "", "color": colours.words(new)}


def scale(draw: Random, drawing: Collected) -> Found:
    how, factor, by = draw.choice((("half", 0.5, 64), ("smaller", 0.75, 32)))
    claim = {"kind": "scale", "how": "smaller", "factor": 0.5 if how == "half" else None}
    return wrapped(draw, drawing, f"translate({by},{by}) scale({factor})", claim, {"how": how})


def flip(draw: Random, drawing: Collected) -> Found:
    axis, where = draw.choice((("horizontally", f"translate({CANVAS},0) scale(-1,1)"),
                               ("vertically", f"translate(0,{CANVAS}) scale(1,-1)")))  # fmt: skip
    return wrapped(draw, drawing, where, {"kind": "flip", "axis": axis}, {"axis": axis})


def rotate(draw: Random, drawing: Collected) -> Found:
    angle = draw.choice(list(TURNS))
    where = f"rotate({angle} {CANVAS // 2} {CANVAS // 2})"
    return wrapped(draw, drawing, where, {"kind": "rotate", "angle": angle}, {"turn": TURNS[angle]})


def wrapped(draw: Random, drawing: Collected, where: str, claim: dict, words: dict[str, str]) -> Found:
    """Return the drawing in a <g> with a transform, but for its background."""
    inner, first = drawing.begin + 1, bool(drawing.begin)
    numbers = list(range(first, count_shapes(list(drawing.lines))))
    lines = [*drawing.lines[:inner], "<!-- all of it -->", f'<g transform="{where}">', *drawing.lines[inner:-1], "</g>",
             drawing.lines[-1]]  # fmt: skip
    reason = f"All is put into a group with {where}."
    return lines, reason, claim | {"shapes": numbers, "named": "none"}, words | {"it": draw.choice(WHOLE)}


KINDS = {
    "recolour": recolour, "delete": delete, "background": background, "scale": scale, "flip": flip, "rotate": rotate
}  # fmt: skip
