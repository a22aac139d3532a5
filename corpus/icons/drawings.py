"""The drawings of an icon set with the words for them, before they are brought into the dialect."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpus.icons.emoji_names import EmojiNames
from corpus.icons.names import label_of_emoji, label_of_name
from corpus.icons.packages import read_json, tarball
from corpus.icons.sets import EMOJIBASE, WORDS, IconSet
from corpus.icons.styles import style_of
from corpus.icons.tags import is_brand
from corpus.icons.vocabulary import COLOURS
from corpus.icons.written import Written, read_written
from corpus.sources import iconify_svg

PAINTS = {  # word → colour: what a person would call it, to be seen on white
    "red": "#e02020", "orange": "#ff8c00", "yellow": "#ffd000", "green": "#1a9641", "blue": "#2060e0",
    "purple": "#8020a0", "pink": "#ff69b4", "brown": "#8b4513", "black": "#000000", "gray": "#808080",
    "navy": "#000080", "teal": "#008080",
}  # fmt: skip


@dataclass(frozen=True)
class Icon:
    name: str  # as the set has it
    svg: str
    label: str
    style: str
    written: Written
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
    emoji = EmojiNames(read_written(EMOJIBASE[0], tarball(folder, EMOJIBASE))) if some.emoji else None
    for name in sorted(data["icons"]):
        base, style = style_of(name, some, data["icons"])
        if data["icons"][name].get("hidden") or style is None:
            continue
        more = Written(aliases=aliases.get(name, ()), categories=categories.get(name, ()))
        said = emoji.of(name, codes.get(name, ""), more) if emoji else _joined(written, name, base, more)
        label = (label_of_emoji(said.label) if emoji else label_of_name(said.label or base, some.scrap)) if said else ""
        if label and not is_brand(name, said):
            icon = Icon(name, iconify_svg(data["icons"][name], data), label, style, said)
            yield from _painted(icon, some.prefix) if some.painted else (icon,)


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


def _painted(icon: Icon, prefix: str) -> Iterator[Icon]:
    """Yield the icon in a colour that its name decides; nothing where the name has a colour, or the drawing its own."""
    if set(icon.label.lower().split()) & COLOURS or "currentColor" not in icon.svg:
        return
    word = list(PAINTS)[zlib.crc32(f"{prefix}-{icon.name}".encode()) % len(PAINTS)]
    yield replace(icon, svg=icon.svg.replace("currentColor", PAINTS[word]), paint=word)
