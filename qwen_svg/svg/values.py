"""The value grammars of SVG: numbers, path data, points, transforms, colours.

Each parser takes the text of one attribute and returns plain Python values, or raises ValueFault with a sentence.
Sources: SVG 2 (https://www.w3.org/TR/SVG2/), path data grammar in §9.3.9; CSS Color 4 for the named colours.
Python's float() is not this grammar: it takes `NaN`, `1_0`, and digits of other scripts. All patterns are possessive
or free of ambiguity, so that hostile text costs linear time. Imports nothing of the project.
"""

import math
import re

MAX_ABS = 100_000.0  # numbers beyond this have no place on a canvas of 256 and overflow when multiplied
MAX_POINTS = 1_000
MAX_TRANSFORMS = 16
MAX_PATH_COMMANDS = 2_000

Matrix = tuple[float, float, float, float, float, float]
Command = tuple[str, tuple[float, ...]]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class ValueFault(ValueError):
    """A value that does not follow its grammar. `rule` is the checker's stable name for it."""

    def __init__(self, rule: str, message: str):
        super().__init__(message)
        self.rule = rule


# --- numbers --------------------------------------------------------------------------------------------------

_NUMBER = r"[+-]?(?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+"
NUMBER = re.compile(_NUMBER, re.ASCII)
_unit = re.compile(_NUMBER + r"(?:%|px|pt|pc|mm|cm|in|em|ex|rem|vw|vh|deg|rad|turn)", re.ASCII)
_separator = re.compile(r"[ \t\r\n\f]*+(?:,[ \t\r\n\f]*+)?+")
_space = re.compile(r"[ \t\r\n\f]*+")


def parse_number(text: str) -> float:
    """Return the one number that `text` is, white space around it allowed."""
    text = text.strip(" \t\r\n\f")
    if not NUMBER.fullmatch(text):
        if _unit.fullmatch(text) or text.startswith("calc("):
            raise ValueFault("number", f"{_short(text)} has a unit; write a plain number")
        raise ValueFault("number", f"{_short(text)} is not a number")
    return _checked(text)


def _checked(text: str) -> float:
    """Turn number text that follows the grammar into a float within range."""
    value = float(text)
    if math.isinf(value):
        raise ValueFault("number", f"{_short(text)} is not finite")
    if not -MAX_ABS <= value <= MAX_ABS:
        raise ValueFault("range", f"{_short(text)} is out of range (±{MAX_ABS:g})")
    return value


def _numbers(text: str, position: int, count: int, rule: str) -> tuple[list[float], int]:
    """Read `count` numbers separated by white space or one comma; return them and the position behind."""
    values = []
    for i in range(count):
        if i:
            position = _separator.match(text, position).end()
        match = NUMBER.match(text, position)
        if not match:
            raise ValueFault(rule, f"a number is wanted at {_short(text[position : position + 20]) or 'the end'}")
        values.append(_checked(match.group()))
        position = match.end()
    return values, position


# --- path data ------------------------------------------------------------------------------------------------

ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_flag = re.compile(r"[01]")
# A command that is no arc, with all its numbers and no comma behind them: what nearly all path data is made of.
_SPACE = r"[ \t\r\n\f]*+"
_run = re.compile(
    rf"([MLHVCSQT]){_SPACE}({_NUMBER}(?:{_SPACE}(?:,{_SPACE})?+{_NUMBER})*+){_SPACE}(?!,)", re.ASCII | re.IGNORECASE
)
_spare = re.compile(_NUMBER + r"[ \t\r\n\f]*+(?=[A-Za-z]|$)")


