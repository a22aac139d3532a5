"""Rows of a table, whatever it is kept in: JSON lines or lists, CSV, Parquet, a folder of .svg files, a hub dataset.

One bad line costs one row: it is handed on with what is wrong with it, to be counted.
"""

import csv
import glob
import gzip
import json
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.hub import hub_reachable

HUB = "hub:"  # may stand before the name of a dataset on the Hugging Face hub
MOST_COLUMNS = 10_000  # remembered; a table of JSON has a few
KINDS = (".jsonl", ".json", ".csv", ".parquet")  # the first three also with .gz behind


class Row(NamedTuple):
    place: str  # "file:line", for messages
    values: dict  # {} where there is a fault
    fault: str = ""  # a reason to count
    seen: Collection[str] = ()  # columns that other records had before, where each has its own: JSON


def is_table(name: str) -> bool:
    return Path(name.removesuffix(".gz")).suffix in KINDS


def table_files(source: str, within: str = "") -> list[str]:
    """Return the files of a path, a pattern or a folder, by name; the .svg files of a folder that holds no table.

    within: a pattern for those of a folder.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [str(path)]
    if path.is_dir():
        files = sorted(map(str, path.rglob(within or "*")))
        return [file for file in files if is_table(file)] or [file for file in files if file.endswith(".svg")]
    return sorted(glob.glob(str(path), recursive=True))


def rows(source: str, within: str = "", column: str | None = None) -> Iterator[Row]:
    """Yield rows one by one, files in the order of their names.

    source: a file, a pattern ("shards/*.jsonl"), a folder, or a hub dataset (OWNER/NAME, split "train", streamed).
    within: a pattern for the files of a folder or a hub dataset. column: the only one that is needed, where leaving out
    the others saves reading. Of an .svg file the row is its id, the path within the folder, and its text in
    both columns that drawings have here, svg and svg_content. Raises UserError for what cannot be read at all.
    """
    files = table_files(source, within)
    for file in files:
        yield from [_of_drawing(file, source)] if file.endswith(".svg") else _of_file(file, column)
    if files:
        return
    name = source.removeprefix(HUB)
    if Path(source).is_dir() or (name.count("/") == 1 and not is_table(name) and not set(name) & set("*~?[")):
        yield from _streamed(name, within, column)
    else:
        raise UserError(f"there is no file, pattern, folder or hub dataset (OWNER/NAME) like {source!r}.")


def text_in(row: Row, column: str) -> tuple[str, str]:
    """Return (the column's text, "") or ("", why there is none).

    Raises UserError where a row has no such column, nor has one before it: then it is the name that is wrong.
    """
    if not row.fault and column not in row.values and column not in row.seen:
        raise _no_column(row.place, column, row.values)
    text = row.values.get(column)
    if isinstance(text, str) and text.strip():
        return text, ""
    return "", row.fault or (f"no text in {column!r}" if column in row.values else f"no {column!r}")


def _no_column(place: str, column: str, names: Iterable[str]) -> UserError:
    return UserError(f"{place}: no column {column!r}, but {', '.join(map(str, names))[:200] or 'none'}.")


def _of_drawing(file: str, source: str) -> Row:
    folder = Path(source).expanduser()
    id = Path(file).relative_to(folder).as_posix() if folder.is_dir() else file
    svg = Path(file).read_text(encoding="utf-8", errors="replace")
    return Row(file, {"id": id, "svg": svg, "svg_content": svg})


def _of_file(path: str, column: str | None) -> Iterator[Row]:
    kind = Path(path.removesuffix(".gz")).suffix
    try:
        if kind == ".parquet":
            yield from _of_parquet(path, column)
        elif kind not in KINDS:
            raise UserError(f"{path} is none of {', '.join(KINDS)}.")
        else:
            with _open(path) as file:
                yield from (_of_csv if kind == ".csv" else _of_json)(path, file)
    except csv.Error as error:
        raise UserError(f"{path} is no CSV ({error}).") from None
    except (OSError, EOFError, zlib.error) as error:  # also a truncated or false .gz
        raise UserError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def _open(path: str) -> IO[str]:
    open_any = gzip.open if path.endswith(".gz") else open
    return open_any(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")


def _of_json(path: str, file: IO[str]) -> Iterator[Row]:
    """Line by line; a file that is one list is read whole."""
    seen: set[str] = set()
    if file.read(1) == "[":
        file.seek(0)
        try:
            for number, record in enumerate(json.load(file), 1):
                yield _checked(f"{path}, record {number}", record, seen)
        except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
            place = f"{path}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else path
            raise UserError(f"{place} is not JSON ({getattr(error, 'msg', None) or one_line(error)}).") from None
        return
    file.seek(0)
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield _checked(f"{path}:{number}", json.loads(line), seen)
        except (ValueError, RecursionError):
            yield Row(f"{path}:{number}", {}, "the line is not JSON")


def _checked(place: str, record: object, seen: set[str]) -> Row:
    if not isinstance(record, dict):
        return Row(place, {}, "the line is no JSON object")
    if len(seen) < MOST_COLUMNS:
        seen.update(record)
    return Row(place, record, seen=seen)


def _of_csv(path: str, file: IO[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # a drawing is longer than the 128 kB a field may have
    reader = csv.DictReader(file)
    for row in reader:
        yield Row(f"{path}:{reader.line_num}", row)


def _of_parquet(path: str, column: str | None) -> Iterator[Row]:
    from pyarrow import ArrowInvalid, parquet  # 0.2 s, for those who have one

    try:
        file = parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise UserError(f"{path} is no Parquet file ({error}).") from None
    if column and column not in file.schema_arrow.names:
        raise _no_column(path, column, file.schema_arrow.names)
    number = 0
    for batch in file.iter_batches(batch_size=1024, columns=[column] if column else None):
        for row in batch.to_pylist():
            number += 1
            yield Row(f"{path}, row {number}", row)


def _streamed(name: str, within: str, column: str | None) -> Iterator[Row]:
    import datasets  # a second, for those who name one

    if not Path(name).is_dir() and not hub_reachable():
        raise UserError(f"{name} is neither a file nor a folder here, and the hub cannot be reached.")
    try:
        stream = datasets.load_dataset(name, data_files=within or None, split="train", streaming=True)
        if column and stream.column_names:  # known only for some formats
            if column not in stream.column_names:
                raise _no_column(name, column, stream.column_names)
            stream = stream.select_columns([column])
        for number, row in enumerate(stream, 1):
            yield Row(f"{name}, row {number}", row)
    except UserError:
        raise
    except Exception as error:  # `datasets` hands on what its many sources raise
        reason = f"{type(error).__name__}: {one_line(error, 200)}"
        raise UserError(f"the dataset {name} cannot be read ({reason}).") from None
