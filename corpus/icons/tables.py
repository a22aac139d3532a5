"""Icon sets as tables: a drawing a line, with words, concept and licence, for corpus/dataset/ to prepare."""

import json
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from corpus.icons.concepts import Concepts
from corpus.icons.drawings import Icon, icons_of, info
from corpus.icons.names import label_of_name
from corpus.icons.nouns import is_thing, things_of
from corpus.icons.packages import tarball
from corpus.icons.sets import EMOJIBASE, PERMISSIVE, SHARE_ALIKE, IconSet
from corpus.icons.tags import tags_of
from corpus.icons.written import read_written
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import write_text


def licence_of(folder: Path, some: IconSet) -> str:
    """Return a set's SPDX licence. Raises UserError for one that neither file may hold."""
    spdx = info(folder, some).get("license", {}).get("spdx", "none")
    if spdx not in PERMISSIVE and spdx not in SHARE_ALIKE:
        raise UserError(
            f"{tarball(folder, some.package)}: its licence, {spdx}, is neither a permissive nor a share-alike one that "
            f"corpus/icons/sets.py lists; leave {some.prefix} out with `--sets`."
        )
    return spdx


def artwork_of(folder: Path, some: IconSet) -> str:
    """Return whom a set is by, and under which licence."""
    about = info(folder, some)
    author, licence = about.get("author", {}), about["license"]
    where = licence.get("url") or author.get("url", "")
    return f"{about.get('name', some.prefix)} by {author.get('name', 'its authors')}, {licence['title']} ({where})"


def write_tables(folder: Path, sets: list[IconSet], limit: int, into: Path) -> list[Path]:
    """Write a table for each set and return the paths; limit: only so many icons of a set, evenly picked, 0 = all.

    All sets are read before the first is written, as a concept is made of what all of them call it.
    """
    licences = {some.prefix: licence_of(folder, some) for some in sets}
    concepts, found = Concepts(), {}
    for some in tqdm(sets, desc="icon sets", unit="", disable=None):
        found[some.prefix] = icons = list(icons_of(folder, some))
        for icon in icons:
            concepts.add(icon.label, map(label_of_name, icon.written.aliases))
    things = things_of(said.label for said in read_written(EMOJIBASE[0], tarball(folder, EMOJIBASE)).values())
    paths = []
    for some in sets:
        icons = found[some.prefix]
        every = max(1, len(icons) // limit) if limit else 1
        rows = _rows(some, icons[::every][: limit or None], concepts, things, licences[some.prefix])
        paths.append(into / f"{some.prefix}.jsonl")
        _write_changed(paths[-1], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return paths


def _rows(some: IconSet, icons: list[Icon], concepts: Concepts, things: set[str], licence: str) -> Iterator[dict]:
    for icon in icons:
        tags = tags_of(icon.written, icon.label)
        words = {
            "label": icon.label,
            "tags": tags,
            "style": icon.style,
            "paint": icon.paint,
            "thing": is_thing(icon.label, things),
        }
        yield {
            "id": f"{some.prefix}-{icon.name}",
            "description": f"{icon.paint} {icon.label}".strip(),
            "svg": icon.svg,
            "group": concepts.of(icon.label),
            "source": some.prefix,
            "license": licence,
            "words": words,
        }


def _write_changed(path: Path, text: str) -> None:
    """Leave a file alone that has this text: what was prepared of it stays good."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