def parse_path(d: str, spare_coordinate: bool = False) -> list[Command]:
    """Return explicit commands: repeated arguments expanded (after M as L), letters as written, flags as 0.0/1.0.

    spare_coordinate: overlook one coordinate too many behind a moveto's pairs (`M1 2 3 4 5 L…`).
    Arc flags need no separators (`a5 5 0 01.5.5`): a reader that splits at numbers misreads them.
    """
    position = _space.match(d).end()
    if position == len(d):
        raise ValueFault("path", "the path data is empty")
    commands: list[Command] = []
    letter, implicit = "", False  # implicit: these are lines because more pairs follow a moveto
    while position < len(d):
        if (run := _run.match(d, position)) and (expanded := _expanded(*run.groups(), first=not commands)):
            commands += expanded
            letter, position = commands[-1][0], run.end()
            if len(commands) > MAX_PATH_COMMANDS:
                raise ValueFault("path", f"more than {MAX_PATH_COMMANDS} path commands")
            continue
        if d[position].upper() in ARGUMENTS and d[position].isascii():
            letter = d[position]
            implicit = False
            if not commands and letter not in "Mm":
                raise ValueFault("path", f"path data starts with M or m, not {letter}")
            position = _space.match(d, position + 1).end()
        elif not letter or letter in "Zz":
            raise ValueFault("path", f"a path command is wanted at {_short(d[position : position + 20])}")
        else:  # more arguments of the same command
            if spare_coordinate and letter in "Ll" and implicit and (spare := _spare.match(d, position)):
                position = spare.end()
                continue
            implicit = implicit or letter in "Mm"
            letter = {"M": "L", "m": "l"}.get(letter, letter)
        values, position = _arguments(d, position, letter)
        commands.append((letter, values))
        if len(commands) > MAX_PATH_COMMANDS:
            raise ValueFault("path", f"more than {MAX_PATH_COMMANDS} path commands")
        if letter in "Zz":
            position = _space.match(d, position).end()
            continue
        after = _separator.match(d, position).end()
        comma = "," in d[position:after]
        position = after
        if comma and (position == len(d) or not (d[position] in "+-." or "0" <= d[position] <= "9")):
            raise ValueFault("path", f"a number is wanted behind the comma, at {_short(d[position : position + 20])}")
    return commands


def _expanded(letter: str, numbers: str, first: bool) -> list[Command]:
    """Return a command with repeated arguments as commands; [] where something is wrong, which slow reading finds."""
    count = ARGUMENTS[letter.upper()]
    values = [float(text) for text in NUMBER.findall(numbers)]
    if len(values) % count or max(values) > MAX_ABS or min(values) < -MAX_ABS or (first and letter not in "Mm"):
        return []
    if len(values) == count:
        return [(letter, tuple(values))]
    rest = {"M": "L", "m": "l"}.get(letter, letter)
    return [(rest if i else letter, tuple(values[i : i + count])) for i in range(0, len(values), count)]


def _arguments(d: str, position: int, letter: str) -> tuple[tuple[float, ...], int]:
    upper = letter.upper()
    if upper != "A":
        values, position = _numbers(d, position, ARGUMENTS[upper], "path")
        return tuple(values), position
    values, position = _numbers(d, position, 3, "path")
    if values[0] < 0 or values[1] < 0:
        raise ValueFault("path", f"an arc's radius is negative ({values[0]:g} {values[1]:g})")
    for _ in range(2):
        position = _separator.match(d, position).end()
        if not _flag.match(d, position):
            raise ValueFault("path", f"an arc flag (0 or 1) is wanted at {_short(d[position : position + 20])}")
        values.append(float(d[position]))
        position += 1
    position = _separator.match(d, position).end()
    end, position = _numbers(d, position, 2, "path")
    return (*values, *end), position


def absolute_path(commands: list[Command]) -> list[Command]:
    """Return the same path in upper-case commands with absolute coordinates (H and V are kept)."""
    x = y = start_x = start_y = 0.0
    result: list[Command] = []
    for letter, values in commands:
        upper = letter.upper()
        relative = letter != upper
        dx, dy = (x, y) if relative else (0.0, 0.0)
        if upper == "Z":
            x, y = start_x, start_y
        elif upper == "H":
            x = values[0] + dx
            values = (x,)
        elif upper == "V":
            y = values[0] + dy
            values = (y,)
        else:
            if relative and len(values) == 6:  # cubic curves, which are most of all commands
                a, b, c, d, e, f = values
                values = (a + x, b + y, c + x, d + y, e + x, f + y)
            elif relative:
                fixed = 5 if upper == "A" else 0  # radii, rotation and flags do not move
                points = zip(values[fixed::2], values[fixed + 1 :: 2], strict=True)
                values = (*values[:fixed], *[v for px, py in points for v in (px + x, py + y)])
            x, y = values[-2:]
            if upper == "M":
                start_x, start_y = x, y
        result.append((upper, values))
    return result


