"""The last stage of build_dataset: what is prepared becomes the data set, its card and its pictures.

A module of its own, so that the job of a cluster finds it by name.
"""

import shutil
from pathlib import Path
from typing import Any

from corpus.dataset.card import write_card
from corpus.dataset.join import join
from corpus.dataset.plan import BuildPlan
from qwen_svg.common.dataset import ReadResult, in_batches, stream_samples
from qwen_svg.training.token_lengths import PARTS, measure


def join_and_describe(
    plan: BuildPlan,
    output: Path,
    drop_near: bool,
    vectors: Path | None,
    same_vector: float,
    tokenizer: str,
    max_length: int,
) -> None:
    """Write the data set and its card from what is prepared, which then goes."""
    counts = join(plan.paths(), output, drop_near, plan.rules.max_error, vectors, same_vector)
    lengths = token_lengths(output, tokenizer) if tokenizer else {}
    write_card(output, counts, "python -m corpus.build_dataset", lengths, max_length)
    shutil.rmtree(plan.folder)
    print(f"{output}: {counts.written} samples written, {sum(counts.refused.values())} drawings left out")
    for (source, reason), count in counts.refused.most_common():
        print(f"  {count:>5}  {reason} ({source})")


def tokenizer_of_card(name: str) -> Any:
    from qwen_svg.model.tokenizer import load_tokenizer  # transformers takes seconds, for those who count tokens

    return load_tokenizer(name)


def token_lengths(path: Path, tokenizer: str) -> dict[str, list[int]]:
    loaded = tokenizer_of_card(tokenizer)
    lengths: dict[str, list[int]] = {part: [] for part in PARTS}
    for batch in in_batches(stream_samples(ReadResult(path)), 256):
        for part, counts in measure(loaded, batch, "chat").items():
            lengths[part] += counts
    return lengths
