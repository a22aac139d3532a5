"""Any SVG → the same picture in the dialect that models are taught, in as few tokens as it takes.

Reads   a folder of .svg files, or a JSONL with an SVG in each line.
Writes  the optimized files or lines; on the terminal, how many were refused and why.

    python -m corpus.optimize --input-dir icons/ --output-dir optimized/
    python -m corpus.optimize --input-file mined.jsonl --output-file optimized.jsonl
    python -m corpus.optimize --input-dir icons/ --output-dir cubic/ --cubic-only --workers 4 \\
        --svgo-config svgo.config.mjs

Both stages are in corpus/optimization/. Stage 1 (resolve.py) resolves what real files hold into painted outlines on the
256 × 256 canvas; what cannot be expressed (filters, masks, patterns, text, images) is refused by name. Stage 2
(shorten.py) makes it short. The result always passes svg_constraint.py, optimizing it again changes nothing, and it
shows the same picture: both are rendered, and what differs by more than 0.01 on average or 0.10 in a tile is refused.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, Between, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing

# isort: split
from corpus.optimization.svgo import check_svgo

# Input: a folder or a file
INPUT_DIR: str = ""  # folder of .svg files, read with its subfolders
INPUT_FILE: str = ""  # JSON lines
SVG_FIELD: str = "svg"  # of a line of INPUT_FILE; the other fields are kept
# Output: what belongs to the input
OUTPUT_DIR: str = ""
OUTPUT_FILE: str = ""
# Form
DIALECT: Literal["prompt", "prompt+gradients", "prompt+strokes"] = "prompt"  # without gradients: their mean colour
DECIMALS: Annotated[int, Between(0, 2)] = 0  # of coordinates; small outlines, radii and stroke widths get one more
CUBIC_ONLY: bool = False  # outlines as cubic curves alone, for models that know no other command
COMPARE: bool = True  # render before and after, and refuse by name what shows another picture
SVGO_CONFIG: str = ""  # a svgo.config.mjs: SVGO (npm install svgo) as stage 2, not ours; checked all the same
# Machine
WORKERS: Annotated[int, Above(0, 1024)] = 2  # processes


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, an output that is there already, and SVGO where it cannot work."""
    if bool(c.INPUT_DIR) == bool(c.INPUT_FILE):
        raise UserError("give one of INPUT_DIR (`--input-dir`) and INPUT_FILE (`--input-file`).")
    if c.INPUT_DIR and not Path(c.INPUT_DIR).is_dir():
        raise UserError(f"INPUT_DIR {c.INPUT_DIR} is not a folder.")
    if c.INPUT_FILE and not Path(c.INPUT_FILE).is_file():
        is_folder = Path(c.INPUT_FILE).is_dir()
        fault = "is a folder; give it with `--input-dir`" if is_folder else "does not exist"
        raise UserError(f"INPUT_FILE {c.INPUT_FILE} {fault}.")
    output = "OUTPUT_DIR" if c.INPUT_DIR else "OUTPUT_FILE"
    if not getattr(c, output):
        raise UserError(f"{output} is not given; say where to write with `--{output.lower().replace('_', '-')}`.")
    if c.OUTPUT_FILE:
        refuse_existing("OUTPUT_FILE", c.OUTPUT_FILE)
    if c.OUTPUT_DIR and Path(c.OUTPUT_DIR).is_dir() and any(Path(c.OUTPUT_DIR).iterdir()):
        raise UserError(f"OUTPUT_DIR {c.OUTPUT_DIR} is not empty; empty it, or give another OUTPUT_DIR.")
    if c.SVGO_CONFIG:
        check_svgo(c.SVGO_CONFIG)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

# Where worker processes are not forked they import this file again (corpus/workers.py): what it imports, they use.
from tqdm import tqdm

from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.refusal import Refused
from corpus.workers import CRASHED, in_processes
from qwen_svg.common.files import write_text


@dataclass(frozen=True)
class SvgTask:
    svg: str | bytes
    name: str = ""  # of the file, within INPUT_DIR
    record: dict | None = None  # the line it stands in


def main(c: SimpleNamespace) -> None:
    convert = partial(
        convert_one,
        dialect=c.DIALECT,
        decimals=c.DECIMALS,
        cubic_only=c.CUBIC_ONLY,
        svgo_config=c.SVGO_CONFIG,
        compare=c.COMPARE,
    )
    tasks = from_folder(c) if c.INPUT_DIR else from_lines(c)
    results = in_processes(convert, tasks, c.WORKERS, lambda _: ("", CRASHED))
    counts: Counter[str] = Counter()
    with writer(c) as write:
        for task, (svg, reason) in tqdm(results, desc="SVGs", unit="", disable=None):
            counts[reason] += 1
            if svg:
                write(task, svg)
    print(f"{counts.pop('', 0)} optimized, {sum(counts.values())} refused")
    for reason, count in counts.most_common():
        print(f"  {count:>6}  {reason}")


def convert_one(task: SvgTask, **options) -> tuple[str, str]:
    """Return (optimized SVG, "") or ("", why not). Whatever a file holds, the batch goes on."""
    try:
        return optimize_svg_string(task.svg, **options), ""
    except Refused as refusal:
        return "", str(refusal)


def from_folder(c: SimpleNamespace) -> Iterator[SvgTask]:
    root = Path(c.INPUT_DIR)
    for path in sorted(root.rglob("*.svg")):
        yield SvgTask(path.read_bytes(), str(path.relative_to(root)))


def from_lines(c: SimpleNamespace) -> Iterator[SvgTask]:
    with open(c.INPUT_FILE, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                svg = record[c.SVG_FIELD]
            except (json.JSONDecodeError, KeyError, TypeError):
                raise UserError(
                    f"{c.INPUT_FILE}:{number}: no JSON object with the field {c.SVG_FIELD!r}; mend the line, or name "
                    "the field with `--svg-field`."
                ) from None
            yield SvgTask(svg, record=record)


@contextmanager
def writer(c: SimpleNamespace) -> Iterator[Callable[[SvgTask, str], None]]:
    """Yield a function that writes a result: a file in the folder, or a line."""
    if c.OUTPUT_DIR:

        def write(task: SvgTask, svg: str) -> None:
            path = Path(c.OUTPUT_DIR) / task.name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, svg + "\n")

        yield write
        return
    Path(c.OUTPUT_FILE).parent.mkdir(parents=True, exist_ok=True)
    with open(c.OUTPUT_FILE, "x", encoding="utf-8") as file:
        yield lambda task, svg: file.write(json.dumps(task.record | {c.SVG_FIELD: svg}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(main, c)
