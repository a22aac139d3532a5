"""The one specification of a legal SVG, and the checker.

    python svg_constraint.py drawing.svg                    # what is wrong with it, line by line
    python svg_constraint.py --json --dialect kaggle *.svg  # one JSON object a line
    cat answer.svg | python svg_constraint.py -

Exit code 0: all legal; 1: some are not; 2: an input cannot be read. As a library: `check(svg, dialect) -> Verdict`;
it never raises, and never opens a file or the network. The prompt's lists are rendered from the constants below.

Dialects
    prompt            the prompt template's lists, verbatim. Gradients cannot work in it: `id`, `offset` and
                      `stop-color` are not on the attribute list.
    prompt+gradients  the same, and what gradients need; every url(#x) must name a gradient in the same file
    prompt+strokes    prompt, and how a stroke ends and turns, which parts of a path are filled, and the opacity of
                      fill and stroke: line icons take half the tokens
    kaggle            the public "Drawing with LLMs" competition rule and nothing else: at most 10,000 bytes, no DTD,
                      elements and attributes from its table, no embedded data, href only to "#…"

Decisions where the template leaves a choice (prompt dialects)
    root              viewBox="0 0 256 256" in this spelling; width and height may be missing (warning) or are "256"
    colours           none, #rgb, #rrggbb, CSS names in any letter case, rgb(r, g, b) with whole numbers. Not: names no
                      renderer knows, hsl(), alpha in a colour, transparent, inherit, currentColor, url() with fallback
    character refs    decoded before checking: `&#35;f00` is a colour like any other; in comments they are plain text
    numbers           up to 3 decimals, within ±100,000; no units, except percentages in gradients; no shape reaches
                      that far on the canvas either, transforms and strokes included: renderers overflow there
    opacity           0 to 1
    visual block      needs a comment before it. A block is a <g> with all it holds, or a run of neighbouring shapes
                      with the same fill and stroke. Inside a <g> without a comment each block needs its own.
    comments          not empty, at most 500 characters; no "<", no leading ">" or "->" (an HTML parser would end the
                      comment there and run what follows); no control or bidirectional characters
    attributes        only where they mean something: `points` on polyline and polygon, viewBox on the root alone
    what draws nothing  is a violation: zero sizes, missing geometry, a path that only moves, an arc to its own start or
                      with a zero radius, a singular transform, a shape wholly outside the canvas, no shape at all
    spare coordinate  one too many behind a moveto's pairs ("M1 2 3 4 5 L…") is a warning: an error in SVG's grammar,
                      but the shared test corpus (ok-path-compact-numbers) counts it as legal. Elsewhere: violation
    outside           a shape partly outside the canvas is a warning
    nesting           no <svg> in <svg>, nothing but a gradient in defs, nothing in a shape, no text
    XML               no XML declaration, DOCTYPE, processing instruction, CDATA, extra xmlns; UTF-8 without BOM;
                      gzip is not unpacked
    layers            what is translucent is drawn on a layer of its own, as large as it: 100 canvases of them at most,
                      because a renderer takes seconds for more
    limits            64 kB, 5,000 elements, 64 levels, 32 kB an attribute, 1,000 points, 2,000 path commands,
                      16 transforms

Rules (stable names): size empty compressed utf-8 character encoding doctype xml-declaration processing-instruction
cdata not-well-formed limit root namespace tag attribute nesting text number decimals range degenerate missing path
points transform paint reference id comment-missing comment-empty comment-markup comment-length comment-character
no-shape invisible layers; embedded (kaggle). Warnings: root path outside unpainted.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

from qwen_svg.svg import values
from qwen_svg.svg.kaggle import KaggleReader
from qwen_svg.svg.reader import HARD_CAP, SEPARATOR, Reader, Stop, Verdict, Violation, qualified_name
from qwen_svg.svg.values import MAX_ABS, ValueFault

# --- the specification ----------------------------------------------------------------------------------------

CANVAS = 256
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
SVG_OPEN = f'<svg viewBox="0 0 {CANVAS} {CANVAS}" width="{CANVAS}" height="{CANVAS}" xmlns="{SVG_NAMESPACE}">'
DIALECTS = ("prompt", "prompt+gradients", "prompt+strokes", "kaggle")

# In the order of the prompt template.
PROMPT_TAGS = tuple(
    "svg path circle rect ellipse line polyline polygon g linearGradient radialGradient stop defs".split()
)
PROMPT_ATTRIBUTES = tuple(
    "viewBox width height fill stroke stroke-width d cx cy r x y rx ry x1 y1 x2 y2 points transform opacity".split()
)

_LOOK = {"fill", "stroke", "stroke-width", "opacity", "transform"}
PROMPT_TABLE = {
    "svg": {"viewBox", "width", "height"},
    "g": _LOOK,
    "path": {"d"} | _LOOK,
    "circle": {"cx", "cy", "r"} | _LOOK,
    "ellipse": {"cx", "cy", "rx", "ry"} | _LOOK,
    "rect": {"x", "y", "width", "height", "rx", "ry"} | _LOOK,
    "line": {"x1", "y1", "x2", "y2"} | _LOOK,
    "polyline": {"points"} | _LOOK,
    "polygon": {"points"} | _LOOK,
    "defs": set(),
    "linearGradient": {"x1", "y1", "x2", "y2"},
    "radialGradient": {"cx", "cy", "r"},
    "stop": set(),
}
_GRADIENT = {"id", "gradientUnits", "gradientTransform", "spreadMethod"}
GRADIENT_TABLE = PROMPT_TABLE | {
    "linearGradient": PROMPT_TABLE["linearGradient"] | _GRADIENT,
    "radialGradient": PROMPT_TABLE["radialGradient"] | _GRADIENT | {"fx", "fy"},
    "stop": {"offset", "stop-color", "stop-opacity"},
}
_STROKES = {"stroke-linecap", "stroke-linejoin", "fill-rule", "fill-opacity", "stroke-opacity"}
STROKE_TABLE = {tag: names | _STROKES if names >= _LOOK else names for tag, names in PROMPT_TABLE.items()}

SHAPES = frozenset({"path", "circle", "ellipse", "rect", "line", "polyline", "polygon"})
_GRADIENTS = frozenset({"linearGradient", "radialGradient"})
_TABLES = {"prompt": PROMPT_TABLE, "prompt+gradients": GRADIENT_TABLE, "prompt+strokes": STROKE_TABLE}
CHILDREN = {
    "svg": SHAPES | _GRADIENTS | {"g", "defs"},
    "g": SHAPES | _GRADIENTS | {"g", "defs"},
    "defs": _GRADIENTS,
    "linearGradient": {"stop"},
    "radialGradient": {"stop"},
} | dict.fromkeys([*SHAPES, "stop"], frozenset())
REQUIRED = {
    "circle": ("r",),
    "ellipse": ("rx", "ry"),
    "rect": ("width", "height"),
    "path": ("d",),
    "polyline": ("points",),
    "polygon": ("points",),
}

MAX_BYTES = 65_536  # of the prompt dialects
MAX_DEPTH = 64
MAX_VALUE = 32_768  # characters of one attribute
MAX_DECIMALS = 3  # of a number; more only costs tokens: 0.001 is 1/256,000 of the canvas
MAX_LAYERS = 100.0  # canvases of translucent shapes and groups together; resvg takes 10 to 20 ms for each
MAX_COMMENT = 500  # characters; the longest in the 876 samples the project began with has 85
_BIDI_OR_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def check(svg: str | bytes, dialect: str = "prompt") -> Verdict:
    """Check one document against a dialect. Every input gets a verdict; nothing but a wrong dialect name raises."""
    if dialect not in DIALECTS:
        raise ValueError(f"dialect {dialect!r} is unknown; there are {', '.join(DIALECTS)}")
    reader = KaggleReader() if dialect == "kaggle" else _PromptReader(dialect)
    unreadable = not reader.read(svg)
    verdict = reader.verdict
    if unreadable:
        verdict.score = 0.0
    elif verdict.violations:
        share = 1 - len(reader.faulty) / (reader.items + 1)
        broken = any(v.rule in ("not-well-formed", "limit") for v in verdict.violations)
        verdict.score = min(round(share / 2 if broken else share, 4), 0.9999)
    return verdict


# --- the prompt dialects --------------------------------------------------------------------------------------


@dataclass
class _Frame:
    """An open element: what its children need to know."""

    tag: str  # "" = not an element of the dialect
    item: int
    matrix: values.Matrix  # to the canvas
    stroke: float  # inherited stroke width, 0 = no stroke
    covered: bool = False  # a comment before an ancestor <g> speaks for everything here
    comment: bool = False  # a comment stands here that no block has used yet
    paint: tuple[str, str] | None = None  # of the block that a neighbouring shape would continue
    text: bool = False  # text was reported already
    layer: bool = False  # it is translucent
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom of what it holds, on the canvas
    fill_paint: str = ""  # inherited
    stroke_paint: str = ""

    def paint_of(self, parent: "_Frame | None", attributes: list[str]) -> None:
        """Keep the fill and stroke that the element and its children are painted with."""
        given = dict(zip(attributes[::2], attributes[1::2], strict=True))
        self.fill_paint = given.get("fill", parent.fill_paint if parent else "").strip().lower()
        self.stroke_paint = given.get("stroke", parent.stroke_paint if parent else "").strip().lower()

    def hold(self, box: tuple[float, float, float, float]) -> None:
        """Make the box large enough for another one."""
        old = self.box or box
        self.box = (*map(min, old[:2], box[:2]), *map(max, old[2:], box[2:]))

    def fills(self, tag: str) -> bool:
        return tag != "line" and self.fill_paint != "none"


class _PromptReader(Reader):
    def __init__(self, dialect: str):
        super().__init__(dialect, MAX_BYTES)
        self.table = _TABLES[dialect]
        self.stack: list[_Frame] = []
        self.shapes = 0
        self.layers = 0.0  # canvases
        self.ids: dict[str, int] = {}
        self.references: list[tuple[str, str, int, int]] = []  # id, tag, line, item

    def listen(self, parser: Any) -> None:
        parser.CommentHandler = self.comment
        parser.CharacterDataHandler = self.text
        parser.StartNamespaceDeclHandler = self.namespace
        parser.ProcessingInstructionHandler = self.processing_instruction
        parser.StartCdataSectionHandler = self.cdata
        parser.XmlDeclHandler = self.xml_declaration

    def decoded(self, svg: str | bytes) -> bytes | None:
        data = super().decoded(svg)
        if data and data.startswith(b"\xef\xbb\xbf"):
            self.add("character", "", 1, "the text begins with a byte order mark")
            data = data[3:]
        return data

    # -- what is not an element --

    def doctype(self, name: str, system_id: str | None, public_id: str | None, has_subset: bool) -> None:
        if has_subset:  # entity declarations may follow: not another byte
            super().doctype(name, system_id, public_id, has_subset)
        self.add("doctype", "", self.parser.CurrentLineNumber, "a DOCTYPE is not allowed")

    def xml_declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        self.add("xml-declaration", "", 1, "no XML declaration: the SVG begins with its <svg …> line")
        if encoding and encoding.lower() not in ("utf-8", "utf8"):
            self.add("encoding", "", 1, f"the declared encoding is {encoding[:40]}, and only UTF-8 is allowed")

    def processing_instruction(self, target: str, data: str) -> None:
        line = self.parser.CurrentLineNumber
        self.add("processing-instruction", "", line, f"the processing instruction <?{target[:40]} …?> is not allowed")

    def cdata(self) -> None:
        self.add("cdata", "", self.parser.CurrentLineNumber, "a CDATA section is not allowed")

    def namespace(self, prefix: str | None, uri: str) -> None:
        line = self.parser.CurrentLineNumber
        if prefix is not None:
            self.add("namespace", "", line, f"the extra declaration xmlns:{prefix[:40]} is not allowed", self.items + 1)
        elif self.stack:
            self.add("namespace", "", line, "xmlns is declared once, on the root", self.items + 1)

    def text(self, text: str) -> None:
        if text.strip() and self.stack and not self.stack[-1].text:
            frame = self.stack[-1]
            frame.text = True
            line = self.parser.CurrentLineNumber
            self.add("text", frame.tag, line, "text is not allowed: nothing draws it", frame.item)

    def comment(self, text: str) -> None:
        self.items += 1
        line = self.parser.CurrentLineNumber
        for rule, wrong, message in (
            ("comment-empty", not text.strip(), "the comment is empty; say what is drawn and its colour"),
            ("comment-markup", "<" in text, "the comment holds markup (<)"),
            (
                "comment-markup",
                text.startswith((">", "->")),
                "the comment begins with > or ->, its end in HTML",
            ),
            ("comment-length", len(text) > MAX_COMMENT, f"the comment is longer than {MAX_COMMENT} characters"),
            (
                "comment-character",
                _BIDI_OR_CONTROL.search(text),
                "the comment holds a control or bidi character",
            ),
        ):
            if wrong:
                self.add(rule, "", line, message, self.items)
        if self.stack:
            self.stack[-1].comment = True

    # -- elements --

    def start(self, name: str, attributes: list[str]) -> None:
        shown = qualified_name(name)
        item = self.count_element(shown)
        line = self.parser.CurrentLineNumber
        if self.depth > MAX_DEPTH:
            self.add("limit", shown, line, f"nested deeper than {MAX_DEPTH} levels; nothing behind is read", item)
            raise Stop
        tag = self.known_tag(name, shown, line, item)
        parent = self.stack[-1] if self.stack else None
        frame = _Frame(tag, item, parent.matrix if parent else values.IDENTITY, parent.stroke if parent else 0.0)
        self.stack.append(frame)
        if not tag:
            frame.covered = True  # one violation is enough; what is inside cannot be judged
            return
        if parent and parent.tag and tag not in CHILDREN[parent.tag]:
            self.add("nesting", tag, line, f"<{tag}> has no place in <{parent.tag}>", item)
        parsed = self.attributes(tag, attributes, line, item)
        if parent is None:
            self.root(tag, attributes, line, item)
        if "transform" in parsed:
            self.transform(frame, tag, parsed["transform"], line, item)
        self.stroke(frame, parsed)
        if parent and parent.tag in ("svg", "g"):
            self.block(parent, frame, tag, attributes, line, item)
        frame.paint_of(parent, attributes)
        frame.layer = (parsed.get("opacity") or 1.0) < 1
        if tag in SHAPES:
            self.shapes += 1
            if not frame.fills(tag) and frame.stroke_paint in ("", "none"):
                message = "the shape has neither fill nor stroke and paints nothing"
                self.verdict.warnings.append(Violation("unpainted", tag, line, message))
            self.geometry(frame, tag, parsed, line, item)

    def end(self, name: str) -> None:
        super().end(name)
        frame = self.stack.pop()
        if frame.box is None:
            return
        if self.stack:
            self.stack[-1].hold(frame.box)
        if frame.layer:
            left, top, right, bottom = frame.box
            before, self.layers = self.layers, self.layers + max(0.0, right - left) * max(0.0, bottom - top) / CANVAS**2
            if before <= MAX_LAYERS < self.layers:
                message = (
                    f"so many large translucent shapes and groups that together they cover {MAX_LAYERS:g} canvases"
                )
                self.add("layers", frame.tag, self.parser.CurrentLineNumber, message, frame.item)

    def known_tag(self, name: str, shown: str, line: int, item: int) -> str:
        """Return the tag, or "" with a violation when it is not an element of the dialect."""
        if name.startswith(SVG_NAMESPACE + SEPARATOR) and ":" not in shown and shown in self.table:
            return shown
        if len(self.stack) == 0:
            self.add("root", shown, line, f"the root must be {SVG_OPEN}, not <{shown[:40]}>", item)
        elif shown in self.table:
            self.add("namespace", shown, line, f"<{shown}> is not in the SVG namespace", item)
        else:
            self.add("tag", shown[:40], line, f"<{shown[:40]}> is not on the list of allowed tags", item)
        return ""

    def root(self, tag: str, attributes: list[str], line: int, item: int) -> None:
        if tag != "svg":
            self.add("root", tag, line, f"the root must be {SVG_OPEN}, not <{tag}>", item)
            return
        given = dict(zip(attributes[::2], attributes[1::2], strict=True))
        if "viewBox" not in given:
            self.add("root", tag, line, 'the root has no viewBox="0 0 256 256"', item)
        elif given["viewBox"] != f"0 0 {CANVAS} {CANVAS}":
            self.add("root", tag, line, f'viewBox must be "0 0 256 256", not {given["viewBox"][:40]!r}', item)
        for side in ("width", "height"):
            if side not in given:
                self.verdict.warnings.append(Violation("root", tag, line, f'the root has no {side}="256"'))
            elif given[side] != str(CANVAS):
                self.add("root", tag, line, f'{side} must be "256", not {given[side][:40]!r}', item)

    def attributes(self, tag: str, attributes: list[str], line: int, item: int) -> dict[str, Any]:
        """Check names and values; return the parsed values of those that are right."""
        allowed = self.table[tag]
        parsed: dict[str, Any] = {}
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if name not in allowed:
                self.add("attribute", tag, line, self.attribute_sentence(tag, qualified_name(name)[:40]), item)
            elif len(value) > MAX_VALUE:
                self.add("limit", tag, line, f"{name} is longer than {MAX_VALUE:,} characters", item)
                parsed[name] = None
            elif tag != "svg":  # the root's values are compared as text
                try:
                    parsed[name] = self.value(tag, name, value, line, item)
                except ValueFault as fault:
                    self.add(fault.rule, tag, line, f"{name}: {fault}", item)
                    parsed[name] = None
        for name in REQUIRED.get(tag, ()):
            if name not in parsed:
                self.add("missing", tag, line, f"<{tag}> needs {name}; without it nothing is drawn", item)
        return parsed

    def attribute_sentence(self, tag: str, name: str) -> str:
        if any(name in names for names in self.table.values()):
            return f"{name} means nothing on <{tag}>"
        return f"{name} is not on the list of allowed attributes"

    def value(self, tag: str, name: str, value: str, line: int, item: int) -> Any:
        """Parse one value; ValueFault when it is wrong."""
        if name in _NUMERIC and _TOO_PRECISE.search(value):
            raise ValueFault("decimals", f"a number has more than {MAX_DECIMALS} decimals")
        if name in _NUMBERS:
            return _number(tag, name, value)
        if name in ("fill", "stroke"):
            kind, content = values.parse_paint(value)
            if kind == "url":
                self.references.append((content, tag, line, item))
            return kind
        if name == "d":
            commands = self.path(tag, value, line)
            values.check_path(commands)
            return commands
        if name == "points":
            points = values.parse_points(value)
            if len(points) < (wanted := 3 if tag == "polygon" else 2):
                raise ValueFault("points", f"<{tag}> needs at least {wanted} points, there are {len(points)}")
            return points
        if name in ("transform", "gradientTransform"):
            matrix = values.transform_matrix(values.parse_transform(value))
            values.check_matrix(matrix)
            return matrix
        return self.word(name, value, item)

    def path(self, tag: str, value: str, line: int) -> list[values.Command]:
        try:
            return values.parse_path(value)
        except ValueFault:
            commands = values.parse_path(value, spare_coordinate=True)
        message = "d: a coordinate too many behind a moveto; renderers stop drawing there"
        self.verdict.warnings.append(Violation("path", tag, line, message))
        return commands

    def word(self, name: str, value: str, item: int) -> str:
        """Check an id, a stop's color, or one of an attribute's few words."""
        if name == "id":
            if not _ID.fullmatch(value):
                raise ValueFault("id", "an id is an ASCII letter or _ and then letters, digits, _ . -")
            if value in self.ids:
                raise ValueFault("id", f"{value[:40]!r} is used twice")
            self.ids[value] = item
        elif name == "stop-color":
            if values.parse_paint(value)[0] != "colour":
                raise ValueFault("paint", "a stop needs a colour")
        elif value not in (choices := _CHOICES[name]):
            raise ValueFault("attribute", f"must be one of {', '.join(choices)}")
        return value

    def transform(self, frame: _Frame, tag: str, matrix: values.Matrix | None, line: int, item: int) -> None:
        if matrix is None:
            return
        product = values.multiply(frame.matrix, matrix)
        try:
            values.check_matrix(product)
            frame.matrix = product
        except ValueFault as fault:
            self.add(fault.rule, tag, line, f"transform: {fault}", item)

    def stroke(self, frame: _Frame, parsed: dict[str, Any]) -> None:
        """Keep the stroke width that widens this element and its children."""
        if parsed.get("stroke") == "none":
            frame.stroke = 0.0
        elif parsed.get("stroke"):
            frame.stroke = frame.stroke or 1.0
        if parsed.get("stroke-width") is not None:
            frame.stroke = parsed["stroke-width"]

    def block(self, parent: _Frame, frame: _Frame, tag: str, attributes: list[str], line: int, item: int) -> None:
        """The template's rule: a comment before each visual block."""
        if tag not in SHAPES:
            frame.covered = tag != "g" or parent.covered or parent.comment
            parent.paint = None
        else:
            given = dict(zip(attributes[::2], attributes[1::2], strict=True))
            paint = (given.get("fill", ""), given.get("stroke", ""))
            if not (parent.covered or parent.comment or parent.paint == paint):
                self.add("comment-missing", tag, line, "no comment before this visual block", item)
            parent.paint = paint
        parent.comment = False

    def geometry(self, frame: _Frame, tag: str, parsed: dict[str, Any], line: int, item: int) -> None:
        """Where on the canvas is the shape? Uses the hull of its control points."""
        points = hull(tag, parsed)
        if not points:
            return
        if tag == "line" and points[0] == points[1]:
            self.add("degenerate", tag, line, "the line ends where it starts and draws nothing", item)
            return
        a, b, c, d, e, f = frame.matrix
        xs = [a * x + c * y + e for x, y in points]
        ys = [b * x + d * y + f for x, y in points]
        # A miter reaches at most 4 half widths (SVG's default miter limit) beyond the outline.
        reach = 2 * frame.stroke * max(abs(a) + abs(c), abs(b) + abs(d))
        left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
        where = f"x {left:.4g} to {right:.4g}, y {top:.4g} to {bottom:.4g}"
        frame.box = (*(max(0.0, v - reach) for v in (left, top)), *(min(CANVAS, v + reach) for v in (right, bottom)))
        if max(left, top) - reach >= CANVAS or min(right, bottom) + reach <= 0:
            self.add("invisible", tag, line, f"the shape lies wholly outside the canvas ({where})", item)
        elif max(-left, -top, right, bottom) + reach >= MAX_ABS:
            self.add("range", tag, line, f"the shape reaches {MAX_ABS:,.0f} units away or further ({where})", item)
        elif left < 0 or top < 0 or right > CANVAS or bottom > CANVAS:
            self.verdict.warnings.append(
                Violation("outside", tag, line, f"the shape reaches outside the canvas ({where})")
            )

    def finish(self) -> None:
        if not self.shapes:
            self.add("no-shape", "", 1, "there is no shape: nothing is drawn")
        for target, tag, line, item in self.references:
            if target not in self.ids:
                self.add("reference", tag, line, f"url(#{target[:40]}) points to no gradient in this file", item)
        self.verdict.violations.sort(key=lambda violation: violation.line)


