"""Stage 1: any SVG file → painted outlines on the 256 × 256 canvas. What cannot be expressed is refused by name.

Resolved on the way: units and percentages, viewBox and preserveAspectRatio, nested <svg>, <use> and <symbol>, <switch>,
style sheets and inheritance, transforms, arcs under skewing transforms, caps, joins and dashes of strokes, clip paths,
the even-odd rule, gradients with what they inherit.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from corpus.optimization import boolean, outline
from corpus.optimization.basic_shapes import BASIC_SHAPES, MARKED
from corpus.optimization.clipping import EVERYWHERE, covers, narrowed, rectangle, within
from corpus.optimization.computed import computed, inherit
from corpus.optimization.drawn import Drawn, Group
from corpus.optimization.gradients import GRADIENTS, read_gradient
from corpus.optimization.outline import Ends
from corpus.optimization.paint import Gradient, Paint, colour_and_opacity
from corpus.optimization.refusal import Refused
from corpus.optimization.svg_document import SvgDocument, applies, reference_of, tag_of
from corpus.optimization.svg_style import Style, own_style
from corpus.optimization.units import dashes, fit, length, share, transform, view_box
from qwen_svg.svg.values import IDENTITY, Command, Matrix, ValueFault, multiply
from svg_constraint import CANVAS

INVISIBLE = frozenset("title desc metadata script style defs symbol clipPath linearGradient radialGradient marker mask "
                      "filter pattern view cursor animate animateTransform animateMotion animateColor set font "
                      "font-face color-profile".split())  # fmt: skip
REFUSED = frozenset("text image foreignObject".split())
URL = re.compile(r"url\(\s*[\"']?\s*(#[^\"')]*[^\"')\s])\s*[\"']?\s*\)\s*(.*)")
MASK_REGION = {"x": "-10%", "y": "-10%", "width": "120%", "height": "120%"}  # the defaults


@dataclass(frozen=True)
class _State:
    """What an element hands to its children."""

    style: Style
    matrix: Matrix
    viewport: tuple[float, float]
    clip: list[Command] | None = None  # on the canvas
    depth: int = 0
    followed: tuple[str, ...] = ()  # ids of <use> we are inside of


def resolve(svg: bytes | str | SvgDocument) -> list[Drawn | Group]:
    """Return what the file draws, in drawing order. Raises Refused with the reason."""
    return _Resolver(svg if isinstance(svg, SvgDocument) else SvgDocument(svg)).run()


class _Resolver:
    """Walks the tree once, from the root to the leaves. What is drawn is appended to the list that is handed along."""

    def __init__(self, document: SvgDocument):
        self.document, self.sheets = document, document.sheets

    def run(self) -> list[Drawn | Group]:
        state = _State(inherit({}, {}), IDENTITY, (CANVAS, CANVAS))
        drawn: list[Drawn | Group] = []
        try:
            self.svg(self.document.root, state, drawn)
        except ValueFault as fault:
            raise Refused(f"bad value: {fault.rule}") from None
        if not drawn:
            raise Refused("nothing is drawn")
        return drawn

    # -- structure --

    def walk(self, element: Any, state: _State, drawn: list) -> None:
        tag = tag_of(element)
        if not tag or tag in INVISIBLE or not applies(element):
            return
        self.document.enter(state.depth)  # also what <use> repeats: this is where doubling chains end
        if tag == "svg":
            self.nested_svg(element, state, drawn)
            return
        style = inherit(state.style, own := own_style(element, self.sheets))
        if style["display"] == "none":
            return
        self.refuse_effects(style, masked=True)
        if tag in REFUSED:
            # Browsers have no <tref>, with which SVG 1.1 shows another text; resvg draws it.
            said = (
                tag != "text" or "".join(element.itertext()).strip() or any(tag_of(e) == "tref" for e in element.iter())
            )
            if style["visibility"] == "visible" and said:
                raise Refused(tag)
            return
        state = self.entered(state, style, own)
        inner: list = []  # a list of its own, because `opacity` is applied to the element's picture as a whole
        if tag in ("g", "a"):
            for child in element:
                self.walk(child, state, inner)
        elif tag == "switch":  # the first child that we can draw, as an English reader gets it
            for child in element:
                if tag_of(child) and tag_of(child) not in REFUSED | INVISIBLE and applies(child):
                    self.walk(child, state, inner)
                    break
        elif tag == "use":
            self.use(element, own, state, inner)
        elif tag in BASIC_SHAPES:
            if style["visibility"] == "visible":
                self.shape(tag, own, state, inner)
        else:
            raise Refused(f"element {tag[:30]}")
        self.add(inner, share(style["opacity"]), drawn)

    @staticmethod
    def refuse_effects(style: Style, masked: bool = False) -> None:
        """masked: a mask is looked at later."""
        for name in ("mask", "filter"):
            if style[name] != "none" and not (masked and name == "mask"):
                raise Refused(name)
        if style["mix-blend-mode"] != "normal":
            raise Refused("blend mode")

    def entered(self, state: _State, style: Style, own: Style) -> _State:
        matrix = state.matrix
        if own.get("transform"):
            matrix = multiply(matrix, transform(own["transform"], own.get("transform-origin", ""), state.viewport))
        state = replace(state, style=style, matrix=matrix, depth=state.depth + 1)
        # `clip-path` is not inherited, but the clip of an ancestor holds on: `self.clip` narrows it.
        if style["clip-path"] != "none":
            state = replace(state, clip=self.clip(style["clip-path"], state))
        if style["mask"] != "none":
            state = replace(state, clip=self.mask(style["mask"], state))
        return state

    @staticmethod
    def add(inner: list, opacity: float, drawn: list) -> None:
        """Append what an element draws, made translucent as a whole: one shape by itself, several as a group."""
        if not inner or opacity <= 0:
            return
        if opacity >= 1:
            drawn.extend(inner)
        elif len(inner) == 1:
            drawn.append(replace(inner[0], opacity=inner[0].opacity * opacity) if isinstance(inner[0], Drawn)
                         else Group(inner[0].opacity * opacity, inner[0].members))  # fmt: skip
        else:
            drawn.append(Group(opacity, inner))

    # -- viewports --

    def svg(self, element: Any, state: _State, drawn: list) -> None:
        """The root: its picture is fitted into the canvas and centred."""
        own = own_style(element, self.sheets)
        style = inherit(state.style, own)
        style["rem"] = style["font-size"]
        if style["display"] == "none":
            raise Refused("nothing is drawn")
        self.refuse_effects(style)
        view = view_box(own.get("viewBox"))
        size = view[2:] if view else (100.0, 100.0)
        width = length(own.get("width", "100%"), size[0], style)
        height = length(own.get("height", "100%"), size[1], style)
        if view and "height" not in own and "width" in own:  # as wide as said, in the shape of the viewBox
            height = width * size[1] / size[0]
        elif view and "width" not in own and "height" in own:
            width = height * size[0] / size[1]
        if view is None:
            if "width" not in own or "height" not in own or "%" in own["width"] + own["height"]:
                raise Refused("no size")
            view = (0.0, 0.0, width, height)
        if width <= 0 or height <= 0:
            raise Refused("empty size")
        # Two matrices, the nearest to the shapes last: viewBox → the file's own size → the middle of the canvas.
        factor = CANVAS / max(width, height)
        canvas = (factor, 0, 0, factor, (CANVAS - factor * width) / 2, (CANVAS - factor * height) / 2)
        onto = fit(view, width, height, own.get("preserveAspectRatio", ""))
        self.refuse_ambiguous_root(own, onto, view[2:], (width, height))
        state = replace(state, matrix=multiply(canvas, onto), viewport=view[2:])
        picture = rectangle(0, 0, width, height, canvas)
        if abs(width - height) > 1e-3 * max(width, height):  # what is outside the picture is inside the canvas
            state = replace(state, clip=picture)
        state = self.entered(state, style, own)
        inner: list = self.background(own, style, picture)
        for child in element:
            self.walk(child, state, inner)
        self.add(inner, share(style["opacity"]), drawn)

    @staticmethod
    def refuse_ambiguous_root(
        own: Style, onto: Matrix, viewport: tuple[float, float], size: tuple[float, float]
    ) -> None:
        """Browsers clip the root, and transform it about its middle, in its own pixels; resvg in the viewBox.

        onto: from the viewBox to the pixels. Raises Refused where these are two pictures.
        """
        sized = all("%" not in own.get(side, "%") for side in ("width", "height"))
        if own.get("clip-path", "none") != "none" and not (sized and _same(onto, IDENTITY)):
            raise Refused("clip path of the root")
        text, origin = own.get("transform", ""), own.get("transform-origin", "")
        in_view_box = transform(text, origin, viewport)
        if in_view_box == IDENTITY:
            return
        in_pixels = transform(text, origin or "center", size)
        if not (sized and _same(multiply(onto, in_view_box), multiply(in_pixels, onto))):
            raise Refused("transform of the root")

    @staticmethod
    def background(own: Style, style: Style, picture: list[Command]) -> list:
        """Return what CSS paints behind the picture: one colour. White is the paper that drawings are judged on."""
        drawn = []
        for name, text in own.items():
            if name not in ("background", "background-color") or text in ("none", "transparent", "inherit", "initial"):
                continue
            try:
                paint, opacity = colour_and_opacity(text, style)
            except ValueFault:
                raise Refused("background") from None
            if paint is not None and paint != "#ffffff":
                drawn = [Drawn(picture, paint, opacity=opacity)]
        return drawn

    def nested_svg(
        self, element: Any, state: _State, drawn: list, size: tuple[str | None, str | None] = (None, None)
    ) -> None:
        """A nested <svg>, or a <symbol> through <use> (which may give another size).

        Place and size are attributes alone: what a style says of them, Chromium and resvg overlook.
        """
        own = own_style(element, self.sheets)
        style = inherit(state.style, own)
        if style["display"] == "none":
            return
        self.refuse_effects(style, masked=True)
        x, y = (length(element.get(n, "0"), v, style) for n, v in zip("xy", state.viewport, strict=True))
        width = length(size[0] or element.get("width", "100%"), state.viewport[0], style)
        height = length(size[1] or element.get("height", "100%"), state.viewport[1], style)
        if width <= 0 or height <= 0:
            return
        view = view_box(own.get("viewBox")) or (0.0, 0.0, width, height)
        state = self.entered(state, style, own)
        place = multiply(state.matrix, (1, 0, 0, 1, x, y))
        if style["overflow"] not in ("visible", "auto"):  # "" is not given: nested viewports then cut off
            state = replace(state, clip=narrowed(self.document, state.clip, rectangle(0, 0, width, height, place)))
        matrix = multiply(place, fit(view, width, height, own.get("preserveAspectRatio", "")))
        state = replace(state, matrix=matrix, viewport=view[2:])
        inner: list = []
        for child in element:
            self.walk(child, state, inner)
        self.add(inner, share(style["opacity"]), drawn)

    # -- references --

    def use(self, element: Any, own: Style, state: _State, drawn: list) -> None:
        reference = reference_of(own)
        if not reference:
            return
        target = self.document.target(reference)
        if target is None:
            return  # as browsers do
        if reference in state.followed:
            raise Refused("a reference cycle")
        # x and y are one more translation, inside of the element's own transform (SVG 2, chapter 5).
        x, y = (length(own.get(n, "0"), v, state.style) for n, v in zip("xy", state.viewport, strict=True))
        state = replace(state, matrix=multiply(state.matrix, (1, 0, 0, 1, x, y)), followed=(*state.followed, reference))
        if tag_of(target) in ("symbol", "svg"):  # width and height of <use> replace theirs
            self.document.enter(state.depth)
            self.nested_svg(target, state, drawn, (element.get("width"), element.get("height")))
        else:
            self.walk(target, state, drawn)

    def clip(self, text: str, state: _State) -> list[Command]:
        """Return the clip in force within an element: what its clip-path leaves of the one around it."""
        match = URL.fullmatch(text)
        if not match or match.group(2):
            raise Refused("clip-path shape")
        element = self.document.target(match.group(1))
        if element is None or tag_of(element) != "clipPath":
            return state.clip if state.clip is not None else EVERYWHERE
        if match.group(1) in state.followed:
            raise Refused("a reference cycle")
        own = own_style(element, self.sheets)
        if own.get("clipPathUnits") == "objectBoundingBox":
            raise Refused("clip path in bounding box units")
        # The shapes of a clip path inherit from what they stand in, not from what they clip; nor is their clip narrowed
        # by what is around that.
        style = computed(element, self.sheets)
        matrix = state.matrix
        if own.get("transform"):
            matrix = multiply(matrix, transform(own["transform"], own.get("transform-origin", ""), state.viewport))
        inner = replace(
            state, style=style | {"clip-path": "none", "mask": "none"}, matrix=matrix, clip=None,
            followed=(*state.followed, match.group(1)), depth=state.depth + 1,
        )  # fmt: skip
        clips: list[Drawn] = []
        for child in element:
            self.clip_child(child, inner, clips)
        whole = self.whole(clips)
        if style["clip-path"] != "none":  # a clip path may be clipped itself
            whole = narrowed(self.document, self.clip(style["clip-path"], replace(inner, clip=None)), whole)
        return narrowed(self.document, state.clip, whole) if whole else []

    def whole(self, parts: list[Drawn]) -> list[Command]:
        """Return the outline of all parts together; [] of none, by which everything is clipped away."""
        paths = [part.path for part in parts]
        if len(paths) < 2:
            return paths[0] if paths else []
        self.document.cut(*paths)
        return boolean.union(paths)

    def clip_child(self, element: Any, state: _State, drawn: list) -> None:
        if tag_of(element) not in {*BASIC_SHAPES, "use", "text"} or not applies(element):
            return
        self.document.enter(state.depth)
        style = inherit(state.style, own := own_style(element, self.sheets))
        if style["display"] == "none" or style["visibility"] != "visible":
            return
        if style["mask"] != "none":
            raise Refused("mask")
        if tag_of(element) == "use":
            target = self.document.target(reference_of(own) or "#")
            if target is not None and (reference := reference_of(own)) not in state.followed:
                state = self.entered(state, style, own)
                x, y = (length(own.get(n, "0"), v, style) for n, v in zip("xy", state.viewport, strict=True))
                matrix = multiply(state.matrix, (1, 0, 0, 1, x, y))
                self.clip_child(target, replace(state, matrix=matrix, followed=(*state.followed, reference)), drawn)
        elif tag_of(element) in BASIC_SHAPES:
            # The whole inside counts, whatever its paint; `shape` makes an outline of it as of any black shape.
            plain = {"fill": "black", "fill-opacity": "1", "stroke": "none", "paint-order": "normal"}
            rule = {"fill-rule": style["clip-rule"]} | {f"marker-{place}": "none" for place in ("start", "mid", "end")}
            self.shape(tag_of(element), own, self.entered(state, style | plain | rule, own), drawn)
        else:
            raise Refused("text")

    def mask(self, text: str, state: _State) -> list[Command]:
        """Return the clip in force within an element whose mask is one: white shapes without strokes, or nothing."""
        match = URL.fullmatch(text)
        element = self.document.target(match.group(1)) if match else None
        if element is None or tag_of(element) != "mask" or match.group(1) in state.followed:
            raise Refused("mask")
        own = own_style(element, self.sheets)
        style = computed(element, self.sheets)
        region = [own.get(name, default) for name, default in MASK_REGION.items()]
        boxed = own.get("maskUnits", "objectBoundingBox") != "userSpaceOnUse"
        if (
            own.get("maskContentUnits") == "objectBoundingBox"
            or style["mask"] != "none"
            or style["clip-path"] != "none"
        ):
            raise Refused("mask")
        # By default it reaches a tenth of the element's box beyond it, where only a wide stroke could be.
        if boxed and region != list(MASK_REGION.values()):
            raise Refused("mask")
        inner = replace(
            state, style=style, clip=None, followed=(*state.followed, match.group(1)), depth=state.depth + 1
        )
        shown: list[Drawn | Group] = []
        for child in element:
            self.walk(child, inner, shown)
        if any(not isinstance(p, Drawn) or p.fill != "#ffffff" or p.stroke or p.opacity < 1 for p in shown):
            raise Refused("mask")
        whole = self.whole(shown)
        if whole and not boxed:
            x, y, width, height = (
                length(value, side, style) for value, side in zip(region, 2 * state.viewport, strict=True)
            )
            whole = narrowed(self.document, rectangle(x, y, width, height, state.matrix), whole)
        return narrowed(self.document, state.clip, whole) if whole else []

    # -- shapes --

    def shape(self, tag: str, own: Style, state: _State, drawn: list) -> None:
        path, basic = BASIC_SHAPES[tag](
            own, lambda name, side, default="0": self.measure(own, state, name, side, default)
        )
        if not any(letter not in "MZ" for letter, _ in path):
            return
        a, b, c, d, _, _ = state.matrix
        if abs(a * d - b * c) < 1e-12:  # flattened to a line or a point
            return
        path = outline.without_empty(path)
        self.document.spend(len(path))
        style = state.style
        if tag in MARKED and any(self.is_marker(style[f"marker-{place}"]) for place in ("start", "mid", "end")):
            raise Refused("marker")
        fill, fill_share = self.paint("fill", path, state) if tag != "line" else (None, 0.0)
        stroke, stroke_share = self.paint("stroke", path, state)
        width = length(style["stroke-width"], math.hypot(*state.viewport) / math.sqrt(2), style)
        stroke = None if width <= 0 else stroke
        if stroke and style["stroke-linejoin"] in ("miter-clip", "arcs"):
            raise Refused(f"line join {style['stroke-linejoin']}")
        if stroke and own.get("pathLength") and dashes(style, state.viewport):
            raise Refused("pathLength")
        # Gradients in bounding box units and uneven strokes need the path as written; the rest is done on the canvas,
        # where a share of a unit is the same share of a pixel in every file.
        filled = on_canvas = outline.transformed(path, state.matrix)
        if fill and style["fill-rule"] == "evenodd" and outline.may_cross(path):
            self.document.cut(on_canvas)
            filled = boolean.nonzero(on_canvas)
        reach = self.reach(width, style, state.matrix) if stroke else 0.0
        if state.clip is not None and covers(state.clip, on_canvas, reach):
            state = replace(state, clip=None)
        parts: list[Drawn] = []
        if fill and fill_share > 0:
            parts.append(Drawn(filled, fill, opacity=fill_share, basic=_placed(basic, state.matrix)))
        if stroke and stroke_share > 0:
            parts.append(self.stroke(path, stroke, width, stroke_share, state, basic))
        if style["paint-order"].split()[:1] == ["stroke"]:
            parts.reverse()
        parts = [part for part in parts if part.path]
        # Fill and stroke of one path are one element, where they have one opacity and nothing has changed the path.
        same = len(parts) == 2 and parts[1].stroke and parts[0].fill and filled is on_canvas
        same = same and (parts[1].ends.cap == "butt" or outline.is_closed(path))
        if same and fill_share == stroke_share == 1 and state.clip is None:
            parts = [replace(parts[1], fill=parts[0].fill)]
        if state.clip is not None:
            parts = [clipped for part in parts if (clipped := within(self.document, part, state.clip))]
        drawn.extend(parts)

    def is_marker(self, text: str) -> bool:
        """Is this a marker that may show? One that is missing, or holds no drawing, does not."""
        if not (match := URL.fullmatch(text)):
            return text != "none"
        element = self.document.target(match.group(1))
        return element is not None and tag_of(element) == "marker" and any(map(_may_draw, element))

    def stroke(
        self, path: list[Command], paint: Paint, width: float, opacity: float, state: _State, basic: tuple
    ) -> Drawn:
        """A stroke as such where its width is the same all around and nothing cuts it, else its outline, filled."""
        style, matrix = state.style, state.matrix
        limit = float(style["stroke-miterlimit"]) if re.fullmatch(r"[0-9.]+", style["stroke-miterlimit"]) else 4.0
        ends = Ends(style["stroke-linecap"], style["stroke-linejoin"], limit)
        pattern = dashes(style, state.viewport)
        # A matrix that is nearly a similarity makes a stroke of nearly one width: sqrt(|det|) times the one written.
        if not pattern and state.clip is None and outline.keeps_circles(matrix, within=0.02):
            scaled = width * math.sqrt(abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]))
            return Drawn(outline.transformed(path, matrix), None, paint, scaled, opacity, _placed(basic, matrix), ends)
        offset = length(style["stroke-dashoffset"], math.hypot(*state.viewport) / math.sqrt(2), style)
        scale = math.sqrt(abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]))
        area = outline.stroked(path, width, ends, pattern, offset, scale)
        self.document.spend(len(area))
        return Drawn(outline.transformed(area, matrix), paint, opacity=opacity)

    @staticmethod
    def reach(width: float, style: Style, matrix: Matrix) -> float:
        """Return how far a stroke may reach beyond its path, in canvas units."""
        limit = float(style["stroke-miterlimit"]) if re.fullmatch(r"[0-9.]+", style["stroke-miterlimit"]) else 4.0
        return (
            width / 2 * max(limit, math.sqrt(2)) * (abs(matrix[0]) + abs(matrix[1]) + abs(matrix[2]) + abs(matrix[3]))
        )

    def measure(self, own: Style, state: _State, name: str, side: str, default: str) -> float:
        """Return an attribute in user units; of what side its percentages are, SVG 2 says in 8.9: x, y, or diagonal."""
        width, height = state.viewport
        reference = {"x": width, "y": height}.get(side, math.hypot(width, height) / math.sqrt(2))
        return length(own.get(name, default), reference, state.style)

    # -- paint --

    def paint(self, name: str, path: list[Command], state: _State) -> tuple[Paint, float]:
        """Return the paint and how opaque it is, its own alpha included."""
        opacity = share(state.style[f"{name}-opacity"])
        text = state.style[name].strip()
        if text.startswith("url("):
            match = URL.fullmatch(text)
            if not match:
                raise Refused("reference to another file")
            element = self.document.target(match.group(1))
            if element is not None and tag_of(element) in GRADIENTS:
                if opacity <= 0:
                    return None, 0.0
                paint = read_gradient(self.document, element, path, state.style, state.matrix, state.viewport)
                if isinstance(paint, Gradient) and len(set(paint.stops)) == 1:  # one translucent colour
                    return paint.stops[0].colour, opacity * paint.stops[0].opacity
                return paint, opacity
            if element is not None and tag_of(element) == "pattern":
                raise Refused("pattern")
            text = match.group(2) or "none"  # the fallback behind a reference that leads nowhere
        paint, alpha = colour_and_opacity(text, state.style)
        return paint, opacity * alpha


def _same(a: Matrix, b: Matrix) -> bool:
    return all(abs(p - q) <= 1e-6 for p, q in zip(a, b, strict=True))


def _may_draw(element: Any) -> bool:
    return tag_of(element) not in INVISIBLE | {""}


def _placed(basic: tuple, m: Matrix) -> tuple:
    """Return a basic shape as it stands on the canvas, () where it is none there."""
    if not basic:
        return ()
    a, b, c, d, e, f = m
    kind, *numbers = basic
    if kind == "circle" and outline.keeps_circles(m):
        cx, cy, r = numbers
        return ("circle", a * cx + c * cy + e, b * cx + d * cy + f, r * math.hypot(a, b))
    if abs(b) + abs(c) > 1e-9 * (abs(a) + abs(d)):  # a turn or skew, which neither <rect> nor <ellipse> can say
        return ()
    if kind == "rect":
        x, y, width, height, rx, ry = numbers
        x, y, width, height = a * x + e, d * y + f, a * width, d * height
        x, width = (x + width, -width) if width < 0 else (x, width)
        y, height = (y + height, -height) if height < 0 else (y, height)
        return ("rect", x, y, width, height, abs(a) * rx, abs(d) * ry)
    cx, cy, rx, ry = (*numbers, numbers[2])[:4]  # a circle's radius is both
    return ("ellipse", a * cx + e, d * cy + f, abs(a) * rx, abs(d) * ry)
