"""Train the encoder's tokenizer: byte-level BPE on optimized SVG, in which a coordinate is one token.

Reads   DATA: tables with an SVG in each row, as corpus.optimize writes them.
Writes  OUTPUT: a folder that transformers' AutoTokenizer loads; on the terminal, tokens per drawing, beside COMPARE's.

    python -m encoder.train_tokenizer --data "optimized/*.jsonl" --output outputs/svg-tokenizer
    python -m encoder.train_tokenizer --data optimized.jsonl --compare Qwen/Qwen2.5-1.5B-Instruct

The text is cut before BPE: markup up to the next value, colours, words, path commands, numbers with the space, comma or
sign before them. BPE joins within these pieces alone, so no token spans two coordinates.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing

DATA: str = ""  # folder of .svg files; or table (.jsonl, .csv, .parquet): file, pattern, folder, hub dataset
SVG_COLUMN: str = "svg"  # of DATA
OUTPUT: str = "outputs/svg-tokenizer"  # folder; never written over
READING: Literal["full", "outline"] = "full"  # what of a drawing is read; outline: for small models (outline.py)
VOCABULARY: PositiveInt = 4096  # tokens; the integers of the canvas take a fifth, the rest is markup and colours
MAX_DRAWINGS: PositiveInt = 500_000  # the first so many are learned from; all are in memory as counts of pieces only
COMPARE: str = ""  # another tokenizer (hub id, folder, .gguf) whose tokens are counted too
COMPARED: PositiveInt = 2000  # drawings, evenly picked from those learned from


def check_constants(c: SimpleNamespace) -> None:
    if not c.DATA:
        raise UserError("DATA is not given; name optimized drawings with `--data FILE`.")
    refuse_existing("OUTPUT", c.OUTPUT)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from encoder.drawing_text import drawing_text
from encoder.loading import reading_of
from encoder.outline import GRID, READINGS
from qwen_svg.common.tables import rows, text_in
from qwen_svg.model.tokenizer import load_tokenizer

SPECIAL = {
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
}
PIECES = {
    "full": r'<[\w:-]+(?: [\w:-]+=")?'  # an element and its first attribute's name
    r'|" [\w:-]+="'  # the next attribute
    r'|"?/?>|</[\w:-]+>'  # the end of an element
    r"|#[0-9a-fA-F]+|[A-Za-z]+"  # colours; words and path commands
    r"|[ ,]?-?[0-9]+|\.[0-9]+"  # a number with what separates it; its decimals
    r"|\s+|.",
    "outline": r"<\w+| /?[#\w()]+(?= |<|$)| [0-9]+,[0-9]+|\s+|.",  # an element, a colour, a point
}


def main(c: SimpleNamespace) -> None:
    other = load_tokenizer(c.COMPARE) if c.COMPARE else None
    sample: list[str] = []
    tokenizer = train(picked(drawings(c), sample, c), c.VOCABULARY, c.READING)
    if not sample:
        raise UserError(f"{c.DATA} holds no drawing in {c.SVG_COLUMN!r}; give another DATA or SVG_COLUMN.")
    tokenizer.save_pretrained(c.OUTPUT)
    print(f"{c.OUTPUT}: {len(tokenizer):,} tokens")
    for line in lengths(tokenizer, sample, other, c.COMPARE):
        print(line)


def drawings(c: SimpleNamespace) -> Iterator[str]:
    texts = (text_in(row, c.SVG_COLUMN)[0] for row in rows(c.DATA, column=c.SVG_COLUMN))
    yield from tqdm(islice(filter(None, texts), c.MAX_DRAWINGS), desc="drawings", unit="", disable=None)


def picked(svgs: Iterator[str], sample: list[str], c: SimpleNamespace) -> Iterator[str]:
    """Yield what the encoder reads of each drawing; keep COMPARED evenly spaced SVGs in `sample` on the way."""
    read, every = READINGS[c.READING], 1
    for number, svg in enumerate(svgs):
        if number % every == 0:
            sample.append(svg)
            if len(sample) > 2 * c.COMPARED:  # thin out: the number of drawings is not known before
                del sample[1::2]
                every *= 2
        yield read(drawing_text(svg))


def train(texts: Iterator[str], vocabulary: int, reading: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer trained on the texts; it keeps the name of the reading."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES[reading]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    special = list(SPECIAL.values())
    # Every coordinate, or every point of the grid, is a token, seen often or not.
    if reading == "outline":
        numbers = [f" {x},{y}" for x in range(GRID) for y in range(GRID)]
    else:
        numbers = [f"{before}{number}" for before in ("", " ") for number in range(257)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((text for source in (texts, numbers * 100) for text in source), trainer)
    if any(len(bpe.encode(number).ids) > 1 for number in numbers):
        raise UserError(f"VOCABULARY ({vocabulary}) is too small for a token for each coordinate; use 1100 or more.")
    ends = [(token, bpe.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    bpe.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe, reading=reading, **SPECIAL)


def lengths(tokenizer: Any, svgs: list[str], other: Any, name: str) -> list[str]:
    """Return lines of a table: tokens per drawing, of what is read and of the SVG, by each tokenizer."""
    read = reading_of(tokenizer)
    texts = [read(drawing_text(svg)) for svg in svgs]
    lines = [f"{'tokens per drawing':<44}{'mean':>8}{'p50':>8}{'p90':>8}"]
    contenders = [
        ("this tokenizer, what the encoder reads", tokenizer, texts),
        ("this tokenizer, the SVG", tokenizer, svgs),
    ]
    if other:
        contenders += [
            (f"{Path(name).name}, what the encoder reads", other, texts),
            (f"{Path(name).name}, the SVG", other, svgs),
        ]
    for label, one, what in contenders:
        counts = [len(ids) for ids in one(what, add_special_tokens=False)["input_ids"]]
        p50, p90 = np.percentile(counts, [50, 90])
        lines.append(f"{label[:43]:<44}{np.mean(counts):>8.0f}{p50:>8.0f}{p90:>8.0f}")
    return lines


if __name__ == "__main__":
    run(main, c)
