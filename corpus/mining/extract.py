"""The SVGs in what was fetched, and the addresses of the ones it links to."""

import base64
import binascii
import codecs
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urljoin

import webencodings
from lxml import etree
from selectolax.lexbor import LexborHTMLParser

from corpus.mining.robots import REFUSING
from corpus.mining.standalone import MAX_CHARACTERS, Document, NotStandalone, Page

HTML = {"text/html", "application/xhtml+xml"}
# "" is none given; the last three are what some servers call an .svg.
MEDIA_TYPES = (
    HTML
    | {"", "image/svg+xml", "text/xml", "application/xml"}
    | {
        "text/plain",
        "application/octet-stream",
        "image/svg",
    }
)
MAX_LINKS = 20  # linked .svg files taken from one page
MAX_SVGS = 500  # inline ones taken from one page
MAX_WRITTEN = 4_000_000  # characters of them, those that fail included: each may bring the same large symbol along
# The parser's time grows with the square of some counts (open elements, attributes of one tag). A page within these
# limits takes it less than a second at worst; ordinary ones have a tenth of it.
MAX_TAGS = 40_000
MAX_TAG_BYTES = 100_000  # of one tag, not counting what stands in quotes

_LINK_ATTRIBUTES = ("src", "href", "data", "srcset", "data-src", "data-srcset", "xlink:href")
_LINKS = ", ".join(f'[{name.replace(":", chr(92) + ":")}*=".svg" i]' for name in _LINK_ATTRIBUTES)
_DATA_URLS = ", ".join(f'[{name}^="data:image/svg+xml" i]' for name in ("src", "href", "data"))
_LONG_TAG = re.compile(rb"<[^<>]{%d,}" % MAX_TAG_BYTES)
_IN_QUOTES = re.compile(rb"\"[^\"]*\"|'[^']*'")
_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>\s*")
_ROOT = re.compile(r"<(?:\w+:)?svg[\s>/]")
_PARSER_OPTIONS = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


@dataclass
class ExtractedSvgs:
    svgs: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # absolute; may be of any scheme
    passed: Counter[str] = field(default_factory=Counter)  # <svg> elements not taken, and why
    repeats: int = 0  # <svg> elements that were met before


class Seen:
    """The <svg> elements met lately that stood alone. The icons of a site are on each of its pages; most are these."""

    def __init__(self, most: int = 100_000):
        self.most = most
        self.newer: set[int] = set()
        self.older: set[int] = set()

    def __contains__(self, markup: str) -> bool:
        return hash(markup) in self.newer or hash(markup) in self.older

    def add(self, markup: str) -> None:
        if len(self.newer) >= self.most // 2:
            self.newer, self.older = set(), self.newer
        self.newer.add(hash(markup))


class Unreadable(Exception):
    """Why nothing can be taken from what was fetched."""


def extract(body: bytes, media_type: str, charset: str | None, url: str, seen: Seen | None = None) -> ExtractedSvgs:
    """Return what a page or an SVG file holds, but for what was seen before. Raises Unreadable."""
    if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        body, charset = body.decode("utf-16", errors="replace").encode(), "utf-8"
    if (first := body.find(b"svg")) < 0 and b"SVG" not in body:
        return ExtractedSvgs()
    if media_type not in HTML:
        head = _decoded(body[:8192], charset)
        if _ROOT.search(head) and "<html" not in head.lower():
            return from_file(_decoded(body, charset))
    return from_page(body, charset, url, first, Seen() if seen is None else seen)


def from_file(text: str) -> ExtractedSvgs:
    """Take an SVG file as it is, if it is well-formed; from a sheet of symbols take each of them."""
    text = _PROLOG.sub("", text.removeprefix("\ufeff")).strip()
    if len(text) > MAX_CHARACTERS:
        raise Unreadable("SVG too long")
    try:
        root = etree.fromstring(text, etree.XMLParser(**_PARSER_OPTIONS))
    except (etree.XMLSyntaxError, ValueError):
        raise Unreadable("SVG not well-formed") from None
    if etree.QName(root).localname != "svg":
        raise Unreadable("not an SVG")
    if "<symbol" in text:
        tree = LexborHTMLParser(text)
        found = ExtractedSvgs()
        _inline(tree, found, Seen())
        if found.svgs and found.passed["draws nothing"]:
            return found
    return ExtractedSvgs([text])


