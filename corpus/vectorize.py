"""Pictures of pixels → drawings in the dialect that models are taught, within a budget of bytes and tokens.

Reads   INPUT: an image file, a folder of them (with its subfolders) or a pattern; PNG, JPEG, WebP, GIF, TIFF …
Writes  OUTPUT: a folder of .svg files, or a .jsonl (id, description, svg, similarity, bytes, tokens, image), which
        corpus.build_dataset takes as a source; on the terminal, which images were left out and why.

    python -m corpus.vectorize photos/ --output drawings/
    python -m corpus.vectorize "icons/*.png" --output icons.jsonl --max-bytes 4000
    python -m corpus.vectorize photos/ --output drawings.jsonl --max-tokens 1200 --tokenizer Qwen/Qwen2.5-1.5B-Instruct

Methods (corpus/vectorizing/): "layers" takes few colours (K-means in OKLab), outlines their regions and stacks them,
large ones first; "vtracer" is the library of that name, brought into the dialect by corpus/optimize.py. Both search
over colours and detail for the drawing most like the picture that the budget allows, and of those nearly as good take
the shortest; none is ever over it. Transparent parts are white, as the paper is. Stopped at any moment, the same
command goes on where it was: what is there already is not made again, and an image that failed is tried again.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, NonNegativeInt, PositiveInt, start
from qwen_svg.common.errors import UserError, run

# isort: split
from corpus.vectorizing.limits import Limits, limits_of, refuse_larger

# Input and output
INPUT: str = ""  # image file, folder, or "pattern*.png"
OUTPUT: str = ""  # folder of .svg files, or a .jsonl; continued when it is there
# Budget
MAX_BYTES: PositiveInt = 10_000  # of a file; the competition's limit
MAX_TOKENS: NonNegativeInt = 0  # of the SVG text, counted by TOKENIZER; 0 = any number
TOKENIZER: str = ""  # hub id, local folder or .gguf file: tokens are counted and written
# Method
METHOD: Literal["layers", "vtracer", "both"] = "layers"  # "both": the better of the two
# Machine
WORKERS: Annotated[int, Above(0, 1024)] = 2  # processes


def check_constants(c: SimpleNamespace) -> None:
    """Refuse an input and output that are not given or do not fit, before anything heavy is imported."""
    if not c.INPUT:
        raise UserError("INPUT is not given: an image, a folder, or a pattern like 'icons/*.png'.")
    if not c.OUTPUT:
        raise UserError("OUTPUT is not given; say where to write with `--output`: a folder, or a file.jsonl.")
    if Path(c.OUTPUT).suffix not in ("", ".jsonl") and not Path(c.OUTPUT).is_dir():
        raise UserError(f"OUTPUT {c.OUTPUT} is neither a folder nor a .jsonl; one .svg goes into a folder too.")
    if Path(c.OUTPUT).suffix != ".jsonl" and Path(c.OUTPUT).is_file():
        raise UserError(f"OUTPUT {c.OUTPUT} is a file; give a folder or a .jsonl.")
    limits_of(c)


if __name__ == "__main__":
    c = start(__file__, positional="INPUT")
    check_constants(c)

# Where worker processes are not forked they import this file again (corpus/workers.py): what it imports, they use.
from tqdm import tqdm

from corpus.vectorizing.picture import SUFFIXES, read_picture
from corpus.vectorizing.record import drawn_or_reason, token_counter
from corpus.workers import CRASHED, in_processes
from qwen_svg.common.files import write_text
from qwen_svg.common.jsonl import append_all, written_before


@dataclass(frozen=True)
class ImageTask:
    path: Path
    id: str  # the path within INPUT, without its suffix where that is clear


def main(c: SimpleNamespace) -> None:
    if c.TOKENIZER:
        token_counter(c.TOKENIZER)  # one that is missing is told before the work, not after it
    tasks = tasks_in(c.INPUT)
    convert = partial(convert_one, limits=limits_of(c), method=c.METHOD)
    faults: list[str] = []
    with writer(Path(c.OUTPUT)) as (there, write):
        sizes = {task: there(task) for task in tasks}
        refuse_larger([size for size in sizes.values() if size is not None], c)
        waiting = [task for task, size in sizes.items() if size is None]
        results = in_processes(convert, waiting, c.WORKERS, lambda _: ({}, CRASHED))
        for task, (record, reason) in tqdm(results, total=len(waiting), desc="images", unit="", disable=None):
            if reason:
                faults.append(reason)
                tqdm.write(f"{task.path}: {reason}")
            else:
                write(task, record)
    before, made = len(tasks) - len(waiting), len(waiting) - len(faults)
    print(f"{c.OUTPUT}: {made} drawings written" + (f", {before} were there" if before else ""))
    for reason, count in Counter(faults).most_common():
        print(f"  {count:>6}  {reason}")
    if not made and not before:
        raise UserError(f"no drawing was written to {c.OUTPUT}; the reasons are above.")


def convert_one(task: ImageTask, limits: Limits, method: str) -> tuple[dict, str]:
    return drawn_or_reason(lambda: read_picture(task.path), limits, method)


def tasks_in(source: str) -> list[ImageTask]:
    """Return the images of a file, folder or pattern, in the order of their names, each with an id of its own."""
    root = Path(source)
    if root.is_dir():
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir())
    else:
        paths = [root] if root.is_file() else sorted(Path(name) for name in glob.glob(source, recursive=True))
        paths = [path for path in paths if path.is_file()]
        root = Path(*_common(paths)) if paths else root
    if not paths:
        raise UserError(f"INPUT {source} holds no image; give a file, a folder or a pattern like 'icons/*.png'.")
    within = [path.relative_to(root) for path in paths]
    stems = Counter(str(path.with_suffix("")) for path in within)
    ids = [str(path) if stems[str(path.with_suffix(""))] > 1 else str(path.with_suffix("")) for path in within]
    return [ImageTask(path, id) for path, id in zip(paths, ids, strict=True)]


def _common(paths: list[Path]) -> list[str]:
    """Return the parts of the path of the folder that holds them all."""
    parts = []
    for names in zip(*(path.parent.parts for path in paths), strict=False):
        if len(set(names)) > 1:
            break
        parts.append(names[0])
    return parts


@contextmanager
def writer(output: Path) -> Iterator[tuple[Callable[[ImageTask], int | None], Callable[[ImageTask, dict], None]]]:
    """Yield (the bytes of what is there already, write it): files in a folder, each whole or not at all, or lines."""
    if output.suffix != ".jsonl":

        def place(task: ImageTask) -> Path:
            return output / f"{task.id}.svg"

        def write_file(task: ImageTask, record: dict) -> None:
            path = place(task)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, record["svg"] + "\n")

        yield lambda task: place(task).stat().st_size if place(task).exists() else None, write_file
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    there = {record["id"]: record["bytes"] for record in written_before(output, "id", "similarity", "bytes")}

    def write_line(task: ImageTask, record: dict) -> None:
        words = " ".join(Path(task.id).stem.replace("-", " ").replace("_", " ").split())
        append_all(output, [{"id": task.id, "description": words, **record, "image": str(task.path)}])

    yield lambda task: there.get(task.id), write_line


if __name__ == "__main__":
    run(main, c)
