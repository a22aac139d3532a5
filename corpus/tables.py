"""Rows of a table, whatever it is kept in: JSON lines, CSV, Parquet, a dataset of the hub."""

import csv
import glob
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from common.errors import UserError

HUB = "hub:"  # before the name of a dataset on the Hugging Face hub
KINDS = (".jsonl", ".csv", ".parquet")  # the first two also with .gz behind


def is_table(source: str) -> bool:
    return source.startswith(HUB) or source.removesuffix(".gz").endswith(KINDS)


def table_files(source: str) -> list[str]:
    """Return the files of a path or pattern ("shards/*.jsonl") by name; a dataset of the hub as it is."""
    if source.startswith(HUB) or Path(source).is_file():
        return [source]
    if paths := sorted(glob.glob(source, recursive=True)):
        return paths
    raise UserError(f"{source} does not exist, and no file has a name like it; check the path or pattern.")


def rows(source: str) -> Iterator[tuple[str, dict]]:
    """Yield (where it stands, row) one by one, files in the order of their names.

    source: a path or pattern, or "hub:OWNER/NAME", whose split "train" is streamed. Raises UserError naming file and
    line for what cannot be read.
    """
    if source.startswith(HUB):
        yield from _of_hub(source.removeprefix(HUB))
        return
    for path in table_files(source):
        read = _of_parquet if path.endswith(".parquet") else _of_csv if ".csv" in Path(path).suffixes else _of_lines
        yield from read(path)


def _open(path: str) -> IO[str]:
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return open(path, encoding="utf-8", newline="")


def _of_lines(path: str) -> Iterator[tuple[str, dict]]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{path}:{number}: no JSON ({error.msg}); mend or remove the line.") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number}: a {type(row).__name__}, not an object; mend or remove the line.")
            yield f"{path}:{number}", row


def _of_csv(path: str) -> Iterator[tuple[str, dict]]:
    csv.field_size_limit(sys.maxsize)  # a drawing is longer than the 128 kB a field may have
    with _open(path) as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield f"{path}:{reader.line_num}", row


def _of_parquet(path: str) -> Iterator[tuple[str, dict]]:
    from pyarrow import ArrowInvalid, parquet

    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise UserError(f"{path} is no Parquet file ({error}).") from None
    number = 0
    for batch in file.iter_batches(batch_size=1024):
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", row


def _of_hub(name: str) -> Iterator[tuple[str, dict]]:
    from datasets import load_dataset

    try:
        found = load_dataset(name, split="train", streaming=True)
    except Exception as error:  # no network, no such dataset, one behind a gate: the library's types for them vary
        raise UserError(f"the dataset {name} cannot be had from the hub ({error}); check name and network.") from None
    for number, row in enumerate(found, 1):
        yield f"{HUB}{name}, row {number}", row
