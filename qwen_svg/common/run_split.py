"""The samples of a run's split: the parts it was trained, validated and will be tested on, from its split.json."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from qwen_svg.common.dataset import (
    SPLIT_SHARES,
    ReadResult,
    Sample,
    SampleKey,
    families_of,
    fingerprint,
    stream_files,
)
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import data_files, read_json


def refuse_other_data(run: Path, data_path: list[str], data_sha256: str, way_out: str) -> None:
    """Raise UserError, ending in `way_out`, when the samples are not the ones the run was trained on."""
    if read_json(run / "environment.json")["data"]["sha256"] != data_sha256:
        raise UserError(
            f"the samples in {', '.join(data_path)} are not the ones {run} was trained on (environment.json holds "
            f"their fingerprint){way_out}"
        )


def split_sha256(split: dict) -> str:
    """Return a fingerprint of the three parts of a split.json: which samples were held out, in which order."""
    return hashlib.sha256(json.dumps([split[part] for part in SPLIT_SHARES]).encode()).hexdigest()


def read_split(run: Path) -> dict:
    """Return the content of split.json. Raises UserError where it is not the split that the run was trained with."""
    split = read_json(run / "split.json")
    recorded = read_json(run / "environment.json")["data"].get("split_sha256")  # runs of the past have none
    if recorded and split_sha256(split) != recorded:
        raise UserError(
            f"{run / 'split.json'} is not the split that {run} was trained with (environment.json holds its "
            "fingerprint), so what it calls test may have been trained on; restore the file."
        )
    return split


def samples_of(run: Path, part: str, data_path: list[str]) -> list[Sample]:
    """Return the samples of one part of the run's split, "train", "valid" or "test", in the order of split.json.

    Raises what `all_samples` does.
    """
    ids = read_split(run)[part]
    of_part = set(ids)
    found = {sample.id: sample for sample in all_samples(run, data_path) if sample.id in of_part}
    return [found[id] for id in ids]


def kin_of_held_out(run: Path, samples: Iterable[Sample], data_path: list[str]) -> set[Sample]:
    """Return those of other samples that the split would have put beside one of the run's validation or test split.

    By description or group: their drawings are a model's own, of which many may be alike. Raises what `all_samples`
    does.
    """
    split = read_split(run)
    held_ids, asked = {*split["valid"], *split["test"]}, set(samples)
    known = [SampleKey.of(sample) for sample in all_samples(run, data_path)]
    held_out = {key for key in known if key.id in held_ids}
    related = [family for family in families_of([*known, *asked], by_drawing=False) if not held_out.isdisjoint(family)]
    return asked & {member for family in related for member in family}


def all_samples(run: Path, data_path: list[str]) -> Iterator[Sample]:
    """Yield the samples of the run's data files, also those that it did not use.

    Raises UserError, behind the last one, where they are not what the run was trained on: then its split means nothing.
    """
    split = read_split(run)
    wanted, used = {id for part in ("train", "valid", "test") for id in split[part]}, []
    results = [ReadResult(file) for file, _ in data_files(data_path)]
    for sample in stream_files(results, answers=split.get("mend_answers", "keep")):
        if sample.id in wanted:
            used.append(SampleKey.of(sample))
        yield sample
    refuse_other_data(
        run,
        data_path,
        fingerprint(used),
        ", so its test split may hold samples the model has seen; restore the file, or give its place with "
        "`--data-path`.",
    )
