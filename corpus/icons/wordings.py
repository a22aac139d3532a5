"""Descriptions of one drawing, as different people would ask for it: in short, by what it is about, in a sentence.

A colour is said only where it is to be seen; a style only where the set has it. Which of several phrases is taken
depends on the words alone, so that the same drawing has the same descriptions each time.
"""

import re
import zlib

from corpus.icons.colours import shown
from corpus.icons.sets import OUTLINE, OUTLINED

MOST_COLOURS = 4
MOSTLY = 0.65  # of what is to be seen: the colour of the whole
VOWEL = re.compile(r"^(?!(one|uni|use|usa|u-|eur|ewe|ufo)\b|uni(?!m)|user|europ)([aeiou]|hour|honest|x-ray)", re.I)


def wordings(words: dict, svg: str) -> dict[str, str]:
    """Return descriptions by kind: "short", "tags" where there are any, "sentence"; all of them different.

    words: `label`, `tags` (a list), `style` like "outline icon", `paint`: the colour it was painted in, or "", and
    `thing`: whether the label can stand behind "a".
    svg: the drawing as it will be learned, whose colours are named.
    """
    label, paint = words["label"], words["paint"]
    short = f"{paint} {label}".strip()
    seen = [(paint, 1.0)] if paint else shown(svg)[:MOST_COLOURS]
    found = {"short": with_article(short) if words["thing"] and _chance(label, words, 2) else short}
    if words["tags"]:
        found["tags"] = f"{short}: {', '.join(words['tags'])}"
    return found | {"sentence": _sentence(label, words, seen)}


def _sentence(label: str, words: dict, seen: list[tuple[str, float]]) -> str:
    """Return a sentence. seen: colours with their shares, the largest first; none in a drawing of pale glass."""
    colours, style = [name for name, _ in seen], words["style"]
    if style == OUTLINED and len(colours) == 1:  # lines alone, this time
        style = OUTLINE
    prevails = len(seen) > 1 and seen[0][1] >= MOSTLY
    said = len(colours) == 1 and colours[0] in label.split()  # "a red heart in red"
    coloured = f" {_listed(colours, prevails)}" if colours and not said else ""
    kind = _chance(label, words, 3)
    if kind == 0 and words["thing"]:
        return f"{_capital(with_article(style))} of {with_article(label)}{coloured}."
    if kind == 1 and len(colours) == 1 and not said:
        return f"{_capital(with_article(f'{colours[0]} {style}'))}: {label}."
    return f"{_capital(label)} as {with_article(style)}{coloured}."


def _listed(names: list[str], prevails: bool) -> str:
    """Return "in red", "in red, green and brown", or "mostly in red, with green and brown"."""
    if prevails:
        return f"mostly in {names[0]}, {_listed(names[1:], False).replace('in ', 'with ', 1)}"
    return f"in {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"in {names[0]}"


def _capital(text: str) -> str:
    """str.capitalize would make the rest lower case: "OK button"."""
    return text[:1].upper() + text[1:]


def _chance(label: str, words: dict, among: int) -> int:
    return zlib.crc32(f"{label} {words['style']} {words['paint']} {among}".encode()) % among


def with_article(phrase: str) -> str:
    return f"{'an' if VOWEL.match(phrase) else 'a'} {phrase}"
