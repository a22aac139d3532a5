"""Prompts of a benchmark, in the forms that they are published in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import Row, is_table, rows

TEXT = ("description", "desc", "prompt", "caption", "text", "question")  # columns, the first that is there
REFERENCE = ("reference", "svg_content", "svg", "answer")
ID = ("id", "filename", "image")  # of the last two: the name without its folder and ending


@dataclass(frozen=True)
class Prompt:
    id: str
    text: str
    reference: str = ""  # an SVG that shows it; "" where the set has none


def read_prompts(files: list[str], limit: int = 0) -> list[Prompt]:
    """Return the prompts of .json, .jsonl, .csv and other tables, and of .txt files with one to a line, in order.

    limit: take so many, the first ones; 0 = all. A benchmark's n is part of its figures, so a row without a prompt,
    or with the id of another one, is a UserError with file and line, and so is a file without any.
    """
    found: dict[str, Prompt] = {}
    for file in files:
        before = len(found)
        for number, row in enumerate(_rows(file), 1):
            prompt = _prompt(row, number)
            if prompt.id in found:
                raise UserError(f"{row.place}: id {prompt.id!r} was used before; give every prompt an id of its own.")
            found[prompt.id] = prompt
        if len(found) == before:
            raise UserError(f"PROMPTS {file} holds no prompt; give a file with a column description, or .txt lines.")
    return list(found.values())[: limit or None]


def _rows(file: str) -> Iterable[Row]:
    path = Path(file)
    if not path.is_file():
        raise UserError(f"PROMPTS {file} does not exist; give a .json, .jsonl, .csv or .txt file of prompts.")
    if path.suffix == ".txt":
        return _lines(path)
    if not is_table(path.name):
        raise UserError(f"PROMPTS {file} is none of .json, .jsonl, .csv, .parquet and .txt.")
    return rows(file)


def _lines(path: Path) -> Iterator[Row]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"PROMPTS {path} is not UTF-8; save it as UTF-8.") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield Row(f"{path}:{number}", {"text": line})


def _prompt(row: Row, number: int) -> Prompt:
    if row.fault:
        raise UserError(f"{row.place}: {row.fault}; mend or remove it.")
    name = next((name for name in TEXT if name in row.values), None)
    if name is None:
        columns = ", ".join(map(str, row.values))[:200] or "none"
        raise UserError(f"{row.place}: none of the columns {', '.join(TEXT)}, but {columns}.")
    text = row.values[name]
    if isinstance(text, list) and len(text) == 1:  # SVGenius has its question in a list
        (text,) = text
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{row.place}: no text in {name!r}; mend or remove the row.")
    references = (row.values.get(name) for name in REFERENCE)
    reference = next((one for one in references if isinstance(one, str) and "<svg" in one), "")
    return Prompt(_id(row, number), text.strip(), reference)


def _id(row: Row, number: int) -> str:
    """Return the row's id, or the name of its picture, or its number in the file."""
    name = next((name for name in ID if row.values.get(name) not in (None, "")), None)
    if name is None:
        return str(number)
    return str(row.values[name]) if name == "id" else PurePosixPath(str(row.values[name])).stem