def path_hull(commands: list[Command]) -> list[tuple[float, float]]:
    """Return points whose convex hull holds the absolute path.

    Control points hold their Bézier curves. An arc lies within its (scaled-up) diameter of its end points.
    """
    points: list[tuple[float, float]] = []
    x = y = start_x = start_y = 0.0
    reflected: tuple[float, float] | None = None  # the control point that S or T starts with
    kind = ""
    for letter, values in commands:
        start = (x, y)
        x, y = _end(letter, values, start, (start_x, start_y))
        control = None
        if letter == "M":
            start_x, start_y = x, y
        elif letter in "CSQ":
            points.extend(zip(values[:-2:2], values[1:-2:2], strict=True))
            control = (values[-4], values[-3])
        if letter in "ST" and reflected and kind in ("CS" if letter == "S" else "QT"):
            points.append(reflected)
            control = control or reflected
        if letter == "A":
            reach = 2 * max(values[0], values[1], math.dist(start, (x, y)) / 2)
            for px, py in (start, (x, y)):
                points += [(px - reach, py - reach), (px + reach, py + reach)]
        points.append((x, y))
        reflected = (2 * x - control[0], 2 * y - control[1]) if control else None
        kind = letter
    return points


def check_path(commands: list[Command]) -> None:
    """Raise ValueFault where a path that follows the grammar draws nothing, or has an arc that is none."""
    if all(letter in "MmZz" for letter, _ in commands):
        raise ValueFault("path", "the path moves but draws nothing")
    x = y = 0.0
    start = (0.0, 0.0)
    for letter, values in absolute_path(commands):
        if letter == "A":
            if not values[0] or not values[1]:
                raise ValueFault("degenerate", "an arc with a zero radius is a straight line; write L")
            if (values[5], values[6]) == (x, y):
                raise ValueFault("degenerate", "an arc that ends where it starts draws nothing; use a circle")
        x, y = _end(letter, values, (x, y), start)
        start = (x, y) if letter == "M" else start


def _end(
    letter: str, values: tuple[float, ...], at: tuple[float, float], start: tuple[float, float]
) -> tuple[float, float]:
    """Return where an absolute command ends that begins at `at`, in a subpath that began at `start`."""
    if letter == "Z":
        return start
    if letter in "HV":
        return (values[0], at[1]) if letter == "H" else (at[0], values[0])
    return values[-2:]


# --- points and transforms --------------------------------------------------------------------------------------


def parse_points(text: str, spare_coordinate: bool = False) -> list[tuple[float, float]]:
    """Return the coordinate pairs of a `points` attribute. spare_coordinate: overlook a last one without its pair."""
    position = _space.match(text).end()
    values: list[float] = []
    while position < len(text):
        if len(values) >= 2 * MAX_POINTS:
            raise ValueFault("points", f"more than {MAX_POINTS} points")
        (value,), position = _numbers(text, position, 1, "points")
        values.append(value)
        after = _separator.match(text, position).end()
        if after == len(text) and "," in text[position:]:
            raise ValueFault("points", "the points end in a comma")
        position = after
    if len(values) % 2 and not spare_coordinate:
        raise ValueFault("points", f"{len(values)} coordinates do not make pairs")
    return list(zip(values[::2], values[1::2], strict=not spare_coordinate))


TRANSFORM_ARGUMENTS = {
    "matrix": (6,),
    "translate": (1, 2),
    "scale": (1, 2),
    "rotate": (1, 3),
    "skewX": (1,),
    "skewY": (1,),
}
_function = re.compile(r"([A-Za-z][A-Za-z0-9]{0,15})[ \t\r\n\f]*+\(")


def parse_transform(text: str) -> list[tuple[str, tuple[float, ...]]]:
    """Return the functions of a `transform` attribute (SVG's grammar, not CSS's: no units)."""
    position = _space.match(text).end()
    functions: list[tuple[str, tuple[float, ...]]] = []
    while position < len(text):
        match = _function.match(text, position)
        if not match or match.group(1) not in TRANSFORM_ARGUMENTS:
            known = ", ".join(TRANSFORM_ARGUMENTS)
            raise ValueFault("transform", f"{_short(text[position : position + 20])} is not one of {known}")
        if len(functions) == MAX_TRANSFORMS:
            raise ValueFault("transform", f"more than {MAX_TRANSFORMS} transform functions")
        name = match.group(1)
        position = _space.match(text, match.end()).end()
        values: list[float] = []
        while len(values) <= 6 and not text.startswith(")", position):
            (value,), position = _numbers(text, position, 1, "transform")
            values.append(value)
            position = _separator.match(text, position).end()
        if not text.startswith(")", position) or len(values) not in TRANSFORM_ARGUMENTS[name]:
            wanted = " or ".join(map(str, TRANSFORM_ARGUMENTS[name]))
            raise ValueFault("transform", f"{name}() takes {wanted} numbers")
        functions.append((name, tuple(values)))
        position = _separator.match(text, position + 1).end()
    if not functions:
        raise ValueFault("transform", "the transform is empty")
    return functions


