"""An <svg> element of an HTML page, written as a document of its own.

In a page an SVG leans on what is around it: the namespaces are implied, attribute names may hold what XML refuses, and
<use> or url(#…) may point at a symbol or gradient that stands elsewhere on the page. The parser (lexbor) has already
put the letter case of names right, as the HTML standard's tables for foreign content say; the rest is done here.
Scripts, event handlers and comments are left out. What a style sheet of the page paints would lose its paint, and is no
document.
"""

import re
from html import escape

NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
XLINK = ' xmlns:xlink="http://www.w3.org/1999/xlink"'
DRAWN = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "image", "use"}
NEVER_DRAWN = {"defs", "symbol", "clipPath", "mask", "pattern", "marker"}  # only where something points at them
LEFT_OUT = {"script", "noscript", "template", "#comment", "-comment"}
MAX_DEPTH = 64  # elements within elements
MAX_CHARACTERS = 1_000_000  # of one document

_TAG = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_ATTRIBUTE = re.compile(r"(?!on)(?!xmlns)[A-Za-z_][\w.-]*|xlink:[a-z]+|xml:(?:space|lang|id)", re.ASCII)
_URL_REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")]+)")
# What XML 1.0 admits in no form (production Char).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RULE = re.compile(r"([^{}@;]+)\{([^{}]*)\}")
_PAINTS = re.compile(r"(?:^|[;\s])(?:fill|stroke)(?:-width)?\s*:\s*(?!currentcolor|inherit)", re.IGNORECASE)
MAX_CSS = 200_000  # characters of a page's style sheets that are looked at …
MAX_RULES = 300  # … and of their rules those that paint


class NotStandalone(Exception):
    """Why an element cannot be a document of its own."""


class Page:
    """The elements of a page that can be pointed at; looked up only when something points outside of its SVG."""

    def __init__(self, tree):
        self.tree = tree
        self._by_id: dict | None = None
        self._painted: set[int] | None = None

    def paints(self, node) -> bool:
        """Does a rule of the page's style sheets, those within an <svg> aside, give the element its paint?"""
        if self._painted is None:
            text = "".join(sheet.text() for sheet in self.tree.css("style") if not _within_svg(sheet))[:MAX_CSS]
            rules = [selector for selector, body in _RULE.findall(text) if _PAINTS.search(body)]
            self._painted = {found.mem_id for rule in rules[:MAX_RULES] for found in self._matched(rule)}
        return node.mem_id in self._painted

    def _matched(self, selector: str) -> list:
        selector = re.sub(r"/\*.*?\*/", "", selector, flags=re.DOTALL).strip()
        if ":" in selector:  # in some state only, or what this cannot match
            return []
        try:
            return self.tree.css(selector)
        except Exception:  # lexbor raises its own types at selectors that it does not know
            return []

    def element(self, name: str):
        if self._by_id is None:
            self._by_id = {}
            for node in self.tree.css("svg [id]"):
                self._by_id.setdefault(node.attributes["id"], node)
        return self._by_id.get(name)


def _within_svg(node) -> bool:
    while (node := node.parent) is not None:
        if node.tag == "svg":
            return True
    return False


class Document:
    """One document while it is written; `nested` are the memory ids of the <svg> elements within it."""

    def __init__(self, page: Page):
        self.page = page
        self.parts: list[str] = []
        self.size = 0
        self.draws = False
        self.ids: set[str] = set()
        self.references: list[tuple[str, bool]] = []  # (id, whether the picture is wrong without it)
        self.nested: list[int] = []
        self.viewbox = ""  # of the symbol that is used
        self.alone = True  # whether the same markup gives the same document on every page

    def text(self, root) -> str:
        """Return the document. Raises NotStandalone."""
        if self.page.paints(root):
            raise NotStandalone("painted by the page")
        attributes = {k: v for k, v in root.attributes.items() if root.tag == "svg" or k not in ("id", "class")}
        self.children(root, "svg", 1)
        body, self.parts = "".join(self.parts), []
        if not self.draws:
            raise NotStandalone("draws nothing")
        self.brought_along()
        defs = f"<defs>{''.join(self.parts)}</defs>" if self.parts else ""
        if self.viewbox and not {"viewBox", "width"} & attributes.keys():
            attributes["viewBox"] = self.viewbox
        inside = f"{self.attributes(attributes)}>{defs}{body}</svg>"
        return f"<svg {NAMESPACE}{XLINK if 'xlink:' in inside else ''}{inside}"

    def brought_along(self) -> None:
        """Write what the document points at and does not hold, and what that points at in turn."""
        while self.references:
            name, needed = self.references.pop()
            if name in self.ids:
                continue
            self.alone = False
            node = self.page.element(name)
            if node is None:
                if needed:
                    raise NotStandalone("points at what is not there")
                continue
            if needed and node.tag == "symbol":
                self.viewbox = self.viewbox or node.attributes.get("viewBox") or ""
            self.element(node, "defs", 2)

    def children(self, node, parent: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotStandalone("nested too deep")
        child = node.child
        while child is not None:
            self.element(child, parent, depth)
            child = child.next

    def element(self, node, parent: str, depth: int) -> None:
        tag = node.tag
        if tag == "-text":
            if parent in ("text", "tspan", "textPath", "style", "title", "desc") and (text := node.text(deep=False)):
                if parent == "style":
                    self.references += [(name, False) for name in _URL_REFERENCE.findall(text)]
                self.write(escape(_NOT_XML.sub("", text), quote=False))
            return
        if tag in LEFT_OUT or parent in ("title", "desc") or not _TAG.fullmatch(tag):  # what is in those is HTML
            return
        if tag == "foreignObject":
            raise NotStandalone("holds HTML")
        if self.page.paints(node):
            raise NotStandalone("painted by the page")
        if tag == "svg":
            self.nested.append(node.mem_id)
            self.alone = False  # the page is searched for each of them
        self.draws = self.draws or (tag in DRAWN and parent not in NEVER_DRAWN)
        attributes = node.attributes
        self.write(f"<{tag}{self.attributes(attributes, tag)}")
        if node.child is None:
            self.write("/>")
            return
        self.write(">")
        # What stands in a <g> of a <defs> is not drawn either.
        self.children(node, parent if parent in NEVER_DRAWN and tag == "g" else tag, depth + 1)
        self.write(f"</{tag}>")

    def attributes(self, attributes: dict[str, str | None], tag: str = "svg") -> str:
        written = []
        for name, value in attributes.items():
            if not _ATTRIBUTE.fullmatch(name):
                continue
            value = value or ""
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "xlink:href"):
                file, mark, target = value.strip().partition("#")
                if mark and not file:
                    self.references.append((target, tag == "use"))
                elif tag == "use":
                    raise NotStandalone("points into another file")
            elif "url(" in value:
                self.references += [(target, False) for target in _URL_REFERENCE.findall(value)]
            written.append(f' {name}="{escape(_NOT_XML.sub("", value))}"')
        return "".join(written)

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_CHARACTERS:
            raise NotStandalone("too long")
        self.parts.append(text)
