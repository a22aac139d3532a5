"""What an element looks like: presentation attributes, style sheets and style attributes, in CSS's order of precedence.

Sheets are read with tinycss2 and matched with cssselect2. Only what changes a picture is kept; sheets may not import.
"""

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
OWN = {
    "opacity": "1", "display": "inline", "clip-path": "none", "mask": "none", "filter": "none",
    "stop-color": "black", "stop-opacity": "1", "mix-blend-mode": "normal", "overflow": "", "isolation": "auto",
    "transform": "", "transform-origin": "",
}  # fmt: skip
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
        text = "\n".join(
            "".join(element.itertext())
            for element in root.iter("{*}style", "style")
            if element.get("type", "text/css").strip() in ("", "text/css")
        )
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
            if rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None:
                media = tinycss2.serialize(rule.prelude).strip().lower()
                if media in ("", "all", "screen"):
                    for inner in tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True):
                        self._add(inner)
            else:
                self._add(rule)
        wrapped = cssselect2.ElementWrapper.from_xml_root(root)
        self._elements = {id(element.etree_element): element for element in wrapped.iter_subtree()}
        if self._searched * len(self._elements) > MAX_MATCHES:
            raise Refused("too many selectors")

    def _add(self, rule: Any) -> None:
        if rule.type != "qualified-rule":
            return
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

    def of(self, element: Any) -> list[tuple[str, str, bool]]:
        """Return (property, value, important) in order of precedence, the last wins among its kind."""
        if self._matcher is None or id(element) not in self._elements:
            return []
        found = sorted(self._matcher.match(self._elements[id(element)]), key=lambda match: match[:2])
        self._matches += len(found)
        if self._matches > MAX_MATCHES:
            raise Refused("too many selectors")
        return [declaration for *_, declarations in found for declaration in declarations]


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
            if is_important == important and (name in INHERITED or name in OWN or name in GEOMETRY):
                attributes[name] = value
    return attributes


def inherit(parent: Style, own: Style) -> Style:
    """Return the computed values of an element: its own, else its parent's where they are inherited."""
    computed = {}
    for name, default in INHERITED.items():
        value = own.get(name, "inherit")
        if value in ("inherit", "unset"):
            computed[name] = parent.get(name, default)
        else:
            computed[name] = default if value == "initial" else value
    for name, default in OWN.items():
        value = own.get(name, default)
        if value == "inherit":
            value = parent.get(name, default)
        computed[name] = default if value in ("initial", "unset") else value
    return computed
