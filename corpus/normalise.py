"""For the demo data: one SVG of flat artwork → the same picture in the prompt dialect on the 256 × 256 canvas.

Handles what icon sets such as Twemoji use: shapes and paths, group attributes, transforms, any viewBox. What the
dialect cannot express (gradients, clipping, masks, text, images) is refused by name. Shapes keep being shapes; path
data becomes absolute, on the integer grid or with the decimals asked for.
"""

from dataclasses import dataclass

from common.svg_values import (
    Command,
    ValueFault,
    absolute_path,
    parse_number,
    parse_paint,
    parse_path,
    parse_points,
    parse_transform,
)
from svg_constraint import CANVAS, SHAPES

# Inherited by shapes from their groups. The rules that say how overlaps are filled and ends are capped cannot be
# written in the dialect: they are dropped, and whoever calls this compares the pictures.
INHERITED = ("fill", "stroke", "stroke-width", "fill-opacity", "stroke-opacity")
IGNORED = frozenset(
    "id class version space base x-data fill-rule clip-rule stroke-linecap stroke-linejoin stroke-miterlimit".split()
)
REFUSED = frozenset(
    "linearGradient radialGradient pattern clipPath mask filter text image use symbol style switch".split()
)
LENGTHS = {
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "line": ("x1", "y1", "x2", "y2"),
}


class Refused(ValueError):
    """This SVG cannot be brought into the dialect; the text is a short reason that can be counted."""


@dataclass(frozen=True)
class Shape:
    """One element of the result. Geometry is on the canvas, before `transform` is applied."""

    tag: str
    geometry: dict[str, str]
    fill: str
    stroke: str
    stroke_width: str
    opacity: str
    transform: str
    commands: tuple[Command, ...] = ()  # of a path, absolute and rounded, as written in geometry["d"]

    def text(self) -> str:
        paint = [
            ("fill", short_hex(self.fill)),
            ("stroke", short_hex(self.stroke)),
            ("stroke-width", self.stroke_width),
        ]
        rest = [("opacity", self.opacity), ("transform", self.transform)]
        attributes = [*self.geometry.items(), *paint, *rest]
        return f"<{self.tag} " + " ".join(f'{name}="{value}"' for name, value in attributes if value) + "/>"


def short_hex(colour: str) -> str:
    """#ffcc00 → #fc0 where nothing is lost; other texts as they are."""
    return "#" + colour[1::2] if colour.startswith("#") and colour[1::2] == colour[2::2] else colour


@dataclass(frozen=True)
class Scale:
    """From the source's user space to the canvas: x' = factor · x + dx, rounded to `decimals`."""

    factor: float
    dx: float
    dy: float
    decimals: int

    def x(self, value: float) -> float:
        return round(self.factor * value + self.dx, self.decimals)

    def y(self, value: float) -> float:
        return round(self.factor * value + self.dy, self.decimals)

    def length(self, value: float) -> float:
        return round(self.factor * value, self.decimals)


