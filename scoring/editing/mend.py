"""A repairer by rule, to be beaten: what stands around is cut off, values are quoted, the tree is recovered, spelling
is guessed.

lxml's recovery closes what is open; names of elements, attributes and colours become the nearest ones that are allowed;
then corpus.optimize writes what is drawn in the dialect. "" where that fails.
"""

import difflib
import re
from typing import Any

from lxml import etree

from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.refusal import Refused
from qwen_svg.svg.values import NAMED_COLOURS, ValueFault, parse_paint
from svg_constraint import PROMPT_TABLE, SVG_OPEN, check

ALIKE = 0.7  # difflib's ratio, from which one name is taken for another
_ROOT = re.compile(r"<svg\b[^>]*>?", re.IGNORECASE)
_ATTRIBUTE = re.compile(r' ([A-Za-z][\w-]*)=\s*"?([^"<>]*?)"?(?=\s+[A-Za-z][\w-]*=|\s*/?>|\s*$)', re.MULTILINE)
_NUMBER = re.compile(r"-?[0-9.]+")


def mended(text: str) -> str:
    root = _ROOT.search(text)
    inner = text[root.end() :] if root else text
    body = _ATTRIBUTE.sub(r' \1="\2"', re.split(r"</svg|```", inner, flags=re.IGNORECASE)[0])
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, huge_tree=False)
    own = root is not None and "viewBox" in root[0] and root[0].endswith(">")
    tree = etree.fromstring(f"{root[0] if own else SVG_OPEN}{body}</svg>".encode(), parser)
    if tree is None:
        return ""
    spell(tree)
    svg = etree.tostring(tree, encoding="unicode")
    if check(svg).valid:
        return svg
    try:
        return optimize_svg_string(svg, compare=False)
    except Refused:
        return ""


def spell(element: Any) -> None:
    """Give an element, and all it holds, the nearest names and values that are allowed; what has none is taken out."""
    for child in list(element):
        if not isinstance(child.tag, str):
            continue
        local = etree.QName(child).localname
        tag = nearest(local, PROMPT_TABLE)
        if tag is None:
            element.remove(child)
            continue
        child.tag = "{http://www.w3.org/2000/svg}" + tag
        child.text = child.tail = None
        for name, value in list(child.attrib.items()):
            del child.attrib[name]
            if name == "style" and (found := re.fullmatch(r"\s*(fill|stroke)\s*:\s*([^;]+);?\s*", value)):
                name, value = found.groups()
            if (right := nearest(name, PROMPT_TABLE[tag])) and right not in child.attrib:
                child.set(right, mended_value(right, value))
        spell(child)


def nearest(word: str, known: Any) -> str | None:
    return next(iter(difflib.get_close_matches(word if word in known else word.lower(), known, 1, ALIKE)), None)


def mended_value(name: str, value: str) -> str:
    value = value.strip().strip("\"'").strip()
    if name in ("fill", "stroke"):
        try:
            parse_paint(value)
        except ValueFault:
            return nearest(value.replace(" ", "").replace("-", ""), NAMED_COLOURS) or value
    elif name not in ("d", "points", "transform") and (number := _NUMBER.match(value)):
        return number.group()
    return value