_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*+", re.ASCII)
_CHOICES = {
    "stroke-linecap": ("butt", "round", "square"),
    "stroke-linejoin": ("miter", "round", "bevel"),
    "fill-rule": ("nonzero", "evenodd"),
    "gradientUnits": ("userSpaceOnUse", "objectBoundingBox"),
    "spreadMethod": ("pad", "reflect", "repeat"),
}
_NUMBERS = frozenset(
    "cx cy r x y rx ry x1 y1 x2 y2 fx fy width height stroke-width opacity fill-opacity stroke-opacity stop-opacity "
    "offset".split()
)
_NUMERIC = _NUMBERS | {"d", "points", "transform", "gradientTransform"}
_TOO_PRECISE = re.compile(rf"\.[0-9]{{{MAX_DECIMALS + 1}}}")
_SIZES = frozenset({"r", "rx", "ry", "width", "height", "stroke-width"})
_SHARES = frozenset({"opacity", "fill-opacity", "stroke-opacity", "stop-opacity", "offset"})


def _number(tag: str, name: str, value: str) -> float:
    """Parse a number and hold it to what its attribute takes."""
    in_gradient = tag in _GRADIENTS or name == "offset"
    if in_gradient and value.endswith("%"):
        number = values.parse_number(value[:-1]) / 100
    else:
        number = values.parse_number(value)
    if name in _SHARES and not 0 <= number <= 1:
        raise ValueFault("range", f"{number:g} is not between 0 and 1")
    if name in _SIZES:
        if number < 0:
            raise ValueFault("range", f"{number:g} is negative")
        if number == 0 and name in REQUIRED.get(tag, ()):
            raise ValueFault("degenerate", "a size of 0 draws nothing")
    return number


