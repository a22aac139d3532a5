"""Strokes with round caps or joins, which most dialects lack, as strokes without: nearly the same, or else exactly.

A round cap on a thin line is a line that ends a little later; on a thick one it is a circle. A round join that is
nearly a mitre is left to be one. Where neither is near enough, the stroke becomes the outline that Skia makes of it.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from corpus.optimization import outline
from corpus.optimization.drawn import Drawn
from corpus.optimization.outline import PLAIN, Ends
from qwen_svg.svg.values import Command

THIN = 11.0  # canvas units: up to this width a cap may be replaced by a longer line
LONGER = math.pi / 8  # of the width: as much area as half a disc
MAX_CORNER = 8.0  # square units by which a join may differ
DOT = 1.5  # canvas units: the longest line with caps that is a dot; longer ones are still lines on the integer grid
STRAIGHT = 0.1  # radians: a turn that shows no join


def plain_strokes(part: Drawn) -> list[Drawn]:
    """Return parts with butt caps and mitre joins that look like `part`."""
    if not part.stroke or part.ends == PLAIN or (part.basic and part.basic[0] != "rect"):
        return [replace(part, ends=PLAIN)] if part.stroke else [part]
    ends, width = part.ends, part.width
    if _corner_error(part.path, ends) * (width / 2) ** 2 > MAX_CORNER:
        return _as_outline(part)
    if ends.cap == "butt" or part.basic or outline.is_closed(part.path):
        return [replace(part, ends=PLAIN)]
    opaque = part.opacity == 1 and isinstance(part.stroke, str)
    if ends.cap == "square" or width <= THIN:
        by = width * (0.5 if ends.cap == "square" else LONGER)
        path, dots = _longer(part.path, by)
        longer = [replace(part, path=path, ends=PLAIN)] if path else []
        dot = {"round": _disc, "square": _square}[ends.cap]
        return longer + [dot(point, width / 2, part) for point in dots]
    if not opaque:
        return _as_outline(part)
    tips, dots = _tips(part.path)
    discs = [_disc(point, width / 2, part) for point in dict.fromkeys(tips + dots)]
    lines = any(letter not in "MZ" for letter, _ in part.path)
    return ([replace(part, ends=PLAIN)] if lines else []) + discs


def needed_ends(part: Drawn, exact: bool) -> list[Drawn]:
    """Return parts that look like `part`, with the caps and joins that are seen, for a dialect that has both.

    Cap or join are "" where the path has no end, or no corner. Dots become discs and squares: as lines they would be
    rounded away. exact: only lines without any length are dots.
    """
    ends, width = part.ends, part.width
    if not part.stroke:
        return [part]
    if ends.join == "miter" and _corner_error(part.path, ends) * (width / 2) ** 2 > MAX_CORNER:
        return plain_strokes(part)  # there is no attribute for the limit
    path, dots = part.path, []
    if ends.cap != "butt" and not part.basic:
        path, dots = _without_dots(path, 0.0 if exact else DOT)
    drawn = [{"round": _disc, "square": _square}[ends.cap](dot, width / 2, part) for dot in dots]
    if any(letter not in "MZ" for letter, _ in path):
        cap = "" if part.basic or outline.is_closed(path) else ends.cap
        join = ends.join if any(_turn(u, w) > STRAIGHT for u, w in _corners(path)) else ""
        drawn.insert(0, replace(part, path=path, ends=Ends(cap, join)))
    return drawn


def common_ends(a: Ends, b: Ends) -> Ends | None:
    """Return what two strokes have in common; what is not seen of one is as the other's. None where they differ."""
    caps, joins = ({a.cap, b.cap} - {""}), ({a.join, b.join} - {""})
    return Ends("".join(caps), "".join(joins)) if len(caps) < 2 and len(joins) < 2 else None


def _without_dots(path: list[Command], longest: float) -> tuple[list[Command], list[tuple[float, float]]]:
    """Return the path without open subpaths up to so long, and the middles of these."""
    kept: list[Command] = []
    dots = []
    for start, segments, closed in _segments(path):
        left, top, right, bottom = outline.bounds([("M", start), *segments])
        if not closed and math.dist((left, top), (right, bottom)) <= longest:
            dots.append(((left + right) / 2, (top + bottom) / 2))
        else:
            kept += [("M", start), *segments, *([("Z", ())] if closed else [])]
    return kept, dots


def _as_outline(part: Drawn) -> list[Drawn]:
    area = Drawn(outline.stroked(part.path, part.width, part.ends), part.stroke, opacity=part.opacity)
    filled = [replace(part, stroke=None, width=0.0, ends=PLAIN)] if part.fill else []
    return [*filled, area]


def _disc(center: tuple[float, float], radius: float, part: Drawn) -> Drawn:
    x, y = center
    arc = (radius, radius, 0.0, 0.0, 1.0)
    path: list[Command] = [
        ("M", (x + radius, y)),
        ("A", (*arc, x - radius, y)),
        ("A", (*arc, x + radius, y)),
        ("Z", ()),
    ]
    return Drawn(path, part.stroke, opacity=part.opacity, basic=("circle", x, y, radius))


