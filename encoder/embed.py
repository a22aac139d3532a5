"""Drawings → vectors; the drawings nearest to one; those that are the same again.

Reads   INPUT: a folder of .svg files, or tables with an SVG in each row, optimized as MODEL was trained on them.
Writes  OUTPUT: ids, content hashes, vectors (.npz, .safetensors or .parquet); SHEET: the neighbours, to be looked at;
        DUPLICATES: JSON lines of pairs.

    python -m encoder.embed --input optimized/ --output icons.npz
    python -m encoder.embed --input optimized/ --output icons.npz --search heart.svg
    python -m encoder.embed --input optimized/ --output icons.npz --duplicates same.jsonl
    python -m encoder.embed --input data/mixed.jsonl --svg-column svg_content --output mixed.npz
    python -m corpus.build_dataset --vectors mixed.npz …             # which then groups what is alike

A vector is the mean of the last hidden states, of length 1: cosines are dot products. OUTPUT, where it is there already
and of the same drawings and model, is used as it is.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, NamedTuple

from qwen_svg.common.constants import Between, PositiveInt, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing

# Input
INPUT: str = ""  # folder of .svg files, or file, pattern, folder or hub dataset of tables (.jsonl, .csv, .parquet)
SVG_COLUMN: str = "svg"  # of a table
ID_COLUMN: str = "id"  # of a table; a row without one is named by its file and line
MODEL: str = "outputs/encoder-emoji"  # folder of an encoder
# Output
OUTPUT: str = ""  # .npz, .safetensors or .parquet
SEARCH: str = ""  # an .svg file, optimized: show its nearest in INPUT
NEIGHBOURS: PositiveInt = 11  # shown
SHEET: str = "outputs/neighbours.png"  # the drawing searched for and its neighbours
DUPLICATES: str = ""  # .jsonl: write all pairs of INPUT with a cosine of SIMILARITY or more
SIMILARITY: Annotated[float, Between(-1, 1)] = 0.995  # a cosine; of emoji, clocks that differ by a hand reach it

OUTPUT_KINDS = (".npz", ".safetensors", ".parquet")  # as corpus.vectors, which numpy has to be imported for


def check_constants(c: SimpleNamespace) -> None:
    if not c.INPUT or not c.OUTPUT:
        raise UserError("INPUT or OUTPUT is not given; name them with `--input icons/ --output icons.npz`.")
    if Path(c.OUTPUT).suffix not in OUTPUT_KINDS:
        raise UserError(f"OUTPUT must end in one of {', '.join(OUTPUT_KINDS)}, not be {c.OUTPUT!r}.")
    if c.SEARCH and not Path(c.SEARCH).is_file():
        raise UserError(f"SEARCH {c.SEARCH} does not exist.")
    if c.DUPLICATES:
        refuse_existing("DUPLICATES", c.DUPLICATES)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import numpy as np

from corpus.vectors import Vectors, nearest, pairs_alike, read_vectors, write_vectors
from encoder.drawing_text import CANVAS_TAG, drawing_text
from encoder.vectors import Encoder
from qwen_svg.common.files import sha256
from qwen_svg.common.sheet import write_sheet
from qwen_svg.common.tables import rows, text_in
from qwen_svg.svg.content_hash import content_hash
from qwen_svg.svg.render import png_bytes

AT_ONCE = 4096  # drawings whose text is in memory


class Drawing(NamedTuple):
    id: str
    svg: str


def main(c: SimpleNamespace) -> None:
    # 1. Vectors: those of OUTPUT, where it is there already, else new ones.
    model, output = fingerprint(Path(c.MODEL)), Path(c.OUTPUT)
    known = reusable(output, c, model) if output.exists() else None
    query = searched(c) if c.SEARCH else None
    encoder = Encoder(c.MODEL) if known is None or query else None
    content = known or embed(c, encoder, model)
    if known is None:
        write_vectors(output, content)
    print(f"{output}: {len(content.ids):,} vectors of {content.vectors.shape[1]} numbers")

    # 2. What is asked of them.
    if c.DUPLICATES:
        write_duplicates(c, content)
    if query:
        show_neighbours(c, content, encoder, query)


def fingerprint(model: Path) -> str:
    """Return a name for the model: its folder's, and the beginning of its weights' SHA-256."""
    weights = model / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"MODEL {model} holds no model.safetensors; give the folder of a run that has ended.")
    return f"{model.name} {sha256(weights)[:16]}"


def drawings(c: SimpleNamespace) -> Iterator[Drawing]:
    """Yield the drawings of INPUT, in a fixed order; rows without an SVG are left out."""
    for row in rows(c.INPUT):
        svg, fault = text_in(row, c.SVG_COLUMN)
        if not fault and "<svg" in svg:
            yield Drawing(str(row.values.get(c.ID_COLUMN) or row.place), svg)


def reusable(output: Path, c: SimpleNamespace, model: str) -> Vectors:
    """Return what OUTPUT holds, if it is of these drawings by this model."""
    known = read_vectors(output)
    if known.model != model:
        raise UserError(f"OUTPUT {output} was made by another model ({known.model}, not {model}); remove it.")
    if known.hashes != [content_hash(drawing.svg) for drawing in drawings(c)]:
        raise UserError(f"OUTPUT {output} holds vectors of other drawings than INPUT {c.INPUT}; remove it.")
    return known


def embed(c: SimpleNamespace, encoder: Encoder, model: str) -> Vectors:
    """Return the vectors of INPUT. model: its name, of `fingerprint`."""
    ids, hashes, parts, foreign = [], [], [], 0
    stream = drawings(c)
    while some := list(islice(stream, AT_ONCE)):
        ids += [drawing.id for drawing in some]
        hashes += [content_hash(drawing.svg) for drawing in some]
        foreign += sum(CANVAS_TAG not in drawing.svg for drawing in some)
        parts.append(encoder.vectors([drawing.svg for drawing in some]).numpy())
    if not ids:
        raise UserError(f"INPUT {c.INPUT} holds no drawing.")
    if foreign:
        print(
            f"warning: {foreign:,} of {len(ids):,} drawings are not on the 256 × 256 canvas the encoder knows; "
            "`python -m corpus.optimize` brings them there"
        )
    return Vectors(ids, hashes, np.concatenate(parts), model)


def write_duplicates(c: SimpleNamespace, content: Vectors) -> None:
    count = 0
    with Path(c.DUPLICATES).open("x", encoding="utf-8") as file:
        for pairs, cosines in pairs_alike(content.vectors, c.SIMILARITY):
            for (a, b), cosine in zip(pairs.tolist(), cosines.tolist(), strict=True):
                line = {"a": content.ids[a], "b": content.ids[b], "similarity": round(cosine, 4)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    print(f"{c.DUPLICATES}: {count:,} pairs with a cosine of {c.SIMILARITY:g} or more")


def searched(c: SimpleNamespace) -> str:
    svg = Path(c.SEARCH).read_text(encoding="utf-8", errors="replace")
    if not drawing_text(svg):
        raise UserError(f"SEARCH {c.SEARCH} holds no drawing.")
    return svg


def show_neighbours(c: SimpleNamespace, content: Vectors, encoder: Encoder, query: str) -> None:
    """Print the nearest drawings, and put them on a sheet beside the one searched for."""
    best, cosines = nearest(content.vectors, encoder.vectors([query])[0].numpy(), c.NEIGHBOURS)
    wanted = dict.fromkeys(best.tolist(), "")
    for number, drawing in enumerate(drawings(c)):
        if number in wanted:
            wanted[number] = drawing.svg
    pictures = [(f"searched: {Path(c.SEARCH).stem}", picture(query))]
    for number, cosine in zip(best.tolist(), cosines.tolist(), strict=True):
        print(f"{cosine:7.4f}  {content.ids[number]}")
        pictures.append((f"{cosine:.3f} {content.ids[number]}", picture(wanted[number])))
    Path(c.SHEET).parent.mkdir(parents=True, exist_ok=True)
    write_sheet(Path(c.SHEET), pictures)
    print(c.SHEET)


def picture(answer: str) -> bytes | None:
    try:
        return png_bytes(answer[answer.index("<svg") : answer.rindex("</svg>") + 6])
    except ValueError:
        return None


if __name__ == "__main__":
    run(main, c)
