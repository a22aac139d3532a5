"""Does a drawing hold what its description claims? One answer for each claim, with the claim's kind."""

import math
from dataclasses import dataclass

from scoring.scene.claims import Claims, Phrase
from scoring.scene.colour import colour_distance, is_colour
from scoring.scene.surroundings import ground_and_sky, is_ground, is_time, paper
from scoring.scene.things_in import Content, Thing

KINDS = ("thing", "color", "count", "size", "place", "relation", "ground", "background", "time")
SMALL, LARGE = 60, 86  # canvas units of the longer side: at most, at least
LOW, HIGH = 104, 152  # the middle third of the canvas, with room on both sides
SLACK = 10  # canvas units by which things may reach into each other and still be side by side
NEAR = 112  # canvas units between things that are next to each other
LEAST_OVERLAP = 0.02  # of a thing: what is hidden of it, at least, when it stands behind another


@dataclass(frozen=True)
class Claim:
    kind: str
    text: str
    holds: bool


def check_claims(claims: Claims, content: Content | None) -> list[Claim]:
    """Return every claim, with whether it holds; None: there is no drawing, and none does."""
    shown = _assigned(claims.phrases, content.things if content else [])
    found = []
    for phrase, things in zip(claims.phrases, shown, strict=True):
        found += _of_phrase(phrase, things)
    for a, relation, others in claims.relations:
        holds = all(shown[i] for i in (a, *others)) and _related(relation, shown[a], [shown[i] for i in others])
        names = [claims.phrases[i].thing for i in (a, *others)]
        found.append(Claim("relation", f"{names[0]} {relation} {' and '.join(names[1:])}", holds))
    return found + _of_surroundings(claims, content)


# --- things ---------------------------------------------------------------------------------------------------


def _assigned(phrases: list[Phrase], things: list[Thing]) -> list[list[Thing]]:
    """Return for each phrase the things that it names.

    Where several phrases name the same kind of thing, each thing goes to the one whose colour and size it has, or
    else is nearest to.
    """
    shown: list[list[Thing]] = [[] for _ in phrases]
    for name in {phrase.thing for phrase in phrases}:
        asking = [i for i, phrase in enumerate(phrases) if phrase.thing == name]
        for thing in (thing for thing in things if thing.name == name):
            misfits = [(len(shown[i]) >= phrases[i].count, _misfit(phrases[i], thing)) for i in asking]
            shown[min(zip(misfits, asking, strict=True))[1]].append(thing)
    return shown


def _misfit(phrase: Phrase, thing: Thing) -> float:
    colour = colour_distance(thing.colour_as(phrase.thing), phrase.colour) if phrase.colour else 0.0
    return colour + 0.1 * (not has_size(thing, phrase.size))


def _of_phrase(phrase: Phrase, things: list[Thing]) -> list[Claim]:
    name = phrase.thing
    found = [Claim("thing", name, bool(things))]
    if phrase.colour:
        holds = bool(things) and all(is_colour(thing.colour_as(name), phrase.colour) for thing in things)
        found.append(Claim("color", f"{phrase.colour} {name}", holds))
    if phrase.count > 1:
        found.append(Claim("count", f"{phrase.count} {name}", len(things) == phrase.count))
    if phrase.size:
        holds = bool(things) and all(has_size(thing, phrase.size) for thing in things)
        found.append(Claim("size", f"{phrase.size} {name}", holds))
    if phrase.place:
        holds = bool(things) and all(is_at(thing, phrase.place) for thing in things)
        found.append(Claim("place", f"{name} {phrase.place}", holds))
    return found


def has_size(thing: Thing, size: str) -> bool:
    return {"small": thing.size <= SMALL, "large": thing.size >= LARGE, "": True}[size]


def is_at(thing: Thing, place: str) -> bool:
    """ "top left" asks for both; "top" for the row alone, and "center" for the middle on both axes."""
    x, y = thing.middle
    where = {
        "left": x < LOW, "right": x > HIGH, "top": y < LOW, "bottom": y > HIGH,
        "center": LOW - SLACK <= x <= HIGH + SLACK and LOW - SLACK <= y <= HIGH + SLACK,
    }  # fmt: skip
    return all(where[word] for word in place.split())


