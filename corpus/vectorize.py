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
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run

# Input and output
INPUT: str = ""  # image file, folder, or "pattern*.png"
OUTPUT: str = ""  # folder of .svg files, or a .jsonl; continued when it is there
# Budget
MAX_BYTES: int = 10_000  # of a file; the competition's limit
MAX_TOKENS: int = 0  # of the SVG text, counted by TOKENIZER; 0 = any number
TOKENIZER: str = ""  # hub id, local folder or .gguf file: tokens are counted and written
# Method
METHOD: str = "layers"  # "layers", "vtracer", or "both": the better of the two
# Machine
WORKERS: int = 2  # processes


@dataclass(frozen=True)
class Job:
    path: Path
    id: str  # the path within INPUT, without its suffix where that is clear


def main(c: SimpleNamespace) -> None:
    check_constants(c)
    from tqdm import tqdm

    from corpus.workers import CRASHED, in_processes

    jobs = jobs_in(c.INPUT)
    convert = partial(convert_one, limits=(c.MAX_BYTES, c.MAX_TOKENS, c.TOKENIZER), method=c.METHOD)
    faults: list[str] = []
    with writer(Path(c.OUTPUT)) as (there, write):
        sizes = {job: there(job) for job in jobs}
        refuse_larger([size for size in sizes.values() if size is not None], c)
        waiting = [job for job, size in sizes.items() if size is None]
        results = in_processes(convert, waiting, c.WORKERS, lambda _: ({}, CRASHED))
        for job, (record, reason) in tqdm(results, total=len(waiting), desc="images", unit="", disable=None):
            if reason:
                faults.append(reason)
                tqdm.write(f"{job.path}: {reason}")
            else:
                write(job, record)
    before, made = len(jobs) - len(waiting), len(waiting) - len(faults)
    print(f"{c.OUTPUT}: {made} drawings written" + (f", {before} were there" if before else ""))
    for reason, count in Counter(faults).most_common():
        print(f"  {count:>6}  {reason}")
    if not made and not before:
        raise UserError(f"no drawing was written to {c.OUTPUT}; the reasons are above.")


def refuse_larger(sizes: list[int], c: SimpleNamespace) -> None:
    """Raise UserError where drawings of an earlier run, of these sizes in bytes, are over the budget of this one."""
    if over := sum(size > c.MAX_BYTES for size in sizes):
        raise UserError(f"OUTPUT {c.OUTPUT} holds {over} drawings of more than MAX_BYTES {c.MAX_BYTES}; give another.")


def convert_one(job: Job, limits: tuple[int, int, str], method: str) -> tuple[dict, str]:
    from corpus.vectorizing.picture import read_picture

    return drawn_or_reason(lambda: read_picture(job.path), limits, method)


def drawn_or_reason(read: Callable[[], Any], limits: tuple[int, int, str], method: str) -> tuple[dict, str]:
    """Return (record, "") or ({}, why not). Whatever a picture holds, the batch goes on.

    The record: svg, similarity, bytes and, with a tokenizer, tokens. limits: MAX_BYTES, MAX_TOKENS, TOKENIZER.
    """
    from corpus.optimization.refusal import Refused

    try:
        return drawn(read(), *limits, method), ""
    except Refused as refusal:
        return {}, str(refusal)
    except Exception as error:  # a bug of ours or of a library: counted under its name, not hidden
        return {}, f"error: {type(error).__name__}"


def drawn(rgb: Any, max_bytes: int, max_tokens: int, tokenizer: str, method: str) -> dict:
    from corpus.vectorizing.search import Budget, vectorized

    count = token_counter(tokenizer) if tokenizer else None
    found = vectorized(rgb, Budget(max_bytes, max_tokens, count), method)
    size = {"bytes": len(found.svg.encode("utf-8")) + 1} | ({"tokens": count(found.svg)} if count else {})
    return {"svg": found.svg, "similarity": round(found.similarity, 4), **size}


@cache
def token_counter(tokenizer: str) -> Callable[[str], int]:
    from qwen_svg.common.tokens import token_ids
    from qwen_svg.model.tokenizer import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    return lambda text: len(token_ids(loaded, [text])[0])


def jobs_in(source: str) -> list[Job]:
    """Return the images of a file, folder or pattern, in the order of their names, each with an id of its own."""
    from corpus.vectorizing.picture import SUFFIXES

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
    return [Job(path, id) for path, id in zip(paths, ids, strict=True)]


def _common(paths: list[Path]) -> list[str]:
    """Return the parts of the path of the folder that holds them all."""
    parts = []
    for names in zip(*(path.parent.parts for path in paths), strict=False):
        if len(set(names)) > 1:
            break
        parts.append(names[0])
    return parts


@contextmanager
def writer(output: Path) -> Iterator[tuple[Callable[[Job], int | None], Callable[[Job, dict], None]]]:
    """Yield (the bytes of what is there already, write it): files in a folder, each whole or not at all, or lines."""
    if output.suffix != ".jsonl":

        def place(job: Job) -> Path:
            return output / f"{job.id}.svg"

        def write_file(job: Job, record: dict) -> None:
            path = place(job)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            part.write_text(record["svg"] + "\n", encoding="utf-8")
            part.replace(path)

        yield lambda job: place(job).stat().st_size if place(job).exists() else None, write_file
        return
    from qwen_svg.common.jsonl import append, written_before

    output.parent.mkdir(parents=True, exist_ok=True)
    there = {record["id"]: record["bytes"] for record in written_before(output, "id", "similarity", "bytes")}

    def write_line(job: Job, record: dict) -> None:
        words = " ".join(Path(job.id).stem.replace("-", " ").replace("_", " ").split())
        append(output, [{"id": job.id, "description": words, **record, "image": str(job.path)}])

    yield lambda job: there.get(job.id), write_line


def check_constants(c: SimpleNamespace) -> None:
    if not c.INPUT:
        raise UserError("INPUT is not given: an image, a folder, or a pattern like 'icons/*.png'.")
    if not c.OUTPUT:
        raise UserError("OUTPUT is not given; say where to write with `--output`: a folder, or a file.jsonl.")
    if Path(c.OUTPUT).suffix not in ("", ".jsonl") and not Path(c.OUTPUT).is_dir():
        raise UserError(f"OUTPUT {c.OUTPUT} is neither a folder nor a .jsonl; one .svg goes into a folder too.")
    if Path(c.OUTPUT).suffix != ".jsonl" and Path(c.OUTPUT).is_file():
        raise UserError(f"OUTPUT {c.OUTPUT} is a file; give a folder or a .jsonl.")
    check_drawing(c)


def check_drawing(c: SimpleNamespace) -> None:
    """Check budget, METHOD and WORKERS; the tokenizer is loaded before the work, not after it."""
    from corpus.vectorizing.search import METHODS

    if c.METHOD not in METHODS:
        raise UserError(f"METHOD must be one of {', '.join(METHODS)}, not {c.METHOD!r}.")
    if c.MAX_BYTES < 1 or c.MAX_TOKENS < 0 or c.WORKERS < 1:
        raise UserError("MAX_BYTES and WORKERS must be 1 or more, MAX_TOKENS 0 or more.")
    if c.MAX_TOKENS and not c.TOKENIZER:
        raise UserError("MAX_TOKENS needs a TOKENIZER that counts them (`--tokenizer Qwen/Qwen2.5-1.5B-Instruct`).")
    if c.TOKENIZER:
        token_counter(c.TOKENIZER)


if __name__ == "__main__":
    run(main, start(__file__, positional="INPUT"))
