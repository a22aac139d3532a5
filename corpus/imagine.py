"""Descriptions to drawings by way of pictures: a diffusion model paints, corpus.vectorize draws it again.

Reads   INPUT: descriptions, a .txt with one to a line, or .jsonl or .csv with `description` and, if wanted, `id`, as
        corpus.describe writes them; MODEL: any text-to-image pipeline of diffusers.
Writes  OUTPUT (JSON lines: id, description, svg, similarity, bytes, tokens, seed, source), which corpus.build_dataset
        takes as a source; beside it a contact sheet (.png: picture | drawing) and, if wanted, the pictures.

    python -m corpus.imagine data/descriptions.jsonl --output data/imagined.jsonl
    python -m corpus.build_dataset --sources data/imagined.jsonl --output data/drawings.jsonl

Each description has its own seed, so it is painted the same in any run and in any batch. `similarity` is of the drawing
to its picture; whether the picture shows what was asked for, no number here says. Stopped at any moment, the same
command goes on where it was; a description that failed is tried again.
"""

import hashlib
import inspect
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

from qwen_svg.common.constants import Above, NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, first_sentence, run

# isort: split
from corpus.vectorizing.limits import Limits, limits_of, refuse_larger

# Input and output
INPUT: str = ""  # descriptions: .txt, .jsonl or .csv
OUTPUT: str = "data/imagined.jsonl"  # continued when it is there
KEEP_IMAGES: bool = False  # keep the pictures too, in a folder beside OUTPUT
# Model
MODEL: str = "stabilityai/stable-diffusion-xl-base-1.0"  # hub id or folder: a text-to-image pipeline of diffusers
SUFFIX: str = "flat vector illustration, simple bold shapes, few solid colors, plain white background"  # of each prompt
NEGATIVE_PROMPT: str = "photo, texture, shading, gradient, text, letters, frame"  # where the pipeline knows one
STEPS: PositiveInt = 30  # of denoising; distilled models need 1 to 4
GUIDANCE: NonNegativeFloat = 7.0  # how closely the prompt is followed; 0 for distilled models
IMAGE_SIZE: NonNegativeInt = 0  # pixels, width and height, a multiple of 8; 0 = what the model was made for
BATCH_SIZE: PositiveInt = 4  # pictures painted together
FP16: bool = True  # on a GPU; a CPU always runs in fp32
SEED: Seed = 12343  # from which each description's seed is made
# Drawing: as in corpus.vectorize
MAX_BYTES: PositiveInt = 10_000  # of a drawing
MAX_TOKENS: NonNegativeInt = 0  # of the SVG text, counted by TOKENIZER; 0 = any number
TOKENIZER: str = ""  # hub id, local folder or .gguf file: tokens are counted and written
METHOD: Literal["layers", "vtracer", "both"] = "layers"  # "both": the better of the two
WORKERS: Annotated[int, Above(0, 1024)] = 2  # processes


def check_constants(c: SimpleNamespace) -> None:
    """Refuse files that are not given or do not fit, and sizes no model paints, before anything heavy is imported."""
    if not c.INPUT:
        raise UserError("INPUT is not given: a .txt, .jsonl or .csv with descriptions.")
    if Path(c.OUTPUT).suffix != ".jsonl":
        raise UserError(f"OUTPUT {c.OUTPUT} is no .jsonl.")
    if Path(c.OUTPUT).resolve() == Path(c.INPUT).resolve():
        raise UserError(f"OUTPUT {c.OUTPUT} is the INPUT; give another.")
    if c.IMAGE_SIZE % 8:
        raise UserError(f"IMAGE_SIZE must be a multiple of 8, which models need, not {c.IMAGE_SIZE}.")
    limits_of(c)


if __name__ == "__main__":
    c = start(__file__, positional="INPUT")
    check_constants(c)

# Worker processes are forked before or after torch is imported alike; where they are not forked, they import this file
# again (corpus/workers.py), and torch with it.
import torch
from tqdm import tqdm

from corpus.vectorizing.picture import fitted
from corpus.vectorizing.record import drawn_or_reason, token_counter
from corpus.workers import CRASHED, in_processes
from qwen_svg.common.hub import hub_reachable
from qwen_svg.common.jsonl import append_all, written_before
from qwen_svg.common.sheet import sheet_beside, write_sheet
from qwen_svg.generation.descriptions import Asked, read_descriptions
from qwen_svg.model.device import pick_device, pick_dtype
from qwen_svg.svg.render import png_bytes

SHEET = 18  # pairs on the contact sheet


class Painted(NamedTuple):
    asked: Asked
    seed: int
    picture: Any  # PIL image


