"""What an element looks like: presentation attributes, style sheets and style attributes, in CSS's order of precedence.

Sheets are read with tinycss2 and matched with cssselect2. Only what changes a picture is kept; sheets may not import.
"""

import re
from typing import Any

import cssselect2
import tinycss2

from corpus.optimization.refusal import Refused

INHERITED = {
    "fill": "black", "fill-opacity": "1", "fill-rule": "nonzero", "clip-rule": "nonzero", "stroke": "none",
    "stroke-opacity": "1", "stroke-width": "1", "stroke-linecap": "butt", "stroke-linejoin": "miter",
    "stroke-miterlimit": "4", "stroke-dasharray": "none", "stroke-dashoffset": "0", "color": "black",
    "visibility": "visible", "font-size": "16", "paint-order": "normal", "marker-start": "none",
    "marker-mid": "none", "marker-end": "none",
}  # fmt: skip
# A value that is none of these is as if not given.
CHOICES = {
    "fill-rule": {"nonzero", "evenodd"}, "clip-rule": {"nonzero", "evenodd"},
    "stroke-linecap": {"butt", "round", "square"},
    "stroke-linejoin": {"miter", "round", "bevel", "miter-clip", "arcs"},
    "visibility": {"visible", "hidden", "collapse"},
}  # fmt: skip
OWN = {
    "opacity": "1", "display": "inline", "clip-path": "none", "mask": "none", "filter": "none",
    "stop-color": "black", "stop-opacity": "1", "mix-blend-mode": "normal", "overflow": "", "isolation": "auto",
    "transform": "", "transform-origin": "", "mask-type": "luminance",
}  # fmt: skip
# What browsers honour and nothing here does: refused by name where it is not the default.
UNKNOWN = {
    "vector-effect": "none", "transform-box": "view-box", "rotate": "none", "translate": "none", "scale": "none",
    "offset-path": "none", "offset": "none", "mask-image": "none", "-webkit-mask": "none", "-webkit-mask-image": "none",
    "backdrop-filter": "none", "animation": "none", "animation-name": "none", "perspective": "none", "zoom": "1",
}  # fmt: skip
SHORTHANDS = {"marker": ("marker-start", "marker-mid", "marker-end")}
# Rules that change no picture without text.
HARMLESS_RULES = frozenset(
    "charset font-face namespace counter-style page font-feature-values property font-palette-values keyframes "
    "-webkit-keyframes -moz-keyframes -o-keyframes".split()
)
# Geometry that SVG 2 lets style sheets set.
GEOMETRY = frozenset("x y width height cx cy r rx ry d".split())

Style = dict[str, str]

MAX_CSS = 2**16  # characters of a file that tinycss2 reads; it takes half a second for them
MAX_MATCHES = 100_000  # of selectors with elements


