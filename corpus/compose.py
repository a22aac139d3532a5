"""Scenes made by rule, without end: a description, and a drawing true to it. They teach a model what words mean.

Writes  OUTPUT (JSON lines: id, description, svg_content, group), which train.py takes as it is.

    python -m corpus.compose --output data/scenes.jsonl --samples 20000 --level 1
    python -m corpus.compose --output data/scenes.jsonl --samples 500 --seed 7

Levels: 0 one thing alone, in few words; 1 one or two plain shapes with color, size, and place or relation; 2 things
(corpus/composing/pictograms.txt), also several of one, side by side, inside, on, behind or between others; 3 scenes
with a ground and a sky, by day, at dusk or at night. What a description says is true of the drawing, and all of it is
to be seen.

No description is there twice. Some combinations never train: samples that have one of these have a group that begins
with "unseen:color:", "unseen:relation:" or "unseen:count:", and a split puts them all into the test part
(qwen_svg/common/dataset.py). Other groups are the composition, so that the same scene in other words or with other
numbers is on the same side. The same SEED gives the same samples, however many are made; memory stays the same.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Between, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run

OUTPUT: str = ""  # the .jsonl to write; one that is there is replaced
SAMPLES: PositiveInt = 5000  # how many
LEVEL: Literal["0", "1", "2", "3", "all"] = "all"  # alone; plain shapes; things; scenes; "all": a third each of 1 to 3
UNSEEN: Annotated[float, Between(0, 1)] = 0.1  # share of samples with a combination that never trains
SEED: Seed = 7  # of all that is drawn by chance


def check_constants(c: SimpleNamespace) -> None:
    if not c.OUTPUT:
        raise UserError("OUTPUT is not given; say where to write with `--output data/scenes.jsonl`.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import json
import time

from tqdm import tqdm

from corpus.composing.samples import samples
from qwen_svg.common.files import atomic_write, require_writable


def main(c: SimpleNamespace) -> None:
    require_writable(Path(c.OUTPUT))
    began, words = time.perf_counter(), 0
    with atomic_write(Path(c.OUTPUT)) as part, part.open("w", encoding="utf-8") as file:
        made = samples(c.SEED, c.SAMPLES, c.LEVEL, c.UNSEEN)
        for sample in tqdm(made, total=c.SAMPLES, desc="scenes", unit="", disable=None):
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")
            words += len(sample["description"].split())
    seconds = time.perf_counter() - began
    print(
        f"{c.OUTPUT}: {c.SAMPLES} samples, all descriptions different, {words / c.SAMPLES:.1f} words each; "
        f"{c.SAMPLES / seconds:,.0f} samples a second"
    )


if __name__ == "__main__":
    run(main, c)
