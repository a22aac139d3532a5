"""The rule of the public competition "Drawing with LLMs" (Kaggle, 2025, package svg_constraints), and nothing else.

At most 10,000 bytes, no DTD, well-formed, elements and attributes from the table (by their local names), no embedded
data, href only to "#…". It says nothing of values, comments, nesting or the root. The table is that of the last
revision, which scored the competition: an earlier one also had six slower filter primitives, feGaussianBlur among them.
"""

from qwen_svg.svg.reader import Reader, local_name

MAX_BYTES = 10_000
COMMON = frozenset(
    "id clip-path clip-rule color color-interpolation color-interpolation-filters color-rendering display "
    "fill fill-opacity fill-rule filter flood-color flood-opacity lighting-color marker-end marker-mid "
    "marker-start mask opacity paint-order stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset "
    "stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width transform".split()
)
TABLE = {
    tag: COMMON | frozenset(attributes.split())
    for tag, attributes in {
        "svg": "width height viewBox preserveAspectRatio",
        "g": "viewBox",
        "defs": "",
        "symbol": "viewBox x y width height",
        "use": "x y width height href",
        "marker": "viewBox preserveAspectRatio refX refY markerUnits markerWidth markerHeight orient",
        "pattern": "viewBox preserveAspectRatio x y width height patternUnits patternContentUnits "
        "patternTransform href",
        "linearGradient": "x1 x2 y1 y2 gradientUnits gradientTransform spreadMethod href",
        "radialGradient": "cx cy r fx fy fr gradientUnits gradientTransform spreadMethod href",
        "stop": "offset",
        "filter": "x y width height filterUnits primitiveUnits",
        "feBlend": "result in in2 mode",
        "feFlood": "result",
        "feOffset": "result in dx dy",
        "path": "d",
        "rect": "x y width height rx ry",
        "circle": "cx cy r",
        "ellipse": "cx cy rx ry",
        "line": "x1 y1 x2 y2",
        "polyline": "points",
        "polygon": "points",
    }.items()
}


class KaggleReader(Reader):
    """Names by their local part, and three checks on attribute values."""

    encoding = None  # the public validator believes the declared encoding

    def __init__(self) -> None:
        super().__init__("kaggle", MAX_BYTES)

    def start(self, name: str, attributes: list[str]) -> None:
        tag = local_name(name)
        item = self.count_element(tag)
        line = self.parser.CurrentLineNumber
        allowed = TABLE.get(tag)
        if allowed is None:
            self.add("tag", tag, line, f"<{tag}> is not among the competition's elements", item)
            return
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            local = local_name(attribute)
            if local not in allowed:
                self.add("attribute", tag, line, f"{local} is not among the competition's attributes of <{tag}>", item)
            if "data:" in value.lower() or ";base64" in value:
                self.add("embedded", tag, line, f"{local} embeds data", item)
            if local == "href" and not value.startswith("#"):
                self.add("reference", tag, line, "href must be an internal reference, beginning with #", item)
