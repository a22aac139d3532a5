"""From bytes to XML events and a verdict: what holds for every document, whatever the dialect.

Expat streams: no tree is built, no entity is expanded, nothing recurses, so hostile text costs linear time and no
memory to speak of. A dialect is a subclass that judges the events. Imports nothing of the project.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

HARD_CAP = 262_144  # bytes; text beyond this is not even parsed
MAX_ELEMENTS = 5_000
SEPARATOR = "\x1f"  # between namespace, name and prefix in expat's names; no XML text can hold it
DOCUMENT = 0  # the item number that stands for the document itself
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True)
class Violation:
    """One fault: a stable rule name, the element it is in ("" = the document), the line (from 1), a sentence."""

    rule: str
    element: str
    line: int
    message: str


@dataclass
class Verdict:
    """All violations of one document, in document order, and a structural score.

    score: the share of items (the document itself, each element, each comment) without a violation; halved when the
    text is not well-formed, 0 when it cannot be read at all. 1 exactly when there is no violation.
    """

    dialect: str
    violations: list[Violation] = field(default_factory=list)
    warnings: list[Violation] = field(default_factory=list)
    score: float = 1.0

    @property
    def valid(self) -> bool:
        return not self.violations

    def to_json(self) -> dict:
        return {
            "valid": self.valid,
            "score": self.score,
            "violations": [vars(violation) for violation in self.violations],
            "warnings": [vars(warning) for warning in self.warnings],
        }


class Stop(Exception):
    """Nothing behind this point is read."""


class Reader:
    """Bytes to XML events, with what holds in every dialect. Expat streams: no tree, no entities, no recursion."""

    encoding: str | None = "utf-8"  # overrides what a document declares; None = as declared

    def __init__(self, dialect: str, max_bytes: int):
        self.max_bytes = max_bytes
        self.verdict = Verdict(dialect)
        self.items = 0  # elements and comments seen
        self.faulty: set[int] = set()
        self.elements = self.depth = 0

    def add(self, rule: str, element: str, line: int, message: str, item: int = DOCUMENT) -> None:
        self.verdict.violations.append(Violation(rule, element, line, message))
        self.faulty.add(item)

    def read(self, svg: str | bytes) -> bool:
        """Fill the verdict; return whether the text could be read as far as the parser."""
        data = self.decoded(svg)
        if data is None:
            return False
        self.parser = parser = expat.ParserCreate(self.encoding, SEPARATOR)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.StartDoctypeDeclHandler = self.doctype
        self.listen(parser)
        try:
            parser.Parse(data, True)
        except Stop:
            pass
        except expat.ExpatError as error:
            self.add("not-well-formed", "", error.lineno, _xml_sentence(error, data))
        except (ValueError, LookupError) as error:  # an encoding declared that is unknown or has many bytes
            self.add("encoding", "", 1, f"the declared encoding cannot be used ({error}); write UTF-8")
        else:
            self.finish()
        return True

    def decoded(self, svg: str | bytes) -> bytes | None:
        """Check bytes before parsing; return what to parse, or None when that would make no sense."""
        try:
            data = svg.encode("utf-8") if isinstance(svg, str) else bytes(svg)
            if len(data) > self.max_bytes:
                self.add("size", "", 1, f"{len(data):,} bytes; at most {self.max_bytes:,} are allowed")
            if len(data) > HARD_CAP:
                return None
            if data.startswith(b"\x1f\x8b"):
                self.add("compressed", "", 1, "the file is gzip-compressed; give the SVG text itself")
                return None
            text = data.decode("utf-8")
        except UnicodeEncodeError as error:
            self.add("utf-8", "", 1, f"character {error.start + 1} is a lone surrogate, which no UTF-8 text can hold")
            return None
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            self.add("utf-8", "", line, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8")
            return None
        if not text.strip():
            self.add("empty", "", 1, "the text is empty")
            return None
        if match := _ILLEGAL.search(text):
            line = text.count("\n", 0, match.start()) + 1
            self.add("character", "", line, f"U+{ord(match.group()):04X} is not a character that XML allows")
            return None
        return data

    def listen(self, parser: Any) -> None:
        """Set the handlers only some dialects need."""

    def count_element(self, name: str) -> int:
        """Keep the limits; return the element's item number."""
        self.items += 1
        self.elements += 1
        self.depth += 1
        line = self.parser.CurrentLineNumber
        if self.elements > MAX_ELEMENTS:
            self.add("limit", name, line, f"more than {MAX_ELEMENTS:,} elements; nothing behind is read", self.items)
            raise Stop
        return self.items

    def start(self, name: str, attributes: list[str]) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        self.depth -= 1

    def doctype(self, name: str, system_id: str | None, public_id: str | None, has_subset: bool) -> None:
        self.add("doctype", "", self.parser.CurrentLineNumber, "a DOCTYPE is not allowed; nothing behind it is read")
        raise Stop

    def finish(self) -> None:
        """Called at the end of a well-formed document."""


def _xml_sentence(error: expat.ExpatError, data: bytes) -> str:
    reason = expat.ErrorString(error.code)
    cut_off = error.lineno > data.count(b"\n") and reason in ("no element found", "unclosed token")
    hint = "; the text ends before </svg>, as an answer cut at a token limit does" if cut_off else ""
    return f"the XML is not well-formed at column {error.offset + 1}: {reason}{hint}"


def local_name(name: str) -> str:
    """The local part of "namespace SEP local SEP prefix", "namespace SEP local" or "local"."""
    parts = name.split(SEPARATOR)
    return parts[1] if len(parts) > 1 else parts[0]


def qualified_name(name: str) -> str:
    """The name as it was written, prefix and all, for sentences."""
    parts = name.split(SEPARATOR)
    return f"{parts[2]}:{parts[1]}" if len(parts) == 3 else parts[-1]