def hull(tag: str, parsed: dict[str, Any]) -> list[tuple[float, float]]:
    """Points whose convex hull holds the shape, in its own coordinates; empty when a value was faulty."""
    if None in parsed.values():
        return []
    v = {name: parsed.get(name, 0.0) for name in ("x", "y", "cx", "cy", "r", "rx", "ry", "width", "height")}
    if tag == "rect":
        return _corners(v["x"], v["y"], v["x"] + v["width"], v["y"] + v["height"])
    if tag in ("circle", "ellipse"):
        rx, ry = (v["r"], v["r"]) if tag == "circle" else (v["rx"], v["ry"])
        return _corners(v["cx"] - rx, v["cy"] - ry, v["cx"] + rx, v["cy"] + ry)
    if tag == "line":
        return [(parsed.get("x1", 0.0), parsed.get("y1", 0.0)), (parsed.get("x2", 0.0), parsed.get("y2", 0.0))]
    if tag == "path":
        return values.path_hull(values.absolute_path(parsed["d"])) if "d" in parsed else []
    return parsed.get("points", [])


def _corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# --- the command ----------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python svg_constraint.py", description="Check SVG files against the constraints of the prompt."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="SVG files; - is standard input")
    parser.add_argument("--dialect", choices=DIALECTS, default="prompt", help="which rules (default: prompt)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(argv)
    code = 0
    for name in arguments.files:
        try:
            data = _read(name)
        except OSError as error:
            print(f"error: {name} cannot be read ({error.strerror}); give the path of an SVG file.", file=sys.stderr)
            code = 2
            continue
        verdict = check(data, arguments.dialect)
        code = max(code, 0 if verdict.valid else 1)
        if arguments.json:
            print(json.dumps({"file": name, **verdict.to_json()}))
            continue
        for kind, found in (("", verdict.violations), ("warning: ", verdict.warnings)):
            for v in found:
                print(f"{name}:{v.line}: {kind}{v.rule}: " + (f"<{v.element}> " if v.element else "") + v.message)
        state = "legal" if verdict.valid else f"{len(verdict.violations)} violation(s)"
        print(f"{name}: {state} in {arguments.dialect}, structural score {verdict.score:.3f}")
    return code


def _read(name: str) -> bytes:
    """Read no more than it takes to know that a file is too large."""
    if name == "-":
        return sys.stdin.buffer.read(HARD_CAP + 1)
    with open(name, "rb") as file:
        return file.read(HARD_CAP + 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `… | head` closed our output
        sys.stderr.close()
        sys.exit(2)
