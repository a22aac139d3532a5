"""An SVG file as a tree: parsed safely, its elements found by id, and what may be spent on it.

References are followed and outlines cut within budgets, so that neither cycles nor doubling chains nor tangles cost
more than a large file.
"""

import re
from typing import Any

from lxml import etree

from corpus.optimization import outline
from corpus.optimization.refusal import Refused
from corpus.optimization.svg_style import Style, StyleSheets
from qwen_svg.svg.values import Command
from svg_constraint import SVG_NAMESPACE

MAX_FILE = 4 * 2**20  # bytes
MAX_VALUE = 2**17  # characters of an attribute
MAX_ATTRIBUTES = 256  # of an element
MAX_ELEMENTS = 5_000  # drawn or walked through, references followed
MAX_DEPTH = 48
MAX_COMMANDS = 30_000  # of paths, as often as they are drawn or cut, and stops of gradients likewise
MAX_CROSSINGS = 3_000  # pairs of segments that may cross where outlines are cut; Skia's time grows with their square
LANGUAGE = "en"  # of the reader
XLINK = "{http://www.w3.org/1999/xlink}href"


class SvgDocument:
    """A parsed file. Raises Refused when it is none, or when more is spent on it than the limits above."""

    def __init__(self, svg: bytes | str):
        self.root = parse(svg)
        self.by_id: dict[str, Any] = {}
        for element in self.root.iter():
            if len(element.attrib) > MAX_ATTRIBUTES or any(
                len(value) > MAX_VALUE and not name.endswith("href") for name, value in element.items()
            ):
                raise Refused("very large attributes")
            if (name := element.get("id")) is not None:
                self.by_id.setdefault(name, element)
        self.sheets = StyleSheets(self.root)
        self.elements = self.commands = self.crossings = 0

    def target(self, reference: str) -> Any:
        """Return the element that "#id" refers to, None where there is none."""
        if not reference.startswith("#"):
            raise Refused("reference to another file")
        return self.by_id.get(reference[1:])

    def enter(self, depth: int) -> None:
        """Count an element."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise Refused(f"more than {MAX_ELEMENTS} elements")
        if depth > MAX_DEPTH:
            raise Refused(f"nested deeper than {MAX_DEPTH} levels")

    def spend(self, commands: int) -> None:
        """Count path commands."""
        self.commands += commands
        if self.commands > MAX_COMMANDS:
            raise Refused(f"more than {MAX_COMMANDS} path commands")

    def cut(self, *paths: list[Command]) -> None:
        """Count a boolean operation on outlines, before it is done."""
        self.spend(sum(len(path) for path in paths))
        self.crossings += outline.count_crossings(paths, MAX_CROSSINGS) ** 2
        if self.crossings > MAX_CROSSINGS**2:
            raise Refused("a tangle of outlines")


def reference_of(own: Style) -> str:
    """Return where an element's href points: SVG 2's, or xlink's; "" without."""
    return own.get("href") or own.get(XLINK) or ""


def parse(svg: bytes | str) -> Any:
    data = svg.encode("utf-8", "surrogatepass") if isinstance(svg, str) else svg
    if len(data) > MAX_FILE:
        raise Refused(f"larger than {MAX_FILE // 2**20} MB")
    if isinstance(svg, str):
        data = re.sub(rb"^\s*<\?xml[^>]*\?>", b"", data)  # an encoding declared there is no longer true
    data = _without_doctype(data)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(data.strip(), parser)
    except etree.XMLSyntaxError:
        raise Refused("not well-formed") from None
    except (ValueError, LookupError):
        raise Refused("unknown encoding") from None
    if root is None or tag_of(root) != "svg":
        raise Refused("not an SVG")
    return root


_DOCTYPE = re.compile(rb"<!DOCTYPE[^>\[]*(\[.*?\]\s*)?>", re.DOTALL)
_ENTITY = re.compile(rb"<!ENTITY\s+([A-Za-z_][\w.-]*)\s+(\"[^\"&%<]*\"|'[^'&%<]*')\s*>")


def _without_doctype(data: bytes) -> bytes:
    """Illustrator writes namespace addresses as entities there: plain short texts, which cannot grow."""
    at = data.find(b"<!DOCTYPE")
    doctype = _DOCTYPE.match(data, at) if at >= 0 else None
    if not doctype:
        return data
    entities = _ENTITY.findall(doctype.group()) if doctype.group(1) else []
    if data.count(b"<!ENTITY") != len(entities) or len(entities) > 32:
        raise Refused("entities in its DOCTYPE")
    data = data[:at] + data[doctype.end() :]
    for name, value in entities:
        if len(data) + data.count(b"&" + name + b";") * len(value) > 2 * MAX_FILE:
            raise Refused("entities in its DOCTYPE")
        data = data.replace(b"&" + name + b";", value[1:-1])
    return data


def tag_of(element: Any) -> str:
    """Return the SVG name of an element, "" for what is not SVG. Files without a namespace are taken as SVG."""
    name = element.tag
    if not isinstance(name, str):
        raise Refused("entity")  # an undeclared one, left in the tree
    if name[0] != "{":
        return name
    namespace, _, local = name[1:].partition("}")
    return local if namespace == SVG_NAMESPACE else ""


def applies(element: Any) -> bool:
    """Do an element's conditional attributes hold? No extension is known, and the reader's language is English."""
    if element.get("requiredExtensions") is not None:
        return False
    if (languages := element.get("systemLanguage")) is None:
        return True
    tags = [tag.strip().lower() for tag in languages.split(",")]
    return any(tag == LANGUAGE or tag.startswith(LANGUAGE + "-") for tag in tags)
