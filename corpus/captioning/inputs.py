"""Where the SVGs come from: local JSON and JSON lines, or anything that `datasets` streams."""

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import UserError

OUR_FORMS = (".json", ".jsonl")


def svg_texts(dataset: str, data_files: str, field: str) -> Iterator[tuple[str, str]]:
    """Yield (SVG, "") or ("", why not) for each record, in a fixed order.

    dataset: a file, a folder, a glob pattern, or a hub id. data_files: a pattern within a folder or a hub dataset.
    field: the record's key of the SVG text.
    """
    path = Path(dataset).expanduser()
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(p for p in path.rglob(data_files or "*") if p.suffix in OUR_FORMS)
    else:
        files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if files:
        for file in files:
            yield from _of_file(file, field)
    elif path.is_dir() or _is_hub_id(dataset):
        yield from _streamed(dataset, data_files, field)
    else:
        raise UserError(f"DATASET: there is no file, folder, pattern or hub dataset (owner/name) like {dataset!r}.")


def _is_hub_id(name: str) -> bool:
    local = name.startswith((".", "/", "~")) or Path(name).suffix in OUR_FORMS or "*" in name
    return name.count("/") == 1 and not local


def _of_file(path: Path, field: str) -> Iterator[tuple[str, str]]:
    """Read line by line, so that one bad line costs one drawing; a file that is one list is read whole."""
    try:
        with path.open("rb") as file:
            if file.read(1) == b"[":
                file.seek(0)
                for record in json.load(file):
                    yield _svg_of(record, field)
                return
            file.seek(0)
            for line in file:
                if line.strip():
                    yield _svg_of_line(line, field)
    except json.JSONDecodeError as error:
        raise UserError(f"DATASET: {path}:{error.lineno} is not JSON ({error.msg}).") from None
    except OSError as error:
        raise UserError(f"DATASET: {path} cannot be read ({error.strerror}).") from None


def _svg_of_line(line: bytes, field: str) -> tuple[str, str]:
    try:
        return _svg_of(json.loads(line), field)
    except (ValueError, RecursionError):
        return "", "the line is not JSON"


def _svg_of(record: Any, field: str) -> tuple[str, str]:
    svg = record.get(field) if isinstance(record, dict) else None
    return (svg, "") if isinstance(svg, str) and svg.strip() else ("", f"no text in the field {field!r}")


def _streamed(dataset: str, data_files: str, field: str) -> Iterator[tuple[str, str]]:
    import datasets

    from common.hub import hub_reachable

    if not Path(dataset).is_dir() and not hub_reachable():
        raise UserError(f"DATASET: {dataset} is neither a file nor a folder here, and the hub cannot be reached.")
    try:
        stream = datasets.load_dataset(dataset, data_files=data_files or None, split="train", streaming=True)
        if stream.column_names and field not in stream.column_names:
            raise UserError(f"SVG_FIELD: {dataset} has no column {field!r}, but {', '.join(stream.column_names)}.")
        for record in stream:
            yield _svg_of(record, field)
    except UserError:
        raise
    except Exception as error:  # `datasets` hands on what its many sources raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"DATASET: {dataset} cannot be read ({type(error).__name__}: {reason}); mend DATASET or DATA_FILES, or "
            "connect to the hub and run the same command again, which goes on where this one stopped."
        ) from None
