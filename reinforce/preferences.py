"""Preference pairs: read, held against the run they are for, tokenised as in fine-tuning; and TRL's trainer on them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from trl import DPOTrainer

from qwen_svg.common.dataset import Sample, fingerprint, is_unicode
from qwen_svg.common.errors import UserError
from qwen_svg.common.run_folder import Run
from qwen_svg.common.run_split import kin_of_held_out
from qwen_svg.common.tables import rows, text_in
from qwen_svg.common.tokens import encode
from qwen_svg.model.source import tokenizer_of
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.trainer import CompleteCheckpoints


class PairTrainer(CompleteCheckpoints, DPOTrainer):
    """Direct preference optimization (Rafailov et al. 2023) of an adapter, on rows of token ids.

    Given a PeftModel and no reference, TRL adds a frozen copy of its adapter, "ref": the reference is the adapter that
    training began with, not the bare base. Checkpoints hold the trained adapter alone.
    """

    def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
        """TRL would tokenise prompt and answer as one text, where the tokenizer may join the two or add a BOS token."""
        return dataset

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL writes one into the run folder with each checkpoint; ours is written at the end."""


class Pair(NamedTuple):
    chosen: Sample
    rejected: Sample


class TokenisedPairs(NamedTuple):
    rows: Dataset  # of token ids
    facts: dict  # where they are from, and what became of all


def read_pairs(path: str) -> Iterator[Pair]:
    """Yield the pairs that scoring.pairs wrote. Raises UserError for a line that is none, naming it."""
    if not Path(path).is_file():
        raise UserError(f"PAIRS {path} does not exist; make it with `python -m scoring.pairs`, name it with `--pairs`.")
    for row in rows(path):
        texts = []
        for name in ("description", "chosen", "rejected"):
            text, fault = text_in(row, name)
            if not is_unicode(text):
                fault = f"{name!r} is not UTF-8"
            if fault:
                raise UserError(f"{row.place} is no pair: {fault}.")
            texts.append(text.strip())
        description, chosen, rejected = texts
        if chosen == rejected:
            raise UserError(f"{row.place} is no pair: chosen and rejected are the same.")
        id, group = str(row.values.get("id")), row.values.get("group")
        same = {"id": id, "description": description, "group": None if group is None else str(group)}
        yield Pair(Sample(**same, answer=chosen), Sample(**same, answer=rejected))


def prepare_pairs(path: str, origin: Run, data_path: list[str]) -> TokenisedPairs:
    """Return the pairs that the run may be trained on. Prints what became of all.

    Pairs with a side of more than MAX_LENGTH tokens are left out, never cut; so are those of descriptions in the run's
    validation or test split, or kin of them, so that evaluate_test.py goes on testing what was never seen.
    """
    pairs, c = list(read_pairs(path)), origin.constants
    tokenizer = load_tokenizer(tokenizer_of(origin.folder) or c.BASE_MODEL)
    held_out = kin_of_held_out(origin.folder, [pair.chosen for pair in pairs], data_path)
    chosen, rejected = (encode(tokenizer, [pair[side] for pair in pairs], c.PROMPT_FORM) for side in (0, 1))
    sha256 = fingerprint([sample for pair in pairs for sample in pair])
    kept, facts = [], {"path": path, "sha256": sha256, "read": len(pairs), "held out": 0, "too long": 0}
    for pair, good, bad in zip(pairs, chosen, rejected, strict=True):
        if pair.chosen in held_out:
            facts["held out"] += 1
        elif max(good.length, bad.length) > c.MAX_LENGTH:
            facts["too long"] += 1
        else:
            kept.append({"prompt_ids": good.prompt, "chosen_ids": good.answer, "rejected_ids": bad.answer})
    left_out = f"{facts['held out']} of the run's validation or test split and {facts['too long']} of more than "
    left_out += f"{c.MAX_LENGTH} tokens left out"
    print(f"{path}: {len(pairs)} pairs, {left_out}")
    if not kept:
        raise UserError(f"no pair of {path} is left to train on: {left_out}; give others with `--pairs`.")
    return TokenisedPairs(Dataset.from_list(kept), facts)
