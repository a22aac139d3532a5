"""Edits and repairs without end: a drawing, an instruction, the drawing after. They teach a model to change drawings.

Writes  OUTPUT (JSON lines: id, description, svg, svg_content, group), which train.py takes beside others. The
        description is the instruction, svg the drawing as it is; an edit has `edit`, what is claimed of the drawing
        after, and a repair `task` ("repair") and `faults`.

    python -m corpus.edits --output data/edits.jsonl --samples 20000
    python -m corpus.edits --output data/edits.jsonl --samples 500 --seed 7 --level 1,2 --share-of-repairs 0.5
    python -m corpus.edits --output data/edits_of_icons.jsonl --drawings data/icons.jsonl

Edits are of scenes that corpus.compose makes: recolour a part, make it darker or lighter, move, enlarge, rotate, flip,
duplicate, delete or outline it, change the background, day into night, add something. An instruction names its part by
name, colour, place or size, and never so that it could be another one. All other lines stay as they are. With DRAWINGS
edits are of these. Their parts are not known: a part is what has one paint and is named by it; a drawing as a whole is
flipped, turned or made smaller, and may get a background.

Repairs are of the same drawings, broken: tags unclosed or misspelt, quotes lost, colours unknown, elements, attributes
and roots that are not allowed, an unescaped &, fences around it, the end cut off. Of what is cut off, whole elements
are kept, and one that lacks no more than its closing signs.

The group is that of the drawing, of a scene the one in corpus.compose. So the drawing before and the drawing after are
on one side of a split, and combinations that never train there never train here. The same SEED gives the same samples,
of scenes however many are made; memory stays the same.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

from qwen_svg.common.constants import Between, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run

OUTPUT: str = ""  # the .jsonl to write; one that is there is replaced
SAMPLES: PositiveInt = 5000  # how many
SHARE_OF_REPAIRS: Annotated[float, Between(0, 1)] = 0.3  # of the samples; the rest are edits
LEVEL: str = "1,2,3"  # of the scenes, as in corpus.compose; most are of the first
UNSEEN: Annotated[float, Between(0, 1)] = 0.1  # share of samples with a combination that never trains
DRAWINGS: str = ""  # edit these instead of scenes: a table with legal drawings in svg_content, and group
SEED: Seed = 7  # of all that is drawn by chance


def check_constants(c: SimpleNamespace) -> None:
    if not c.OUTPUT:
        raise UserError("OUTPUT is not given; say where to write with `--output data/edits.jsonl`.")
    if wrong := [level for level in c.LEVEL.split(",") if level.strip() not in ("1", "2", "3")]:
        raise UserError(f"LEVEL has {wrong[0]!r}; give 1, 2, 3 or several of them, as in `--level 1,2`.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import json
import time
from collections import Counter

from tqdm import tqdm

from corpus.editing.collected import samples_of_drawings
from corpus.editing.samples import samples
from qwen_svg.common.files import atomic_write, require_writable


def main(c: SimpleNamespace) -> None:
    require_writable(Path(c.OUTPUT))
    levels = sorted({level.strip() for level in c.LEVEL.split(",")})
    began, kinds = time.perf_counter(), Counter()
    with atomic_write(Path(c.OUTPUT)) as part, part.open("w", encoding="utf-8") as file:
        made = samples(c.SEED, c.SAMPLES, levels, c.SHARE_OF_REPAIRS, c.UNSEEN)
        if c.DRAWINGS:
            made = samples_of_drawings(c.DRAWINGS, c.SEED, c.SAMPLES, c.SHARE_OF_REPAIRS)
        for sample in tqdm(made, total=c.SAMPLES, desc="edits", unit="", disable=None):
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")
            kinds[sample["edit"]["kind"] if "edit" in sample else "repair"] += 1
    seconds = time.perf_counter() - began
    print(", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    print(f"{c.OUTPUT}: {c.SAMPLES} samples; {c.SAMPLES / seconds:,.0f} samples a second")


if __name__ == "__main__":
    run(main, c)
