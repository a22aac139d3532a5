"""Any SVG → the same picture in the dialect that models are taught, in as few tokens as it takes.

Reads   a folder of .svg files, or a JSONL with an SVG in each line.
Writes  the optimized files or lines; on the terminal, how many were refused and why.

    python -m corpus.optimize --input-dir icons/ --output-dir optimized/
    python -m corpus.optimize --input-file mined.jsonl --output-file optimized.jsonl
    python -m corpus.optimize --input-dir icons/ --output-dir cubic/ --cubic-only --workers 4 \\
        --svgo-config svgo.config.mjs

Both stages are in corpus/optimization/. Stage 1 (resolve.py) resolves what real files hold into painted outlines on the
256 × 256 canvas; what cannot be expressed (filters, masks, patterns, text, images) is refused by name. Stage 2
(shorten.py) makes it short. The result always passes svg_constraint.py, and optimizing it again changes nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from corpus.optimization.refusal import Refused
from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run

# Input: a folder or a file
INPUT_DIR: str = ""  # folder of .svg files, read with its subfolders
INPUT_FILE: str = ""  # JSON lines
SVG_FIELD: str = "svg"  # of a line of INPUT_FILE; the other fields are kept
# Output: what belongs to the input
OUTPUT_DIR: str = ""
OUTPUT_FILE: str = ""
# Form
DIALECT: str = "prompt"  # of svg_constraint.py: "prompt" (gradients become their mean colour) or "prompt+gradients"
DECIMALS: int = 0  # of coordinates; small outlines, radii and stroke widths get one more
CUBIC_ONLY: bool = False  # outlines as cubic curves alone, for models that know no other command
SVGO_CONFIG: str = ""  # a svgo.config.mjs: SVGO (npm install svgo) as stage 2, not ours; checked all the same
# Machine
WORKERS: int = 2  # processes


@dataclass(frozen=True)
class Job:
    svg: str | bytes
    name: str = ""  # of the file, within INPUT_DIR
    record: dict | None = None  # the line it stands in


def optimize_svg_string(
    svg: str | bytes,
    dialect: str = "prompt",
    decimals: int = 0,
    cubic_only: bool = False,
    comments: bool = True,
    svgo_config: str = "",
) -> str:
    """Return the picture in the dialect, scaled to the canvas. Raises Refused with a reason that can be counted.

    comments: one before each visual block, as the prompt asks for; without them (and from SVGO, which drops them) the
    text is legal but for that. svgo_config: see SVGO_CONFIG.
    """
    from corpus.optimization.document import write_document
    from corpus.optimization.resolve import resolve
    from corpus.optimization.shorten import shorten
    from svg_constraint import check

    # What is in the dialect already is not approximated again.
    exact = bool(svgo_config) or (_on_the_canvas(svg) and check(svg, dialect).valid)
    shapes = shorten(resolve(svg), decimals, gradients=dialect != "prompt", exact=exact, cubic=cubic_only)
    text = write_document(shapes, comments)
    if svgo_config:
        from corpus.optimization.svgo import run_svgo

        text = run_svgo(text, svgo_config)
    spoken = comments and not svgo_config
    faults = [v for v in check(text, dialect).violations if spoken or v.rule != "comment-missing"]
    if faults:
        raise Refused(f"not legal: {faults[0].rule}")
    return text


def _on_the_canvas(svg: str | bytes) -> bool:
    return (b'"0 0 256 256"' if isinstance(svg, bytes) else '"0 0 256 256"') in svg[:200]


def main(c: SimpleNamespace) -> None:
    check_constants(c)
    from tqdm import tqdm

    from corpus.workers import CRASHED, in_processes

    convert = partial(
        convert_one, dialect=c.DIALECT, decimals=c.DECIMALS, cubic_only=c.CUBIC_ONLY, svgo_config=c.SVGO_CONFIG
    )
    jobs = from_folder(c) if c.INPUT_DIR else from_lines(c)
    results = in_processes(convert, jobs, c.WORKERS, lambda _: ("", CRASHED))
    counts: Counter[str] = Counter()
    with writer(c) as write:
        for job, (svg, reason) in tqdm(results, desc="SVGs", unit="", disable=None):
            counts[reason] += 1
            if svg:
                write(job, svg)
    print(f"{counts.pop('', 0)} optimized, {sum(counts.values())} refused")
    for reason, count in counts.most_common():
        print(f"  {count:>6}  {reason}")


def convert_one(job: Job, **options) -> tuple[str, str]:
    """Return (optimized SVG, "") or ("", why not). Whatever a file holds, the batch goes on."""
    try:
        return optimize_svg_string(job.svg, **options), ""
    except Refused as refusal:
        return "", str(refusal)
    except RecursionError:
        return "", "nested too deep"
    except Exception as error:  # a bug of ours or of a library: counted under its name, not hidden
        return "", f"error: {type(error).__name__}"


def from_folder(c: SimpleNamespace) -> Iterator[Job]:
    root = Path(c.INPUT_DIR)
    for path in sorted(root.rglob("*.svg")):
        yield Job(path.read_bytes(), str(path.relative_to(root)))


def from_lines(c: SimpleNamespace) -> Iterator[Job]:
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
            yield Job(svg, record=record)


@contextmanager
def writer(c: SimpleNamespace) -> Iterator[Callable[[Job, str], None]]:
    """Yield a function that writes a result: a file in the folder, or a line."""
    if c.OUTPUT_DIR:

        def write(job: Job, svg: str) -> None:
            path = Path(c.OUTPUT_DIR) / job.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(svg + "\n", encoding="utf-8")

        yield write
        return
    Path(c.OUTPUT_FILE).parent.mkdir(parents=True, exist_ok=True)
    with open(c.OUTPUT_FILE, "x", encoding="utf-8") as file:
        yield lambda job, svg: file.write(json.dumps(job.record | {c.SVG_FIELD: svg}, ensure_ascii=False) + "\n")


def check_constants(c: SimpleNamespace) -> None:
    from svg_constraint import DIALECTS

    if bool(c.INPUT_DIR) == bool(c.INPUT_FILE):
        raise UserError("give one of INPUT_DIR (`--input-dir`) and INPUT_FILE (`--input-file`).")
    if c.INPUT_DIR and not Path(c.INPUT_DIR).is_dir():
        raise UserError(f"INPUT_DIR {c.INPUT_DIR} is not a folder.")
    if c.INPUT_FILE and not Path(c.INPUT_FILE).is_file():
        raise UserError(f"INPUT_FILE {c.INPUT_FILE} does not exist.")
    output = "OUTPUT_DIR" if c.INPUT_DIR else "OUTPUT_FILE"
    if not getattr(c, output):
        raise UserError(f"{output} is not given; say where to write with `--{output.lower().replace('_', '-')}`.")
    if c.OUTPUT_FILE and Path(c.OUTPUT_FILE).exists():
        raise UserError(f"{c.OUTPUT_FILE} exists; remove it or give another OUTPUT_FILE.")
    if c.OUTPUT_DIR and Path(c.OUTPUT_DIR).is_dir() and any(Path(c.OUTPUT_DIR).iterdir()):
        raise UserError(f"{c.OUTPUT_DIR} is not empty; empty it or give another OUTPUT_DIR.")
    if c.DIALECT not in DIALECTS[:2]:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS[:2])}, not {c.DIALECT!r}.")
    if not 0 <= c.DECIMALS <= 2 or c.WORKERS < 1:
        raise UserError("DECIMALS must be 0, 1 or 2, and WORKERS 1 or more.")
    if c.SVGO_CONFIG:
        from corpus.optimization.svgo import check_svgo

        check_svgo(c.SVGO_CONFIG)


if __name__ == "__main__":
    run(main, start(__file__))
