"""From the user's files to what a training takes: read, checked, tokenised, split, with an account of every sample."""

from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from prompt_template import extract_svg
from qwen_svg.common.dataset import (
    SPLIT_SHARES,
    ReadResult,
    Sample,
    SampleKey,
    fingerprint,
    in_batches,
    kin_counts,
    split_samples,
    stream_files,
    take,
    together,
)
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import data_files
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.common.tokens import ControlNames, encode, within_reach
from qwen_svg.training.token_store import StoredRows, TokenStore
from svg_constraint import DIALECTS, check


@dataclass(frozen=True)
class TrainingData:
    parts: dict[str, StoredRows]  # "train", "valid" and "test"
    ids: dict[str, Any]  # the content of split.json: the ids of each part, and why others were dropped
    valid_descriptions: dict[str, str]  # of the validation part, by id
    lines: dict  # of the files: read, skipped and mended
    fingerprint: str  # SHA-256 of the samples that are used
    tasks: dict[str, int]  # samples of the training part, by task


def prepare_data(c: SimpleNamespace, tokenizer: Any, split: dict | None = None) -> TrainingData:
    """Read, check, tokenise, drop what does not fit, and split. Prints what happened to every sample.

    The files are streamed: what stays in memory of a sample is its id, description and length. split: the content of
    split.json, of a run that is resumed: its parts stay what they were. Raises UserError where nothing is left, or
    something is missing that the run was split with.
    """
    files, store = [ReadResult(file) for file, _ in data_files(c.DATA_PATH)], TokenStore()
    names, named = ControlNames(tokenizer), 0
    legal: Counter[str] = Counter()
    dropped: dict[str, str] = {}
    numbers: dict[str, int] = {}  # in the store, by id
    keys: list[SampleKey] = []
    beyond: list[str] = []
    samples = stream_files(files, c.ON_BAD_LINE, c.MEND_ANSWERS)
    for batch in in_batches(within_reach(tokenizer, samples, c.MAX_LENGTH, beyond), 256):
        for sample, row in zip(batch, encode(tokenizer, batch, c.PROMPT_FORM), strict=True):
            dialects = legal_dialects(sample)
            legal.update(dialects)
            named += any(map(names.within, (sample.description, sample.svg or "", sample.answer)))
            if c.TRAIN_DIALECT and c.TRAIN_DIALECT not in dialects:
                dropped[sample.id] = f"not legal in {c.TRAIN_DIALECT}"
            elif row.length > c.MAX_LENGTH:
                dropped[sample.id] = f"{row.length} tokens"
            else:
                keys.append(SampleKey.of(sample))
                numbers[sample.id] = store.append(row)
    dropped |= dict.fromkeys(beyond, f"more than {c.MAX_LENGTH} tokens")
    print("\n".join(line for file in files for line in file.report()))
    read = together(files)
    if named:
        print(f"{named} samples name control tokens of the base, as <|im_end|>: they are read as text")
    print(
        "legal by svg_constraint: "
        + ", ".join(f"{d} {legal[d] / max(1, read.read - len(beyond)):.1%}" for d in DIALECTS)
    )
    if too_long := sum(reason.endswith("tokens") for reason in dropped.values()):
        print(f"{too_long} samples are longer than {c.MAX_LENGTH} tokens and are dropped (see split.json)")
    if not keys:
        raise UserError(
            f"no sample of {', '.join(c.DATA_PATH)} is left to train on: {len(dropped)} dropped; raise MAX_LENGTH "
            f"({c.MAX_LENGTH}) or see `python preprocess_token_lengths.py` for the lengths."
        )
    if split:
        parts = {name: split[name] for name in SPLIT_SHARES}
        keys, alike = _keys_of_split(c, keys, parts), {}
    else:
        keys = take(weighted(c, keys, files), c.MAX_SAMPLES, c.SEED)
        parts = {name: [key.id for key in part] for name, part in split_samples(keys, c.SEED).items()}
        alike = print_families(keys)
    valid, train = set(parts["valid"]), set(parts["train"])
    tasks = dict(sorted(Counter(key.task for key in keys if key.id in train).items()))
    print("split: " + ", ".join(f"{len(part)} {name}" for name, part in parts.items()))
    if len(tasks) > 1:
        print("trained on: " + ", ".join(f"{n} × {task}" for task, n in tasks.items()))
    return TrainingData(
        parts={name: store.rows(numbers[id] for id in part) for name, part in parts.items()},
        ids={"seed": c.SEED, "mend_answers": c.MEND_ANSWERS, **parts, "dropped": dropped, "unseen": unseen_ids(keys)},
        valid_descriptions={key.id: key.description for key in keys if key.id in valid},
        lines=read.counts() | {"name_control_tokens": named, "no_group": read.no_group, "alike": alike},
        fingerprint=fingerprint(keys),
        tasks=tasks,
    )


def weighted(c: SimpleNamespace, keys: list[SampleKey], files: list[ReadResult]) -> list[SampleKey]:
    """Return the samples that are used: all of a file, or the share that is its weight, deterministic by seed."""
    used = []
    for file, (_, weight) in zip(files, data_files(c.DATA_PATH), strict=True):
        own = [key for key in keys if key.id in file.ids]
        if weight < 1:
            own, all_of_it = take(own, max(1, round(weight * len(own))), c.SEED), len(own)
            print(f"{file.path}: {len(own)} of {all_of_it} samples that fit are used (weight {weight:g})")
        used += own
    return used


def unseen_ids(keys: list[SampleKey]) -> dict[str, list[str]]:
    """Return, by kind, which samples of the test part have a combination that is never trained on."""
    found: dict[str, list[str]] = {}
    for key in keys:
        if kind := unseen_kind(key.group):
            found.setdefault(kind, []).append(key.id)
    return found


def print_families(keys: list[SampleKey]) -> dict[str, int]:
    """Print and return what keeps samples together on one side of the split."""
    alike = kin_counts(keys)
    print(
        f"{len(keys)} samples in {alike['families']} families, each on one side of the split: {alike['description']} "
        f"share a description ({alike['spelling']} of them in several spellings), {alike['drawing']} a drawing, "
        f"{alike['group']} a group"
    )
    return alike


def _keys_of_split(c: SimpleNamespace, keys: list[SampleKey], parts: dict[str, list[str]]) -> list[SampleKey]:
    """Return the samples of a split that was made before."""
    known = {key.id: key for key in keys}
    wanted = [id for part in parts.values() for id in part]
    if missing := [id for id in wanted if id not in known]:
        raise UserError(
            f"{', '.join(c.DATA_PATH)} has no usable sample {missing[0]!r}, with which the run was split "
            f"({len(missing)} are missing); restore the file, or start a new run."
        )
    return [known[id] for id in wanted]


def legal_dialects(sample: Sample) -> set[str]:
    svg = extract_svg(sample.answer) or ""
    return {dialect for dialect in DIALECTS if check(svg, dialect).valid}
