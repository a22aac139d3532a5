"""The outline of each basic shape, in its own coordinates, and what it is in numbers."""

from typing import Any

from corpus.optimization import outline
from corpus.optimization.svg_style import Style
from qwen_svg.svg.values import Command, parse_points

MARKED = ("path", "line", "polyline", "polygon")


def _path(own: Style, _measure: Any) -> tuple[list[Command], tuple]:
    text = own.get("d", "").strip()
    if text.startswith("path("):
        text = text[5:-1].strip("\"' ")
    return (outline.parse(text) if text and text != "none" else []), ()


def _rect(own: Style, measure: Any) -> tuple[list[Command], tuple]:
    x, y, w, h = measure("x", "x"), measure("y", "y"), measure("width", "x"), measure("height", "y")
    if w <= 0 or h <= 0:
        return [], ()
    rx, ry = (None if own.get(n, "auto") == "auto" else measure(n, n[1]) for n in ("rx", "ry"))
    rx, ry = (None if r is None or r < 0 else r for r in (rx, ry))  # a negative radius is as if not given
    rx, ry = (ry or 0.0 if rx is None else rx), (rx or 0.0 if ry is None else ry)
    rx, ry = min(max(rx, 0.0), w / 2), min(max(ry, 0.0), h / 2)
    if not rx or not ry:
        path = [("M", (x, y)), ("L", (x + w, y)), ("L", (x + w, y + h)), ("L", (x, y + h)), ("Z", ())]
        return path, ("rect", x, y, w, h, 0.0, 0.0)
    arc = (rx, ry, 0.0, 0.0, 1.0)
    path = [
        ("M", (x + rx, y)), ("L", (x + w - rx, y)), ("A", (*arc, x + w, y + ry)), ("L", (x + w, y + h - ry)),
        ("A", (*arc, x + w - rx, y + h)), ("L", (x + rx, y + h)), ("A", (*arc, x, y + h - ry)), ("L", (x, y + ry)),
        ("A", (*arc, x + rx, y)), ("Z", ()),
    ]  # fmt: skip
    return path, ("rect", x, y, w, h, rx, ry)


def _round(cx: float, cy: float, rx: float, ry: float) -> list[Command]:
    if rx <= 0 or ry <= 0:
        return []
    arc = (rx, ry, 0.0, 0.0, 1.0)
    return [("M", (cx + rx, cy)), ("A", (*arc, cx - rx, cy)), ("A", (*arc, cx + rx, cy)), ("Z", ())]


def _circle(own: Style, measure: Any) -> tuple[list[Command], tuple]:
    cx, cy, r = measure("cx", "x"), measure("cy", "y"), measure("r", "r")
    return _round(cx, cy, r, r), ("circle", cx, cy, r)


def _ellipse(own: Style, measure: Any) -> tuple[list[Command], tuple]:
    cx, cy = measure("cx", "x"), measure("cy", "y")
    rx, ry = measure("rx", "x"), measure("ry", "y")
    rx, ry = (ry if own.get("rx", "auto") == "auto" else rx), (rx if own.get("ry", "auto") == "auto" else ry)
    return _round(cx, cy, rx, ry), ("ellipse", cx, cy, rx, ry)


def _line(own: Style, measure: Any) -> tuple[list[Command], tuple]:
    ends = measure("x1", "x"), measure("y1", "y"), measure("x2", "x"), measure("y2", "y")
    return [("M", ends[:2]), ("L", ends[2:])], ()


def _poly(closed: bool) -> Any:
    def read(own: Style, _measure: Any) -> tuple[list[Command], tuple]:
        points = parse_points(own.get("points", ""), spare_coordinate=True)
        if len(points) < 2:
            return [], ()
        path: list[Command] = [("M", points[0]), *(("L", point) for point in points[1:])]
        return ([*path, ("Z", ())] if closed else path), ()

    return read


BASIC_SHAPES = {
    "path": _path,
    "rect": _rect,
    "circle": _circle,
    "ellipse": _ellipse,
    "line": _line,
    "polyline": _poly(False),
    "polygon": _poly(True),
}