def from_page(body: bytes, charset: str | None, url: str, first: int, seen: Seen) -> ExtractedSvgs:
    """`first` is where "svg" stands first in the body."""
    if len(body) > 3 * MAX_TAGS and body.count(b"<") > MAX_TAGS:
        raise Unreadable("too many tags")
    if any(len(_IN_QUOTES.sub(b"", tag)) > MAX_TAG_BYTES for tag in _LONG_TAG.findall(body)):
        raise Unreadable("tag too long")
    tree = LexborHTMLParser(_decoded(body, charset))
    found = ExtractedSvgs()
    for meta in tree.css('meta[name="robots" i]'):
        if not REFUSING.isdisjoint(word.strip().lower() for word in (meta.attributes.get("content") or "").split(",")):
            raise Unreadable("opted out")
    _inline(tree, found, seen)
    # One pass for both, as these searches cost a tenth of the time a page takes.
    before = set()
    while first >= 0:
        before.add(body[first - 1 : first])
        first = body.find(b"svg", first + 3)
    if b"." in before:
        _linked(tree, url, found)
    if b"/" in before:
        for node in tree.css(_DATA_URLS):
            for name in ("src", "href", "data"):
                _from_data_url(node.attributes.get(name) or "", found)
    return found


def _inline(tree: LexborHTMLParser, found: ExtractedSvgs, seen: Seen) -> None:
    page, inner, written = Page(tree), set(), 0
    for node in tree.css("svg"):
        if node.mem_id in inner:
            continue
        if len(found.svgs) >= MAX_SVGS or written > MAX_WRITTEN:
            return
        markup = node.html
        if markup in seen:
            found.repeats += 1
            continue
        document = Document(page)
        try:
            found.svgs.append(document.text(node))
            if document.alone:
                seen.add(markup)
        except NotStandalone as reason:
            found.passed[str(reason)] += 1
            if not document.draws:
                _symbols(node, page, found)
        inner.update(document.nested)
        written += document.size


def _symbols(sheet, page: Page, found: ExtractedSvgs) -> None:
    """A sheet that draws nothing by itself is a set of pictures: each of its symbols."""
    for symbol in sheet.css("symbol[viewBox]"):
        if len(found.svgs) < MAX_SVGS:
            try:
                found.svgs.append(Document(page).text(symbol))
            except NotStandalone as reason:
                found.passed[str(reason)] += 1


def _linked(tree: LexborHTMLParser, url: str, found: ExtractedSvgs) -> None:
    base = tree.css_first("base[href]")
    if base is not None:
        url = urljoin(url, base.attributes["href"] or "")
    seen = set()
    for node in tree.css(_LINKS):
        attributes = node.attributes
        for name in _LINK_ATTRIBUTES:
            value = attributes.get(name) or ""
            # srcset: addresses with a size behind each, and commas between (none of them within)
            for part in value.split(",") if name.endswith("srcset") else (value,):
                address = part.strip().split()[0] if name.endswith("srcset") and part.strip() else part.strip()
                path = address.partition("#")[0].partition("?")[0]
                if not path.lower().endswith(".svg") or path.startswith("data:"):
                    continue
                try:
                    absolute = urljoin(url, address.partition("#")[0])
                except ValueError:
                    continue
                if absolute not in seen and len(found.links) < MAX_LINKS:
                    seen.add(absolute)
                    found.links.append(absolute)


def _from_data_url(value: str, found: ExtractedSvgs) -> None:
    """data:image/svg+xml[;charset=…][;base64],… (RFC 2397)"""
    kind, comma, data = value.strip().partition(",")
    if not comma or not kind.lower().startswith("data:image/svg+xml"):
        return
    body = unquote_to_bytes(data)
    try:
        body = base64.b64decode(body) if kind.lower().endswith(";base64") else body
        found.svgs += from_file(_decoded(body, None)).svgs
    except (binascii.Error, Unreadable):
        found.passed["broken data URL"] += 1


def _decoded(body: bytes, charset: str | None) -> str:
    """Decode by the byte order mark, the header, what the text says of itself, or as UTF-8."""
    if charset is None and (said := re.search(rb"(?:charset|encoding)\s*=\s*[\"']?([\w-]+)", body[:1024], re.I)):
        charset = said[1].decode("ascii")
    encoding = webencodings.lookup(charset) if charset else None
    return webencodings.decode(body, encoding or webencodings.UTF8)[0]
