"""Pictures to words: render SVGs and let a vision-language model describe them.

Reads   DATASET: a table with an SVG in each row (mined shards, optimized lines), or a dataset from the hub, streamed;
        or SOURCES, whose drawings have names, for ENGINE labels.
Writes  OUTPUT (JSON lines: hash, caption, source, prompt), and beside it a contact sheet (.png) of the first pictures.

    python -m corpus.caption --dataset "mined/*.jsonl" --output data/captions.jsonl
    python -m corpus.caption --dataset VectorGraphics/svg-corpus --data-files "*_stage2*" --max-samples 100000
    python -m corpus.caption --engine endpoint --base-url http://localhost:8000/v1 --dataset optimized.jsonl
    python -m corpus.caption --engine labels --sources "twemoji, noto/icons.json" --output data/labels.jsonl

`hash` is the MD5 of the SVG text, by which captions find their drawings again; `source` the model, or the labelled set.
Stopped at any moment, the same command goes on where it was; a drawing that failed is tried again then.
"""

import glob
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from qwen_svg.common.constants import Between, NonNegativeInt, PositiveFloat, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run

# Input
DATASET: str = (
    "VectorGraphics/svg-corpus"  # hub id; .jsonl, .json, .csv, .parquet: file, folder, "glob*.jsonl"; folder of .svg
)
DATA_FILES: str = ""  # pattern of the files wanted of a folder or a hub dataset, like "*_stage2*"; "" = all
SVG_FIELD: str = "svg"  # of a record
SOURCES: str = "twemoji"  # for ENGINE labels: those of corpus/sources.py, with commas between
START_INDEX: NonNegativeInt = 0  # records to pass over
MAX_SAMPLES: PositiveInt | None = None  # records to read from there; None = all
# Output
OUTPUT: str = "data/captions.jsonl"  # continued when it is there
# Model
ENGINE: Literal["transformers", "lmdeploy", "endpoint", "labels"] = "transformers"  # labels: names, no model
# The checkpoint in transformers' own form, which LMDeploy and vLLM load too. OpenGVLab/InternVL3-2B, the same weights,
# comes with Python of its own, which no engine here runs.
MODEL: str = "OpenGVLab/InternVL3-2B-hf"  # hub id or folder; for ENGINE endpoint the name it is served under
BASE_URL: str = ""  # for ENGINE endpoint, like http://localhost:8000/v1; its key comes from OPENAI_API_KEY
RESOLUTION: PositiveInt = 224  # pixels, width and height of the picture that is shown to the model
BATCH_SIZE: PositiveInt = 64  # pictures asked about together; halved when the memory does not suffice
TEMPERATURE: Annotated[float, Between(0, 2)] = 0.01  # up to 0.01 the likeliest word is always taken
MAX_NEW_TOKENS: PositiveInt = 128  # of a caption; one that is cut is not written
TP: PositiveInt = 1  # GPUs that share each layer (LMDeploy)
SESSION_LEN: PositiveInt = 16384  # tokens of prompt, picture and caption (LMDeploy)
TIMEOUT: PositiveFloat = 1.0  # seconds for drawing one SVG
SEED: Seed = 12343  # of the choice of prompts, and of sampling


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    if c.ENGINE == "endpoint" and not c.BASE_URL:
        raise UserError("ENGINE is 'endpoint': give its address with `--base-url http://localhost:8000/v1`.")
    if c.BASE_URL and c.ENGINE != "endpoint":
        raise UserError(f"BASE_URL is given, but ENGINE is {c.ENGINE!r}; add `--engine endpoint`.")
    if c.TP > 1 and c.ENGINE != "lmdeploy":
        raise UserError("TP above 1 is for `--engine lmdeploy`; a server behind an endpoint has an option of its own.")
    output, inputs = Path(c.OUTPUT).resolve(), [c.DATASET, *glob.glob(c.DATASET)]
    if c.ENGINE != "labels" and any(output.is_relative_to(Path(name).resolve()) for name in inputs if name):
        raise UserError(f"OUTPUT {c.OUTPUT} is, or lies in, the DATASET; give another.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from tqdm import tqdm

from corpus.captioning.clean import clean_caption
from corpus.captioning.pictures import batches, one_ahead
from corpus.captioning.prompts import prompt_for
from corpus.sources import drawings
from qwen_svg.common.jsonl import append_all, written_before
from qwen_svg.common.sheet import sheet_beside, write_sheet
from qwen_svg.common.tables import rows, text_in
from qwen_svg.svg.content_hash import content_hash

GREEDY = 0.01  # temperatures up to this
SHEET = 24  # pictures on the contact sheet


def main(c: SimpleNamespace) -> None:
    path = Path(c.OUTPUT)
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = {record["hash"] for record in written_before(path, "hash", "caption")}
    counts: Counter[str] = Counter()
    before = len(seen)
    captioned = labelled(c, seen, counts) if c.ENGINE == "labels" else described(c, seen, counts)
    written = 0
    for records in captioned:
        append_all(path, records)
        written += len(records)
    print(f"{path}: {written} captions written" + (f", {before} were there" if before else ""))
    for reason, count in counts.most_common():
        print(f"  {count:>6}  {reason}")
    if not written and not before:
        raise UserError(f"no caption was written to {path}; the reasons are counted above.")


def labelled(c: SimpleNamespace, seen: set[str], counts: Counter) -> Iterator[list[dict]]:
    """Yield the names that drawings of labelled sets have as captions, all in one list."""
    records = []
    found = (drawing for source in c.SOURCES.split(",") for drawing in drawings(source.strip()))
    for drawing in window(c, found):
        hash = content_hash(drawing.svg)
        if drawing.description is None:
            counts["no name"] += 1
        elif hash in seen:
            counts["has a caption already, or is here twice"] += 1
        else:
            seen.add(hash)
            caption = {"hash": hash, "caption": drawing.description, "source": drawing.source, "prompt": ""}
            records.append(caption)
    yield records


def described(c: SimpleNamespace, seen: set[str], counts: Counter) -> Iterator[list[dict]]:
    """Yield the captions of a batch of pictures at a time."""
    sheet = sheet_beside(Path(c.OUTPUT))
    texts = (text_in(row, c.SVG_FIELD) for row in window(c, rows(c.DATASET, c.DATA_FILES)))
    first = next(texts, None)
    if first is None:
        raise UserError(f"DATASET {c.DATASET} holds no record from START_INDEX {c.START_INDEX} on.")
    engine = open_engine(c)  # now that there is something to describe: loading takes minutes
    source = c.MODEL.rstrip("/").rpartition("/")[2]
    shown: list[tuple[str, Any]] = []
    written = 0
    made = batches(prepend(first, texts), seen, c.BATCH_SIZE, c.RESOLUTION, c.TIMEOUT)
    with tqdm(total=c.MAX_SAMPLES, desc="SVGs", unit="", disable=None) as bar:
        for batch in one_ahead(made):
            counts.update(batch.refused)
            prompts = [prompt_for(job.hash, c.SEED) for job in batch.jobs]
            answers = engine.captions([job.picture for job in batch.jobs], prompts) if batch.jobs else []
            records = []
            for job, prompt, (text, reason) in zip(batch.jobs, prompts, answers, strict=True):
                caption, reason = clean_caption(text) if not reason else ("", reason)
                if reason:
                    counts[reason] += 1
                    continue
                records.append({"hash": job.hash, "caption": caption, "source": source, "prompt": prompt})
                if len(shown) < SHEET:
                    shown.append((caption, job.picture))
            yield records
            written += len(records)
            bar.set_postfix(captions=written, refresh=False)
            bar.update(batch.records)
    if shown:
        write_sheet(sheet, shown)


def window(c: SimpleNamespace, items: Iterator) -> Iterator:
    return islice(items, c.START_INDEX, None if c.MAX_SAMPLES is None else c.START_INDEX + c.MAX_SAMPLES)


def prepend(first: Any, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def open_engine(c: SimpleNamespace) -> Any:
    """Return an object whose captions(pictures, prompts) answers with (text, "") or ("", why not) for each."""
    temperature = c.TEMPERATURE if c.TEMPERATURE > GREEDY else 0.0
    # Imported here: each brings libraries of its own, and LMDeploy is seldom installed.
    if c.ENGINE == "endpoint":
        from corpus.captioning.endpoint_engine import EndpointEngine
        from corpus.chat_endpoint import ChatEndpoint

        endpoint = ChatEndpoint(c.BASE_URL, c.MODEL, concurrency=c.BATCH_SIZE)
        return EndpointEngine(endpoint, temperature, c.MAX_NEW_TOKENS, c.SEED)
    if c.ENGINE == "lmdeploy":
        from corpus.captioning.lmdeploy_engine import LMDeployEngine

        return LMDeployEngine(c.MODEL, c.BATCH_SIZE, c.TP, c.SESSION_LEN, temperature, c.MAX_NEW_TOKENS, c.SEED)
    from corpus.captioning.transformers_engine import TransformersEngine

    return TransformersEngine(c.MODEL, c.BATCH_SIZE, temperature, c.MAX_NEW_TOKENS, c.SEED)


if __name__ == "__main__":
    run(main, c)