def main(c: SimpleNamespace) -> None:
    if c.TOKENIZER:
        token_counter(c.TOKENIZER)  # one that is missing is told before the work, not after it
    wanted, faults = read_descriptions(Path(c.INPUT))
    output = Path(c.OUTPUT)
    sheet = sheet_beside(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    there = {record["id"]: record["bytes"] for record in written_before(output, "id", "seed", "bytes")}
    refuse_larger(list(there.values()), c)
    missing = [asked for asked in wanted if asked.id not in there]
    for fault in faults:
        print(fault)
    counts: Counter[str] = Counter()
    written, shown = 0, []
    for painted, record in imagined(c, missing, counts) if missing else ():
        append_all(output, [record])
        written += 1
        if c.KEEP_IMAGES:
            folder = output.with_name(output.stem + "-images")
            folder.mkdir(exist_ok=True)
            painted.picture.save(folder / f"{painted.seed:08x}.png")
        if len(shown) < SHEET:
            shown.append((painted, record))
    if shown:
        contact_sheet(sheet, shown)
    print(f"{output}: {written} drawings written" + (f", {len(wanted) - len(missing)} were there" if there else ""))
    for reason, count in counts.most_common():
        print(f"  {count:>6}  {reason}")
    if missing and not written:
        raise UserError(f"no drawing was written to {output}; the reasons are counted above.")


def imagined(c: SimpleNamespace, wanted: list[Asked], counts: Counter) -> Iterator[tuple[Painted, dict]]:
    """Yield picture and record of each description that got a drawing; count the reasons of the others."""
    pipeline = open_pipeline(c.MODEL, c.FP16)
    source = c.MODEL.rstrip("/").rpartition("/")[2]
    draw = partial(draw_again, limits=limits_of(c), method=c.METHOD)
    with tqdm(total=len(wanted), desc="descriptions", unit="", disable=None) as bar:
        for start in range(0, len(wanted), c.BATCH_SIZE):
            batch = paint(pipeline, wanted[start : start + c.BATCH_SIZE], c)
            for painted, (drawn, reason) in in_processes(draw, batch, c.WORKERS, lambda _: ({}, CRASHED)):
                bar.update()
                if reason:
                    counts[reason] += 1
                    continue
                yield painted, {**painted.asked._asdict(), **drawn, "seed": painted.seed, "source": source}


def draw_again(painted: Painted, limits: Limits, method: str) -> tuple[dict, str]:
    """Return (svg, similarity, sizes; "") or ({}, why not)."""
    return drawn_or_reason(lambda: fitted(painted.picture), limits, method)


def seed_of(asked: Asked, seed: int) -> int:
    """Return 32 bits that depend on nothing but the description, its id and SEED."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{asked.id}\0{asked.description}".encode()).digest()[:4])


def open_pipeline(model: str, fp16: bool) -> Any:
    """Return a diffusers text-to-image pipeline on the GPU, if there is one. UserError when it cannot be loaded."""
    # Not at the top: optional, and ten seconds that a run with nothing left to paint need not wait.
    from diffusers import AutoPipelineForText2Image
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = pick_device()
    try:
        pipeline = AutoPipelineForText2Image.from_pretrained(
            model, torch_dtype=pick_dtype(device, fp16), local_files_only=Path(model).is_dir() or not hub_reachable()
        )
    except Exception as error:  # diffusers and the libraries below raise what they like
        raise UserError(
            f"MODEL {model} cannot be loaded as a text-to-image pipeline ({type(error).__name__}: "
            f"{first_sentence(error)}); connect this machine to the hub, or give a local copy with `--model FOLDER`."
        ) from None
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def paint(pipeline: Any, batch: list[Asked], c: SimpleNamespace) -> list[Painted]:
    """Return a picture of each description."""
    seeds = [seed_of(asked, c.SEED) for asked in batch]
    settings: dict[str, Any] = {
        "prompt": [f"{asked.description}, {c.SUFFIX}" if c.SUFFIX else asked.description for asked in batch],
        # On the CPU: a GPU's own numbers differ from model to model.
        "generator": [torch.Generator("cpu").manual_seed(seed) for seed in seeds],
        "num_inference_steps": c.STEPS,
        "guidance_scale": c.GUIDANCE,
    }
    if c.NEGATIVE_PROMPT:
        settings["negative_prompt"] = [c.NEGATIVE_PROMPT] * len(batch)
    if c.IMAGE_SIZE:
        settings |= {"width": c.IMAGE_SIZE, "height": c.IMAGE_SIZE}
    known = inspect.signature(pipeline.__call__).parameters  # not every model has guidance or negative prompts
    settings = {name: value for name, value in settings.items() if name in known}
    try:
        pictures = pipeline(**settings).images
    except torch.OutOfMemoryError:
        raise UserError(
            f"the memory does not suffice for {len(batch)} pictures at once; lower BATCH_SIZE (`--batch-size 1`) or "
            "IMAGE_SIZE."
        ) from None
    return [Painted(*one) for one in zip(batch, seeds, pictures, strict=True)]


def contact_sheet(path: Path, shown: list[tuple[Painted, dict]]) -> None:
    """Draw pictures and, to the right of each, what became of it."""
    cells = []
    for painted, record in shown:
        cells.append((record["description"], painted.picture))
        cells.append((f"{record['bytes']:,} bytes, similarity {record['similarity']:.3f}", png_bytes(record["svg"])))
    write_sheet(path, cells)


if __name__ == "__main__":
    run(main, c)