def transform_matrix(functions: list[tuple[str, tuple[float, ...]]]) -> Matrix:
    """Return the product of the functions as (a, b, c, d, e, f): x' = ax + cy + e, y' = bx + dy + f."""
    result = IDENTITY
    for name, values in functions:
        result = multiply(result, _function_matrix(name, values))
    return result


def _function_matrix(name: str, v: tuple[float, ...]) -> Matrix:
    if name == "matrix":
        return v  # type: ignore[return-value]
    if name == "translate":
        return (1, 0, 0, 1, v[0], v[1] if len(v) > 1 else 0)
    if name == "scale":
        return (v[0], 0, 0, v[1] if len(v) > 1 else v[0], 0, 0)
    if name in ("skewX", "skewY"):
        slope = math.tan(math.radians(v[0]))
        return (1, 0, slope, 1, 0, 0) if name == "skewX" else (1, slope, 0, 1, 0, 0)
    cos, sin = math.cos(math.radians(v[0])), math.sin(math.radians(v[0]))
    x, y = v[1:] if len(v) == 3 else (0.0, 0.0)
    return (cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y)


def multiply(m: Matrix, n: Matrix) -> Matrix:
    """Return m · n: n is applied first."""
    a, b, c, d, e, f = m
    g, h, i, j, k, o = n
    return (a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * o + e, b * k + d * o + f)


def check_matrix(matrix: Matrix) -> None:
    """Raise ValueFault when the matrix overflows or flattens what it is applied to."""
    if not all(-MAX_ABS <= value <= MAX_ABS for value in matrix):
        raise ValueFault("range", f"the transform's product is out of range (±{MAX_ABS:g})")
    a, b, c, d, _, _ = matrix
    if abs(a * d - b * c) < 1e-9:
        raise ValueFault("degenerate", "the transform has no inverse: it flattens everything to a line or point")


# --- paint ----------------------------------------------------------------------------------------------------

_hex = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})", re.ASCII)
_rgb = re.compile(r"rgb\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)", re.ASCII | re.IGNORECASE)
_url = re.compile(r"url\(#([A-Za-z_][A-Za-z0-9_.-]*+)\)", re.ASCII)
_ALPHA = re.compile(r"#(?:[0-9a-fA-F]{4}|[0-9a-fA-F]{8})", re.ASCII)
_KEYWORDS = {"inherit", "currentcolor", "transparent", "context-fill", "context-stroke", "initial", "unset"}


def parse_paint(text: str) -> tuple[str, str]:
    """Return ("none", ""), ("colour", "#rrggbb") or ("url", id)."""
    lower = text.strip().lower()
    if lower == "none":
        return "none", ""
    if lower in NAMED_COLOURS:
        return "colour", NAMED_COLOURS[lower]
    if _hex.fullmatch(lower):
        return "colour", lower if len(lower) == 7 else "#" + "".join(2 * digit for digit in lower[1:])
    if match := _rgb.fullmatch(lower):
        parts = [int(part) for part in match.groups()]
        if max(parts) <= 255:
            return "colour", "#{:02x}{:02x}{:02x}".format(*parts)
        raise ValueFault("paint", f"{_short(text)}: each part of rgb() is 0 to 255")
    if match := _url.fullmatch(text.strip()):
        return "url", match.group(1)
    raise ValueFault(*_paint_fault(text, lower))


def _paint_fault(text: str, lower: str) -> tuple[str, str]:
    shown = _short(text)
    if "url" in lower or "\\" in lower or ":" in lower:
        return (
            "reference",
            f"{shown} is a reference; only url(#id) is allowed, to a gradient in this file",
        )
    if _ALPHA.fullmatch(lower) or lower.startswith(("rgba(", "hsla(")):
        return "paint", f"{shown} has an alpha part; write an opaque colour and the attribute opacity"
    if lower in _KEYWORDS:
        return "paint", f"{shown} is a CSS keyword; write none or a colour"
    if lower.startswith(("hsl(", "hwb(", "lab(", "lch(", "oklab(", "oklch(", "color(", "rgb(")):
        return "paint", f"{shown} is a CSS colour function that renderers differ on; write #rrggbb"
    if not lower:
        return "paint", "the colour is empty; write none or a colour"
    if re.fullmatch(r"[a-z][a-z -]{0,40}", lower):
        return "paint", f"no renderer knows the colour {shown}; write #rrggbb or a CSS colour name"
    return "paint", f"{shown} is not a colour"