def _square(center: tuple[float, float], half: float, part: Drawn) -> Drawn:
    x, y = center
    corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    path: list[Command] = [("M", corners[0]), *(("L", corner) for corner in corners[1:]), ("Z", ())]
    return Drawn(path, part.stroke, opacity=part.opacity)


def _tangents(at: tuple[float, float], letter: str, v: tuple[float, ...]) -> tuple[tuple, tuple]:
    """Return the unit directions in which a segment starts and ends, (0, 0) for a point."""
    if letter == "A":
        curves = outline.arc_curves(at, v)
        if not curves:
            return (0.0, 0.0), (0.0, 0.0)
        last = curves[-2][1][-2:] if len(curves) > 1 else at
        return _tangents(at, *curves[0])[0], _tangents(last, *curves[-1])[1]
    points = [at, *((v[i], v[i + 1]) for i in range(0, len(v), 2))]
    first = next((p for p in points[1:] if math.dist(p, at) > 1e-6), at)
    before = next((p for p in reversed(points[:-1]) if math.dist(p, points[-1]) > 1e-6), points[-1])
    return _unit(at, first), _unit(before, points[-1])


def _unit(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    length = math.dist(a, b)
    return ((b[0] - a[0]) / length, (b[1] - a[1]) / length) if length else (0.0, 0.0)


def _corner_error(path: list[Command], ends: Ends) -> float:
    """Return the largest difference of area at a corner, for a half width of 1."""
    if ends.join == "miter" and ends.miter_limit == 4:
        return 0.0
    worst = 0.0
    for u, w in _corners(path):
        worst = max(worst, _turn_error(u, w, ends))
    return worst


def mitres_cut_off(path: list[Command]) -> int:
    """Return how many corners are beyond the mitre limit of 4, and so blunt."""
    return sum(_turn(u, w) > math.pi - 2 * math.asin(1 / 4) for u, w in _corners(path))


def _corners(path: list[Command]) -> Iterator[tuple[tuple, tuple]]:
    """Yield the directions before and behind each corner."""
    for start, segments, closed in _segments(path):
        at, directions = start, []
        for letter, v in segments:
            directions.append(_tangents(at, letter, v))
            at = v[-2:]
        if closed and math.dist(at, start) > 1e-6:
            directions.append((_unit(at, start), _unit(at, start)))
        directions = [(u, w) for u, w in directions if u != (0.0, 0.0) and w != (0.0, 0.0)]
        around = [*directions, directions[0]] if closed and directions else directions
        for (_, u), (w, _) in pairwise(around):
            yield u, w


def _turn(u: tuple[float, float], w: tuple[float, float]) -> float:
    return math.acos(max(-1.0, min(1.0, u[0] * w[0] + u[1] * w[1])))


def _turn_error(u: tuple[float, float], w: tuple[float, float], ends: Ends) -> float:
    turn = _turn(u, w)
    if turn < STRAIGHT:
        return 0.0
    bevel, disc = math.sin(turn) / 2, turn / 2
    mitre = math.tan(turn / 2) if turn < math.pi - 0.51 else bevel  # beyond the mitre limit of 4 it is cut off
    if ends.join == "miter":
        wanted = math.tan(turn / 2) if 1 / max(1e-9, math.cos(turn / 2)) <= ends.miter_limit else bevel
    else:
        wanted = disc if ends.join == "round" else bevel
    return abs(mitre - wanted)


def _segments(path: list[Command]):
    """Yield (start, segments, closed) of each subpath."""
    start, segments = (0.0, 0.0), []
    for letter, v in [*path, ("M", (0.0, 0.0))]:
        if letter in "MZ":
            if segments or letter == "Z":
                yield start, segments, letter == "Z"
            segments = []
            start = v if letter == "M" else start
        else:
            segments.append((letter, v))


def _tips(path: list[Command]) -> tuple[list, list]:
    """Return the ends of open subpaths, and the places of subpaths that are points."""
    tips, dots = [], []
    for start, segments, closed in _segments(path):
        end = segments[-1][1][-2:] if segments else start
        if not any(_tangents(start, letter, v)[0] != (0.0, 0.0) for letter, v in segments):
            dots.append(start)
        elif not closed:
            tips += [start, end]
    return tips, dots


def _longer(path: list[Command], by: float) -> tuple[list[Command], list[tuple[float, float]]]:
    """Return the path with its open ends moved on, and the places of subpaths that are points."""
    result: list[Command] = []
    dots = []
    for start, segments, closed in _segments(path):
        if not any(_tangents(start, letter, v)[0] != (0.0, 0.0) for letter, v in segments):
            dots.append(start)
            continue
        if closed:
            result += [("M", start), *segments, ("Z", ())]
            continue
        u, v = _tangents(start, *segments[0])[0]
        last = segments[-2][1][-2:] if len(segments) > 1 else start
        p, q = _tangents(last, *segments[-1])[1]
        x, y = segments[-1][1][-2:]
        before, after = (start[0] - by * u, start[1] - by * v), (x + by * p, y + by * q)
        # A line ends later; a curve keeps its shape and is followed by a line.
        result.append(("M", before))
        result += [] if segments[0][0] == "L" else [("L", start)]
        result += segments[:-1] if segments[-1][0] == "L" else segments
        result.append(("L", after))
    return result, dots