# --- relations ------------------------------------------------------------------------------------------------


def _related(relation: str, of: list[Thing], to: list[list[Thing]]) -> bool:
    """Does it hold of every thing that is named? "Between" takes two others."""
    if relation == "between":
        return len(to) == 2 and all(_is_between(a, b, c) for a in of for b in to[0] for c in to[1])
    return all(_HOLDS[relation](a, b) for a in of for b in to[0])


def _is_left(a: Thing, b: Thing) -> bool:
    dx, dy = b.middle[0] - a.middle[0], b.middle[1] - a.middle[1]
    return dx > 0 and (a.right <= b.left + SLACK or dx >= abs(dy))


def _is_above(a: Thing, b: Thing) -> bool:
    dx, dy = b.middle[0] - a.middle[0], b.middle[1] - a.middle[1]
    return dy > 0 and (a.bottom <= b.top + SLACK or dy >= abs(dx))


def _is_inside(a: Thing, b: Thing) -> bool:
    within = a.left >= b.left - 2 and a.right <= b.right + 2 and a.top >= b.top - 2 and a.bottom <= b.bottom + 2
    return within and a.size < b.size


def _is_on(a: Thing, b: Thing) -> bool:
    across = min(a.right, b.right) - max(a.left, b.left)
    sinks = a.bottom - b.top
    return across > 0 and -SLACK <= sinks <= max(SLACK, 0.35 * (b.bottom - b.top)) and a.middle[1] < b.middle[1]


def _is_behind(a: Thing, b: Thing) -> bool:
    """What both cover shows the second."""
    both = a.covers & b.covers
    return both.sum() >= LEAST_OVERLAP * a.covers.sum() and (both & b.seen).sum() > (both & a.seen).sum()


def _is_beside(a: Thing, b: Thing) -> bool:
    gap = max(a.left, b.left) - min(a.right, b.right)
    level = abs(a.middle[1] - b.middle[1]) <= 0.6 * max(a.bottom - a.top, b.bottom - b.top)
    return level and -SLACK <= gap <= NEAR


def _is_between(a: Thing, b: Thing, c: Thing) -> bool:
    (x, y), (u, v), (s, t) = a.middle, b.middle, c.middle
    length = math.hypot(s - u, t - v)
    if not length:
        return False
    along = ((x - u) * (s - u) + (y - v) * (t - v)) / length**2
    aside = abs((x - u) * (t - v) - (y - v) * (s - u)) / length**2
    return 0.2 <= along <= 0.8 and aside <= 0.35


_HOLDS = {
    "left": _is_left, "right": lambda a, b: _is_left(b, a), "above": _is_above, "below": lambda a, b: _is_above(b, a),
    "inside": _is_inside, "around": lambda a, b: _is_inside(b, a), "on": _is_on, "under": lambda a, b: _is_on(b, a),
    "behind": _is_behind, "before": lambda a, b: _is_behind(b, a), "beside": _is_beside,
}  # fmt: skip


# --- what things are on ---------------------------------------------------------------------------------------


def _of_surroundings(claims: Claims, content: Content | None) -> list[Claim]:
    if not (claims.background or claims.ground or claims.time):
        return []
    ground, colour, sky = ground_and_sky(content) if content else ("", None, None)
    found = []
    if claims.background:
        holds = content is not None and is_colour(paper(content), claims.background)
        found.append(Claim("background", claims.background, holds))
    if claims.ground:
        found.append(Claim("ground", claims.ground, is_ground(claims.ground, ground, colour)))
        if claims.ground_colour:
            holds = bool(ground) and is_colour(colour, claims.ground_colour)
            found.append(Claim("color", f"{claims.ground_colour} {claims.ground}", holds))
    if claims.time:
        found.append(Claim("time", claims.time, sky is not None and is_time(sky, claims.time)))
    return found
