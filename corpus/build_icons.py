"""Icons with words: the drawings of open icon sets, each in several wordings, ready to train on.

Reads   npm packages in TARBALLS; what is missing is fetched by npm, where there is one.
Writes  OUTPUT, with the sets under permissive licences, and beside it <name>_sharealike.jsonl, each with a data card
        (.md: artwork and licences by set, counts, refusals) and a contact sheet (.png).

    python -m corpus.build_icons
    python -m corpus.build_icons --sets "twemoji, tabler" --limit 300 --output data/some.jsonl

Words are those that people wrote about the icons: names, aliases, tags, categories, emoji labels. What has no colours
of its own is painted by rule, and the description names the colour; other colours are read off the drawing. `group` is
the concept that a drawing shows, across all sets, so that no split has it on both sides. Drawings go the way of
corpus/build_dataset.py; the same command goes on where it was stopped, and writes the same bytes each time.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

from qwen_svg.common.constants import Above, NonNegativeInt, PositiveInt, start
from qwen_svg.common.errors import UserError, run

# Input
TARBALLS: str = "data/npm"  # folder of packages, as `npm pack` names them
SETS: str = ""  # only these, with commas between, like "twemoji, tabler"; "" = all of corpus/icons/sets.py
LIMIT: NonNegativeInt = 0  # only so many icons of each set, evenly picked; 0 = all
# Output
OUTPUT: str = "data/icons.jsonl"  # replaced when it is there; the card and the pictures beside it too
MAX_ANSWER_CHARACTERS: PositiveInt = 2500  # longer answers are left out; train.py drops by its own limit in tokens
# Card
TOKENIZER: str = ""  # hub id, local folder or .gguf file: the card then also shows token lengths
MAX_LENGTH: PositiveInt = 1560  # tokens, the limit drawn in that plot, as in train.py
# Machine
WORKERS: Annotated[int, Above(0, 1024)] = 2  # processes


def check_constants(c: SimpleNamespace) -> None:
    if not c.OUTPUT.endswith(".jsonl"):
        raise UserError(f"OUTPUT must end in .jsonl, as what train.py reads, not {c.OUTPUT!r}.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import shutil

from tqdm import tqdm

from corpus.build_dataset import MAX_ERROR, MAX_TILE_ERROR
from corpus.dataset.card import write_card
from corpus.dataset.finish import token_lengths, tokenizer_of_card
from corpus.dataset.join import Compared, compare, write_samples
from corpus.dataset.plan import BuildPlan, plan
from corpus.dataset.record import Rules
from corpus.icons.packages import fetch
from corpus.icons.sets import SETS as ALL_SETS
from corpus.icons.sets import SHARE_ALIKE, IconSet, packages
from corpus.icons.tables import artwork_of, licence_of, write_tables
from corpus.sources import Columns
from qwen_svg.common.files import require_writable

# Bits of 480 in which two pictures of one group may differ. Icons are mostly white, where the hash has no bits: at the
# 24 of build_dataset a chain of arrows, checks and frames joins half of all icons, at 6 it is 22 %.
SAME_HASH = 6


def main(c: SimpleNamespace) -> None:
    sets, folder, output = chosen(c.SETS), Path(c.TARBALLS), Path(c.OUTPUT)
    if c.TOKENIZER:  # what cannot be read is said before the work, not after it
        tokenizer_of_card(c.TOKENIZER)
    require_writable(output)
    fetch(folder, packages(sets))
    tables = output.with_name(f"{output.name}.tables")
    sources = ", ".join(map(str, write_tables(folder, sets, c.LIMIT, tables)))
    rules = Rules("prompt", False, c.MAX_ANSWER_CHARACTERS, (MAX_ERROR, MAX_TILE_ERROR), copies=0, seed=0)
    made = plan(sources, Columns(), "", 0, rules, None, output)
    prepare(made, c.WORKERS)
    compared = compare(made.paths(), True, rules.max_error, same_hash=SAME_HASH)
    shared = {some.prefix for some in sets if licence_of(folder, some) in SHARE_ALIKE}
    artwork = {some.prefix: artwork_of(folder, some) for some in sets}
    for path, wanted in (
        (output, {some.prefix for some in sets} - shared),
        (output.with_stem(f"{output.stem}_sharealike"), shared),
    ):
        if wanted:
            write(compared, path, wanted, artwork, c)
    shutil.rmtree(made.folder)
    shutil.rmtree(tables)


def chosen(names: str) -> list[IconSet]:
    """Return the sets of SETS, in their own order. Raises UserError for one that is not known."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [some.prefix for some in ALL_SETS]
    if unknown := sorted(set(wanted) - set(known)):
        raise UserError(f"SETS: {', '.join(unknown)} is none of {', '.join(known)}.")
    return [some for some in ALL_SETS if not wanted or some.prefix in wanted]


def prepare(plan: BuildPlan, workers: int) -> None:
    """Write what is missing of the plan, a set after the other, with a bar."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    missing = plan.missing()
    done = plan.lines(plan.drawings(missing), workers)
    plan.write(missing, tqdm(done, desc="drawings", unit="", disable=None))


def write(compared: Compared, path: Path, wanted: set[str], artwork: dict[str, str], c: SimpleNamespace) -> None:
    counts = write_samples(compared, path, wanted.__contains__)
    lengths = token_lengths(path, c.TOKENIZER) if c.TOKENIZER else {}
    write_card(path, counts, "python -m corpus.build_icons", lengths, c.MAX_LENGTH, artwork)
    drawings, left_out = sum(counts.origins.values()), sum(counts.refused.values())
    print(f"{path}: {drawings} drawings in {counts.written} samples, {len(counts.groups)} groups; {left_out} left out")


if __name__ == "__main__":
    run(main, c)