class StyleSheets:
    """The rules of a document's <style> elements; `of(element)` gives what they say of one element."""

    def __init__(self, root: Any):
        self._matcher = None
        self._read_so_far = self._matches = self._searched = 0
        sheets = [
            element
            for element in root.iter("{*}style", "style")
            if element.get("type", "text/css").strip() in ("", "text/css")
        ]
        if any(not _for_everyone(sheet.get("media", "")) for sheet in sheets):
            raise Refused("style sheet for other media")
        text = "\n".join("".join(element.itertext()) for element in sheets)
        if text.strip():
            self.reading(text)
            self._read(root, text)

    def reading(self, text: str) -> None:
        """Count text that is read."""
        self._read_so_far += len(text)
        if self._read_so_far > MAX_CSS:
            raise Refused(f"more than {MAX_CSS // 1024} kB of style sheets")

    def _read(self, root: Any, text: str) -> None:
        self._matcher = cssselect2.Matcher()
        self._elements = {}
        for rule in tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True):
            self._add(rule)
        wrapped = cssselect2.ElementWrapper.from_xml_root(root)
        self._elements = {id(element.etree_element): element for element in wrapped.iter_subtree()}
        if self._searched * len(self._elements) > MAX_MATCHES:
            raise Refused("too many selectors")

    def _add(self, rule: Any) -> None:
        if rule.type == "at-rule":
            self._add_rules_in(rule)
        if rule.type != "qualified-rule":
            return
        if any(token.type == "{} block" for token in rule.content):
            raise Refused("nested style rules")
        try:
            selectors = cssselect2.compile_selector_list(rule.prelude)
        except cssselect2.SelectorError:
            return
        # What is not found by its class, id or tag alone is compared with every element.
        simple = all(token.type in ("ident", "hash", "literal") and token.value not in ("*", "+", ">", "~", ":")
                     for token in rule.prelude if token.type != "whitespace")  # fmt: skip
        self._searched += 0 if simple and len(rule.prelude) <= 4 else len(selectors)
        declarations = read_declarations(rule.content)
        for selector in selectors:
            if selector.pseudo_element is None:
                self._matcher.add_selector(selector, declarations)

    def _add_rules_in(self, rule: Any) -> None:
        """Read @media for all screens; refuse by name what would say when or how rules hold."""
        name = rule.lower_at_keyword
        if name == "media" and rule.content is not None:
            if not _for_everyone(tinycss2.serialize(rule.prelude)):
                raise Refused("media query")
            for inner in tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True):
                self._add(inner)
        elif name not in HARMLESS_RULES and not (name == "import" and "font" in tinycss2.serialize(rule.prelude)):
            raise Refused(f"style rule @{name[:20]}")

    def of(self, element: Any) -> list[tuple[str, str, bool]]:
        """Return (property, value, important) in order of precedence, the last wins among its kind."""
        if self._matcher is None or id(element) not in self._elements:
            return []
        found = sorted(self._matcher.match(self._elements[id(element)]), key=lambda match: match[:2])
        self._matches += len(found)
        if self._matches > MAX_MATCHES:
            raise Refused("too many selectors")
        return [declaration for *_, declarations in found for declaration in declarations]


def _for_everyone(media: str) -> bool:
    return media.strip().lower() in ("", "all", "screen", "only screen")


def read_declarations(content: Any) -> list[tuple[str, str, bool]]:
    return [
        (declaration.lower_name, tinycss2.serialize(declaration.value).strip(), declaration.important)
        for declaration in tinycss2.parse_declaration_list(content, skip_comments=True, skip_whitespace=True)
        if declaration.type == "declaration"
    ]


def own_style(element: Any, sheets: StyleSheets) -> Style:
    """Return the element's attributes and properties: attribute < sheet < style attribute, important ones last."""
    attributes = dict(element.attrib)
    text = attributes.pop("style", "")
    declared = sheets.of(element)
    if text:
        simple = "/*" not in text and '"' not in text and "'" not in text and "!" not in text and "(" not in text
        if simple:  # nearly all; tinycss2 takes a hundred times as long
            pairs = (part.partition(":") for part in text.split(";") if ":" in part)
            own = [(name.strip().lower(), value.strip(), False) for name, _, value in pairs]
        else:
            sheets.reading(text)
            own = read_declarations(text)
        declared = declared + own
    for important in (False, True):
        for name, value, is_important in declared:
            if is_important != important:
                continue
            if name in INHERITED or name in OWN or name in GEOMETRY:
                attributes[name] = value
            elif name in UNKNOWN:
                _refuse(name, value)
            elif name in SHORTHANDS:
                attributes |= dict.fromkeys(SHORTHANDS[name], value)
            elif name == "font" and (size := _FONT_SIZE.search(" " + value)):
                attributes["font-size"] = size.group(1)
            elif name.startswith("background"):
                attributes[name] = value
    if (effect := attributes.get("vector-effect")) is not None:
        _refuse("vector-effect", effect)
    return attributes


# In `font: italic 700 20px/1.2 serif` the first length or percentage; a weight has no unit.
_FONT_SIZE = re.compile(
    r"\s((?:[0-9]*\.)?[0-9]+(?:%|[a-zA-Z]+)|(?:xx?-)?(?:small|large)|medium|smaller|larger)(?=[\s/])"
)


def _refuse(name: str, value: str) -> None:
    if value.lower() not in (UNKNOWN[name], "initial", "unset", "inherit", "auto"):
        raise Refused(name)
