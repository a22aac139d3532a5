"""What is trained on: the drawings of `make icons` as pixels, their words as directions, and which copy may see which.

All is made once and kept in CACHE, a chunk a file: who was stopped goes on behind the last whole chunk.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from corpus.icons.drawings import PAINTS
from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import atomic_write
from qwen_svg.common.tables import rows, text_in
from qwen_svg.svg.render import on_white
from qwen_svg.svg.render_worker import resvg
from scoring.icon_matching.matcher import SIDE

CACHE = Path("outputs/icon_match/cache")
CHUNK = 4096  # drawings or texts in a file
HELD_OUT, COPIES = "held out", ("a", "b")
MOST_OF_ONE = 12  # drawings of a concept: the largest is a chain of words that holds a fifth of all drawings

_PAINTED = re.compile(rf"^(?:an? )?(?:{'|'.join(PAINTS)}) (.+)$", re.IGNORECASE)
_COLOUR = re.compile(
    rf"\b({'|'.join({*PAINTS, 'white', 'grey', 'gold', 'violet', 'silver', 'coloured', 'rainbow'})})\b", re.IGNORECASE
)


@dataclass
class Drawing:
    """One picture with all its wordings."""

    id: str
    svg: str
    group: str  # its concept
    source: str
    license: str
    texts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its short wording, without the colour it was painted in by rule."""
        return min(self.texts, key=len)


def without_paint(text: str) -> str:
    """Return "wrench" of "a navy wrench"; any other text as it is."""
    found = _PAINTED.match(text)
    return found[1] if found else text


def names_colour(text: str) -> bool:
    return bool(_COLOUR.search(text))


def side_of(group: str) -> str:
    """Return who may see a concept: HELD_OUT, "a" or "b". It depends on its name alone."""
    number = _number(group) % 20
    if number < 2:  # a tenth
        return HELD_OUT
    return COPIES[number % 2]


def read_drawings(path: str, most: int) -> list[Drawing]:
    """Return the drawings of a table with columns id (DRAWING:WORDING), description, svg_content and group.

    There are `most` of them or fewer, and MOST_OF_ONE of a concept, by hash. Each has its short wording, with and
    without paint, and its tags or its sentence, by hash. Raises UserError for a row that lacks a column.
    """
    found: dict[str, Drawing] = {}
    for row in rows(path):
        values = {}
        for column in ("id", "description", "svg_content", "group"):
            values[column], fault = text_in(row, column)
            if fault:
                raise UserError(f"{row.place}: {fault}; `make icons` writes such a table.")
        id = values["id"].rpartition(":")[0] or values["id"]
        if id not in found:
            svg = extract_svg(values["svg_content"]) or ""
            more = (str(row.values.get(column, "")) for column in ("source", "license"))
            found[id] = Drawing(id, svg, values["group"], *more)
        found[id].texts.append(values["description"])
    kept, of_concept = [], Counter[str]()
    for drawing in sorted(found.values(), key=lambda drawing: _number(drawing.id)):
        of_concept[drawing.group] += 1
        if of_concept[drawing.group] <= MOST_OF_ONE:
            short, *others = sorted(drawing.texts, key=len)
            other = others[_number(drawing.id) % len(others)] if others else short
            drawing.texts = list(dict.fromkeys((short, without_paint(short), other)))
            kept.append(drawing)
    return kept[:most]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def see(drawings: Sequence[Drawing]) -> np.ndarray:
    """Return the drawings on white: uint8 (N, SIDE, SIDE, 3); one that does not render is all white."""
    return np.stack([_pixels(drawing.svg) for drawing in drawings])


def _pixels(svg: str) -> np.ndarray:
    """In this process, which is faster: `make icons` wrote these drawings and has rendered each of them before."""
    try:
        return np.asarray(on_white(resvg(svg, SIDE, SIDE, transparent=False), SIDE))
    except ValueError:
        return np.full((SIDE, SIDE, 3), 255, np.uint8)


def in_chunks(what: str, items: Sequence[Any], keys: Sequence[str], make: Callable[[Sequence[Any]], Any]) -> np.ndarray:
    """Return make(items), from CACHE where it is there.

    what: names it on the terminal and in CACHE. keys: a text for each item that says all it depends on.
    """
    folder = CACHE / what
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(items), CHUNK):
        mark = hashlib.sha256("\0".join(keys[start : start + CHUNK]).encode("utf-8", "surrogatepass"))
        path = folder / f"{mark.hexdigest()[:16]}.npy"
        if not path.is_file():
            made = make(items[start : start + CHUNK])
            with atomic_write(path) as part, part.open("wb") as file:
                np.save(file, made)
            print(f"{what}: {min(start + CHUNK, len(items)):,} of {len(items):,}", flush=True)
        parts.append(np.load(path))
    return np.concatenate(parts)
