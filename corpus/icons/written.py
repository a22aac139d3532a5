"""What people wrote about icons, read from the packages they wrote it in: labels, tags, categories, other names."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from corpus.icons.packages import read, read_json
from qwen_svg.common.errors import UserError


@dataclass(frozen=True)
class Written:
    """label: "" where the name must do. aliases: other names, with dashes. tags, categories: as they were written."""

    label: str = ""
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    emoji: bool = False


Catalogue = dict[str, Written]  # by the name of the icon, or by code point


def tabler(package: Path) -> Catalogue:
    """icons.json: {name: {category, tags, …}}."""
    icons = read_json(package, "icons.json")
    return {name: Written(tags=_texts(icon["tags"]), categories=(icon["category"],)) for name, icon in icons.items()}


def lucide(package: Path) -> Catalogue:
    """tags.json: {name: [tag, …]}."""
    return {name: Written(tags=_texts(tags)) for name, tags in read_json(package, "tags.json").items()}


def mdi(package: Path) -> Catalogue:
    """meta.json: [{name, aliases, tags, …}]; its tags are categories."""
    icons = read_json(package, "meta.json")
    return {icon["name"]: Written(aliases=_texts(icon["aliases"]), categories=_texts(icon["tags"])) for icon in icons}


def healthicons(package: Path) -> Catalogue:
    """meta-data.json: [{id, title, tags, category}]; Iconify writes dashes where ids have underscores."""
    icons = read_json(package, "public/icons/meta-data.json")
    return {
        icon["id"].replace("_", "-"): Written(icon["title"], (), _texts(icon["tags"]), (icon["category"],))
        for icon in icons
    }


_ENTRY = re.compile(
    r'\bname: "([^"]+)",\s*pascal_name:.*?categories: \[([^\]]*)\].*?tags: (\[[^\]]*\])', re.DOTALL
)  # of one icon


def phosphor(package: Path) -> Catalogue:
    """dist/index.mjs: a list of objects in JavaScript, where categories are names of constants defined before it."""
    text = read(package, "dist/index.mjs")
    names: dict[str, str] = {}
    for constant, category in re.findall(r'\bi\.([A-Z]+) = "([^"]+)"', text):
        names.setdefault(constant, category)
    found = {}
    for name, categories, tags in _ENTRY.findall(text):
        constants = re.findall(r"\.([A-Z]+)", categories)
        found[name] = Written(
            tags=_texts(json.loads(tags)), categories=tuple(names[c] for c in constants if c in names)
        )
    return found


def emojibase(package: Path) -> Catalogue:
    """en/data.json: [{label, hexcode, tags}], by code points like 2764-fe0f → here without fe0f, in lower case."""
    return {
        code_key(emoji["hexcode"]): Written(emoji["label"], tags=_texts(emoji.get("tags", [])), emoji=True)
        for emoji in read_json(package, "en/data.json")
    }


def code_key(code: str) -> str:
    """Return code points as all sets can be compared by: file names leave out the variation selector U+FE0F."""
    return "-".join(part.lstrip("0") for part in code.lower().split("-") if part != "fe0f")


READERS: dict[str, Callable[[Path], Catalogue]] = {
    "tabler": tabler,
    "lucide": lucide,
    "mdi": mdi,
    "healthicons": healthicons,
    "ph": phosphor,
    "emojibase-data": emojibase,
}


def read_written(kind: str, package: Path) -> Catalogue:
    """Return what a package says. Raises UserError where it does not have the form that its reader knows."""
    try:
        found = partial(READERS[kind], package)()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _other_form(package, f"{type(error).__name__}: {error}") from None
    if not found:
        raise _other_form(package, "no icon found")
    return found


def _other_form(package: Path, why: str) -> UserError:
    return UserError(f"{package} has another form than its reader knows ({why}); use the version in the file's name.")


def _texts(values: Any) -> tuple[str, ...]:
    """Tags may be numbers in JSON."""
    return tuple(str(value) for value in values)