def normalise(svg: bytes, decimals: int = 0) -> list[Shape]:
    """Return the shapes of an SVG file on the canvas, in drawing order. Raises Refused with the reason."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(svg, parser)
    except etree.XMLSyntaxError:
        raise Refused("not well-formed") from None
    scale = _scale(root, decimals)
    shapes: list[Shape] = []
    try:
        for child in root:
            _walk(child, {}, [], 1.0, scale, shapes)
    except ValueFault as fault:
        raise Refused(f"bad value: {fault.rule}") from None
    if not shapes:
        raise Refused("nothing is drawn")
    return shapes


def _scale(root, decimals: int) -> Scale:
    try:
        x, y, width, height = (float(part) for part in root.get("viewBox", "").replace(",", " ").split())
    except ValueError:
        raise Refused("no viewBox") from None
    if width <= 0 or height <= 0:
        raise Refused("empty viewBox")
    factor = CANVAS / max(width, height)
    # A viewBox that is not square is centred, as preserveAspectRatio's default has it.
    dx, dy = (CANVAS - factor * width) / 2 - factor * x, (CANVAS - factor * height) / 2 - factor * y
    return Scale(factor, dx, dy, decimals)


def _walk(element, inherited: dict, transforms: list, opacity: float, scale: Scale, shapes: list[Shape]) -> None:
    if not isinstance(element.tag, str):
        raise Refused("processing instruction or entity")
    tag = element.tag.rpartition("}")[2]
    if tag in REFUSED:
        raise Refused(tag)
    if tag in ("title", "desc", "metadata") or (tag == "defs" and len(element) == 0):
        return
    own = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    own |= _style(own.pop("style", ""))
    for name in own.keys() - {*INHERITED, *IGNORED, *LENGTHS.get(tag, ()), "d", "points", "transform", "opacity"}:
        raise Refused(f"attribute {name}")
    transforms = transforms + (parse_transform(own["transform"]) if "transform" in own else [])
    inherited = inherited | {name: own[name] for name in INHERITED if name in own}
    group_opacity = parse_number(own.get("opacity", "1"))
    if tag == "g":
        if group_opacity < 1 and len(element) > 1:
            raise Refused("group opacity")  # it is not the opacity of each member: they overlap
        for child in element:
            _walk(child, inherited, transforms, opacity * group_opacity, scale, shapes)
    elif tag in SHAPES:
        shape = _shape(tag, own, inherited, transforms, opacity * group_opacity, scale)
        if shape:
            shapes.append(shape)
    else:
        raise Refused(f"element {tag}")


def _style(text: str) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in text.split(";") if ":" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def _shape(tag: str, own: dict, inherited: dict, transforms: list, opacity: float, scale: Scale) -> Shape | None:
    """Return the shape on the canvas, or None when it draws nothing."""
    fill, stroke = _colour(inherited.get("fill", "black")), _colour(inherited.get("stroke", "none"))
    if fill == stroke == "none":
        return None
    for name, paint, other in (("fill-opacity", fill, stroke), ("stroke-opacity", stroke, fill)):
        share = parse_number(inherited.get(name, "1"))
        if paint != "none" and share < 1:
            if other != "none":
                raise Refused(name)
            opacity *= share
    commands: tuple[Command, ...] = ()
    if tag == "path":
        commands = tuple(_rounded(absolute_path(parse_path(own.get("d", ""))), scale))
        geometry = {"d": path_text(commands)}
    elif tag in ("polyline", "polygon"):
        points = ((scale.x(x), scale.y(y)) for x, y in parse_points(own.get("points", "")))
        geometry = {"points": " ".join(f"{_text(x)},{_text(y)}" for x, y in points)}
    else:
        geometry = {name: _length(name, own[name], scale) for name in LENGTHS[tag] if name in own}
    if "" in geometry.values() or any(geometry.get(name) == "0" for name in ("r", "width", "height")):
        return None
    return Shape(
        tag=tag,
        geometry=geometry,
        fill=fill,
        stroke="" if stroke == "none" else stroke,
        stroke_width="" if stroke == "none" else _text(scale.factor * parse_number(inherited.get("stroke-width", "1"))),
        opacity="" if opacity >= 1 else _text(round(opacity, 2), 2),
        transform=" ".join(_transform(name, values, scale) for name, values in transforms),
        commands=commands,
    )


def _colour(text: str) -> str:
    kind, value = parse_paint(text)
    if kind == "url":
        raise Refused("paint server")
    return "none" if kind == "none" else value


def _length(name: str, value: str, scale: Scale) -> str:
    number = parse_number(value.removesuffix("px"))
    if name in ("cx", "x", "x1", "x2"):
        return _text(scale.x(number))
    if name in ("cy", "y", "y1", "y2"):
        return _text(scale.y(number))
    return _text(scale.length(number))


def _transform(name: str, v: tuple[float, ...], scale: Scale) -> str:
    """The same transform between canvas coordinates: S · T · S⁻¹, where S is the scale."""
    k, dx, dy = scale.factor, scale.dx, scale.dy
    if name == "rotate":
        x, y = v[1:] if len(v) == 3 else (0.0, 0.0)
        v = (v[0], k * x + dx, k * y + dy)
    elif name == "translate":
        v = tuple(k * value for value in v)
    elif name == "matrix" or dx or dy:
        from common.svg_values import transform_matrix

        a, b, c, d, e, f = transform_matrix([(name, v)])
        name, v = "matrix", (a, b, c, d, k * e + dx - a * dx - c * dy, k * f + dy - b * dx - d * dy)
    return f"{name}({' '.join(_text(value, 3) for value in v)})"


def _rounded(commands: list[Command], scale: Scale) -> list[Command]:
    """Scale and round absolute commands; leave out what rounding has made a point."""
    result: list[Command] = []
    x = y = start_x = start_y = 0.0
    for i, (letter, values) in enumerate(commands):
        scaled = _scaled(letter, values, scale)
        if letter == "Z":
            x, y = start_x, start_y
        else:
            before = (x, y)
            x = scaled[0] if letter == "H" else x if letter == "V" else scaled[-2]
            y = scaled[0] if letter == "V" else y if letter == "H" else scaled[-1]
            if letter == "M":
                start_x, start_y = x, y
            if letter == "A" and (not scaled[0] or not scaled[1]):
                letter, scaled = "L", (x, y)
            smooth_next = i + 1 < len(commands) and commands[i + 1][0] in "ST"  # it mirrors this one's control point
            if letter != "M" and not smooth_next and before == (x, y) and _is_point(letter, scaled, before):
                continue
        result.append((letter, scaled))
    return _without_empty_subpaths(result)


def _is_point(letter: str, values: tuple[float, ...], at: tuple[float, float]) -> bool:
    if letter in "HVLTA":
        return True
    return all((values[i], values[i + 1]) == at for i in range(0, len(values), 2))


def _without_empty_subpaths(commands: list[Command]) -> list[Command]:
    kept: list[Command] = []
    for i, command in enumerate(commands):
        following = commands[i + 1][0] if i + 1 < len(commands) else "M"
        if command[0] == "M" and following in "MZ":
            continue
        if command[0] == "Z" and (not kept or kept[-1][0] in "MZ"):
            continue
        kept.append(command)
    return kept


def _scaled(letter: str, v: tuple[float, ...], scale: Scale) -> tuple[float, ...]:
    if letter == "H":
        return (scale.x(v[0]),)
    if letter == "V":
        return (scale.y(v[0]),)
    if letter == "A":
        return (scale.length(v[0]), scale.length(v[1]), round(v[2], 1), *v[3:5], scale.x(v[5]), scale.y(v[6]))
    return tuple(scale.y(value) if i % 2 else scale.x(value) for i, value in enumerate(v))


def path_text(commands: tuple[Command, ...]) -> str:
    """Write path data as people do: a letter, its numbers, a space before the next letter."""
    return " ".join(letter + " ".join(map(_text, values)) for letter, values in commands)


def _text(value: float, decimals: int = 1) -> str:
    """Write a number as short as it goes: 12, 12.5, .5 is kept as 0.5."""
    return f"{round(value, decimals):g}" if abs(value) < 1e5 else str(round(value))
