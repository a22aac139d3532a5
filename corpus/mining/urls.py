"""URLs from where they are listed, one after the other: a file, or what `datasets` can stream. Never all at once."""

import csv
import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from common.errors import UserError

FILE_TYPES = (".txt", ".jsonl", ".csv", ".parquet")


def read_urls(dataset: str, column: str, skip: int) -> Iterator[str]:
    """Yield what stands in the column (in a .txt file: on the line), from row `skip` on. Raises UserError."""
    path = Path(dataset)
    if not path.is_file():
        if path.suffix in (*FILE_TYPES, ".gz"):
            raise UserError(f"DATASET {dataset} does not exist.")
        return _streamed(dataset, column, skip)
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind not in FILE_TYPES or (kind == ".parquet" and path.suffix == ".gz"):
        raise UserError(f"DATASET {dataset} is none of {', '.join(FILE_TYPES)} (all but .parquet also with .gz).")
    if kind == ".parquet":
        return _from_parquet(path, column, skip)
    return _from_text(path, kind, column, skip)


def _from_text(path: Path, kind: str, column: str, skip: int) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8", errors="replace", newline="" if kind == ".csv" else None) as file:
            if kind == ".txt":
                yield from (line.strip() for line in islice(file, skip, None))
            elif kind == ".jsonl":
                for number, line in enumerate(islice(file, skip, None), skip + 1):
                    yield _of_line(line, column, f"{path}:{number}")
            else:
                rows = csv.DictReader(file)
                if column not in (rows.fieldnames or ()):
                    raise _no_column(path, column, rows.fieldnames or ())
                yield from (row[column] or "" for row in islice(rows, skip, None))
    except (gzip.BadGzipFile, EOFError):
        raise UserError(f"{path} is not a whole gzip file.") from None
    except csv.Error as error:
        raise UserError(f"{path} is not CSV: {error}.") from None


def _of_line(line: str, column: str, where: str) -> str:
    if not line.strip():
        return ""
    try:
        return str(json.loads(line)[column])
    except (json.JSONDecodeError, KeyError, TypeError):
        raise UserError(
            f"{where}: no JSON object with the field {column!r}; mend the line, or name the field with `--column`."
        ) from None


def _from_parquet(path: Path, column: str, skip: int) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid:
        raise UserError(f"{path} is not a Parquet file.") from None
    with file:
        if column not in file.schema_arrow.names:
            raise _no_column(path, column, file.schema_arrow.names)
        groups = list(range(file.num_row_groups))
        while groups and skip >= (rows := file.metadata.row_group(groups[0]).num_rows):
            skip -= rows
            groups.pop(0)
        batches = file.iter_batches(batch_size=4096, row_groups=groups, columns=[column])
        values = (value for batch in batches for value in batch.column(0).to_pylist())
        yield from (str(value or "") for value in islice(values, skip, None))


def _streamed(dataset: str, column: str, skip: int) -> Iterator[str]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    try:
        rows = load_dataset(dataset, split="train", streaming=True)
    except (DatasetNotFoundError, OSError) as error:  # requests' errors are OSErrors
        reason = str(error).splitlines()[0]
        raise UserError(f"DATASET {dataset} is neither a file nor to be had from the hub: {reason}") from None
    names = rows.column_names or [column]  # known only for some formats
    if column not in names:
        raise _no_column(dataset, column, names)
    try:
        yield from (str(row.get(column) or "") for row in rows.select_columns([column]).skip(skip))
    except Exception as error:  # of the network, in the classes of whichever library reads there
        reason = f"{type(error).__name__}: {str(error).splitlines()[:1]}"
        raise UserError(f"DATASET {dataset} stopped ({reason}); the same command goes on from there.") from None


def _no_column(where: object, column: str, names: object) -> UserError:
    return UserError(f"{where} has no column {column!r}, only {', '.join(names)}; name one with `--column`.")