def _short(text: str) -> str:
    """Text for a sentence: quoted, cut at 40 characters, nothing unprintable in it (lone surrogates above all)."""
    return repr(text if len(text) <= 40 else text[:37] + "…") if text else ""


# fmt: off
NAMED_COLOURS = {name: "#" + code for name, code in (pair.split(":") for pair in """
aliceblue:f0f8ff antiquewhite:faebd7 aqua:00ffff aquamarine:7fffd4 azure:f0ffff beige:f5f5dc bisque:ffe4c4
black:000000 blanchedalmond:ffebcd blue:0000ff blueviolet:8a2be2 brown:a52a2a burlywood:deb887 cadetblue:5f9ea0
chartreuse:7fff00 chocolate:d2691e coral:ff7f50 cornflowerblue:6495ed cornsilk:fff8dc crimson:dc143c cyan:00ffff
darkblue:00008b darkcyan:008b8b darkgoldenrod:b8860b darkgray:a9a9a9 darkgreen:006400 darkgrey:a9a9a9
darkkhaki:bdb76b darkmagenta:8b008b darkolivegreen:556b2f darkorange:ff8c00 darkorchid:9932cc darkred:8b0000
darksalmon:e9967a darkseagreen:8fbc8f darkslateblue:483d8b darkslategray:2f4f4f darkslategrey:2f4f4f
darkturquoise:00ced1 darkviolet:9400d3 deeppink:ff1493 deepskyblue:00bfff dimgray:696969 dimgrey:696969
dodgerblue:1e90ff firebrick:b22222 floralwhite:fffaf0 forestgreen:228b22 fuchsia:ff00ff gainsboro:dcdcdc
ghostwhite:f8f8ff gold:ffd700 goldenrod:daa520 gray:808080 green:008000 greenyellow:adff2f grey:808080
honeydew:f0fff0 hotpink:ff69b4 indianred:cd5c5c indigo:4b0082 ivory:fffff0 khaki:f0e68c lavender:e6e6fa
lavenderblush:fff0f5 lawngreen:7cfc00 lemonchiffon:fffacd lightblue:add8e6 lightcoral:f08080 lightcyan:e0ffff
lightgoldenrodyellow:fafad2 lightgray:d3d3d3 lightgreen:90ee90 lightgrey:d3d3d3 lightpink:ffb6c1 lightsalmon:ffa07a
lightseagreen:20b2aa lightskyblue:87cefa lightslategray:778899 lightslategrey:778899 lightsteelblue:b0c4de
lightyellow:ffffe0 lime:00ff00 limegreen:32cd32 linen:faf0e6 magenta:ff00ff maroon:800000 mediumaquamarine:66cdaa
mediumblue:0000cd mediumorchid:ba55d3 mediumpurple:9370db mediumseagreen:3cb371 mediumslateblue:7b68ee
mediumspringgreen:00fa9a mediumturquoise:48d1cc mediumvioletred:c71585 midnightblue:191970 mintcream:f5fffa
mistyrose:ffe4e1 moccasin:ffe4b5 navajowhite:ffdead navy:000080 oldlace:fdf5e6 olive:808000 olivedrab:6b8e23
orange:ffa500 orangered:ff4500 orchid:da70d6 palegoldenrod:eee8aa palegreen:98fb98 paleturquoise:afeeee
palevioletred:db7093 papayawhip:ffefd5 peachpuff:ffdab9 peru:cd853f pink:ffc0cb plum:dda0dd powderblue:b0e0e6
purple:800080 rebeccapurple:663399 red:ff0000 rosybrown:bc8f8f royalblue:4169e1 saddlebrown:8b4513 salmon:fa8072
sandybrown:f4a460 seagreen:2e8b57 seashell:fff5ee sienna:a0522d silver:c0c0c0 skyblue:87ceeb slateblue:6a5acd
slategray:708090 slategrey:708090 snow:fffafa springgreen:00ff7f steelblue:4682b4 tan:d2b48c teal:008080
thistle:d8bfd8 tomato:ff6347 turquoise:40e0d0 violet:ee82ee wheat:f5deb3 white:ffffff whitesmoke:f5f5f5
yellow:ffff00 yellowgreen:9acd32
""".split())}
# fmt: on
