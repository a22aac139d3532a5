"""The drawings of an icon set with the words for them, before they are brought into the dialect."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from corpus.icons.names import COLOURS, is_brand, label_of_emoji, label_of_name
from corpus.icons.packages import read_json, tarball
from corpus.icons.sets import EMOJIBASE, WORDS, IconSet
from corpus.icons.written import Written, code_key, read_written
from corpus.sources import SKIN_TONES, iconify_svg

PAINTS = {  # word → colour: what a person would call it, to be seen on white
    "red": "#e02020", "orange": "#ff8c00", "yellow": "#ffd000", "green": "#1a9641", "blue": "#2060e0",
    "purple": "#8020a0", "pink": "#ff69b4", "brown": "#8b4513", "black": "#000000", "gray": "#808080",
    "navy": "#000080", "teal": "#008080",
}  # fmt: skip
_TONE_NAME = re.compile(r"(light|medium|dark)-skin|skin-tone|tone\d")
_TONE_CODES = {f"{code:x}" for code in SKIN_TONES}


@dataclass(frozen=True)
class Icon:
    name: str  # as the set has it
    svg: str
    label: str
    style: str
    written: Written = field(default=Written())
    paint: str = ""  # the name of the colour it was painted in


def info(folder: Path, some: IconSet) -> dict[str, Any]:
    """Return what Iconify says of a set: licence, author."""
    return read_json(tarball(folder, some.package), "info.json")


def icons_of(folder: Path, some: IconSet) -> Iterator[Icon]:
    """Yield a set's icons by name, without brands, copies in skin tones and other sizes, and what has no name."""
    package = tarball(folder, some.package)
    data = read_json(package, "icons.json")
    aliases, categories = _aliases(data), _categories(read_json(package, "metadata.json"))
    written = read_written(some.prefix, tarball(folder, WORDS[some.prefix])) if some.prefix in WORDS else {}
    codes = {icon: code for code, icon in reversed(read_json(package, "chars.json").items())}
    emoji = _Emoji(read_written(EMOJIBASE[0], tarball(folder, EMOJIBASE))) if some.emoji else None
    for name in sorted(data["icons"]):
        base, style = _style(name, some, data["icons"])
        if data["icons"][name].get("hidden") or style is None:
            continue
        more = Written(aliases=aliases.get(name, ()), categories=categories.get(name, ()))
        said = emoji.of(name, codes.get(name, ""), more) if emoji else _joined(written, name, base, more)
        label = (label_of_emoji(said.label) if emoji else label_of_name(said.label or base, some.scrap)) if said else ""
        if label and not is_brand(name, said):
            icon = Icon(name, iconify_svg(data["icons"][name], data), label, style, said)
            yield from _painted(icon, some.prefix) if some.painted else (icon,)


def _style(name: str, some: IconSet, icons: dict) -> tuple[str, str | None]:
    """Return (the name without its style, the style); None where this one is left out, "" where it is not known.

    A set's plain names are one style only where the other has a name of its own: "anchor" of mdi is both.
    """
    base = re.sub(r"-(16|20|24|28|32|48)$", "", name)
    if base != name and any(f"{base}-{size}" in icons for size in _larger(name)):
        return base, None
    for ending in some.skipped:
        if base.endswith(f"-{ending}"):
            return base, None
    for ending, style in some.styles.items():
        if ending and base.endswith(f"-{ending}"):
            return base.removesuffix(f"-{ending}"), style
    others = [ending for ending in some.styles if ending]
    unsure = some.prefix == "mdi" and not any(f"{base}-{ending}" in icons for ending in others)
    return base, "icon" if unsure else some.styles.get("")


def _larger(name: str) -> list[int]:
    size = int(name.rpartition("-")[2])
    return [other for other in (16, 20, 24, 28, 32, 48) if other > size]


def _aliases(data: dict) -> dict[str, tuple[str, ...]]:
    """Return other names by icon, without those of turned copies."""
    found: dict[str, tuple[str, ...]] = {}
    for alias, of in data.get("aliases", {}).items():
        if set(of) == {"parent"}:
            found[of["parent"]] = (*found.get(of["parent"], ()), alias)
    return found


def _categories(metadata: dict) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for category, names in metadata.get("categories", {}).items():
        for name in names:
            found[name] = (*found.get(name, ()), category)
    return found


def _joined(written: dict[str, Written], name: str, base: str, more: Written) -> Written:
    """Return what the set's authors and Iconify wrote of an icon."""
    own = written.get(name) or written.get(base) or Written()
    return replace(own, aliases=(*own.aliases, *more.aliases), categories=(*own.categories, *more.categories))


class _Emoji:
    """What emojibase says of an emoji that a set knows by its code points, or by a name alone."""

    def __init__(self, written: dict[str, Written]):
        self.written = written
        self.codes = {_squashed(said.label): code for code, said in reversed(written.items())}

    def of(self, name: str, code: str, more: Written) -> Written | None:
        """Return None for a copy in a skin tone, and for what emojibase does not know."""
        if _TONE_NAME.search(name) or set(code.split("-")) & _TONE_CODES:
            return None
        names = (name, re.sub(r"-?\d+$", "", name), *more.aliases)
        known = code_key(code) if code else next((self.codes[n] for n in map(_squashed, names) if n in self.codes), "")
        said = self.written.get(known)
        return replace(said, categories=more.categories) if said else None


def _squashed(name: str) -> str:
    """Sets write names with dashes, blanks or nothing between the words."""
    name = re.sub(r"^flag-for-(flag-)?", "flag-", name.lower())
    return re.sub(r"[^a-z0-9]", "", name)


def _painted(icon: Icon, prefix: str) -> Iterator[Icon]:
    """Yield the icon in a colour that its name decides; nothing where the name has a colour, or the drawing its own."""
    if set(icon.label.lower().split()) & COLOURS or "currentColor" not in icon.svg:
        return
    word = list(PAINTS)[zlib.crc32(f"{prefix}-{icon.name}".encode()) % len(PAINTS)]
    yield replace(icon, svg=icon.svg.replace("currentColor", PAINTS[word]), paint=word)
