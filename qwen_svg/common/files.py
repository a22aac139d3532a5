"""Files that are whole or not there: a full disk or a kill never leaves half of one."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from qwen_svg.common.constants import ROOT
from qwen_svg.common.errors import UserError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to, beside `path`; it takes `path`'s place at the end, and is removed after an error."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside `folder`, whose place it takes at the end; nothing is left of it after an error."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        apply_umask(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def apply_umask(folder: Path) -> None:
    """Give the files of a folder the permissions that the umask says: safetensors writes for the owner alone (0600)."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o666 & ~mask)


def refuse_existing(constant: str, path: str | Path) -> None:
    """Raise UserError where something lies at the path that a constant gives: it is never written over."""
    if Path(path).exists():
        flag = constant.lower().replace("_", "-")
        raise UserError(f"{constant} {path} exists; remove it, or give another with `--{flag}`.")


def require_writable(*files: Path) -> None:
    """Raise UserError where one of the files could not be written: known now, and not after hours of work for it.

    Makes their folders. A file that is there stays as it is.
    """
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            existed = file.exists()
            with file.open("ab"):
                pass
            if not existed:
                file.unlink()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{file} cannot be written ({reason}); give another path, or mend this one.") from None


def folder_note() -> str:
    """Return "" in the project's folder; elsewhere which folder a name was looked up in, as a part of a sentence."""
    return "" if Path.cwd() == ROOT else f" in {Path.cwd()} (the project is in {ROOT})"


def require_data_file(path: str | Path) -> None:
    """Raise UserError where a file of DATA_PATH is none."""
    if not Path(path).exists():
        raise UserError(
            f"data file {path} does not exist{folder_note()}; give the path of a JSONL file with `--data-path`, or "
            "build the demo set with `make data`."
        )
    if Path(path).is_dir():
        raise UserError(
            f"DATA_PATH {path} is a folder; give a JSONL file with `--data-path`. `python -m corpus.build_dataset "
            f"--sources {quote(str(path))} --output data/drawings.jsonl` makes one of .svg files."
        )


def data_files(data_path: list[str]) -> list[tuple[Path, float]]:
    """Return the files of DATA_PATH, each with its weight: of "edits.jsonl:0.5" half of the samples, of others all.

    Raises UserError where there are none, and for a weight that is not above 0 and at most 1.
    """
    if not data_path:
        raise UserError("DATA_PATH is empty; give a JSONL file, or several, with `--data-path`.")
    found = []
    for entry in data_path:
        file, weight = split_weight(entry)
        share = float(weight[1:] or 1)
        if not 0 < share <= 1:
            raise UserError(f"DATA_PATH {entry}: the weight of a file is above 0 and at most 1, not {weight[1:]}.")
        found.append((Path(file), share))
    return found


def split_weight(entry: str) -> tuple[str, str]:
    """Return of an entry of DATA_PATH the file and, colon and all, its weight: ("edits.jsonl", ":0.5"); "" = none."""
    file, colon, weight = entry.rpartition(":")
    try:
        float(weight)
    except ValueError:
        return entry, ""
    return (file, colon + weight) if file else (entry, "")


def require_data_files(data_path: list[str]) -> None:
    """Raise UserError for a file of DATA_PATH that is none, or for a wrong weight: said before seconds of imports."""
    for file, _ in data_files(data_path):
        require_data_file(file)


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises UserError where there is no JSON to read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); is {path.parent} the folder of a run?") from None


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
