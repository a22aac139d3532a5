"""Prompts of a benchmark, in the forms that they are published in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from prompt_template import REPAIR, extract_svg, task_of
from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import Row, is_table, rows

TEXT = ("description", "desc", "prompt", "caption", "text", "question")  # columns, the first that is there
REFERENCE = ("reference", "svg_content", "svg", "answer")  # "svg" beside another of them is what is to be changed
ID = ("id", "filename", "image")  # of the last two: the name without its folder and ending


@dataclass(frozen=True)
class Prompt:
    id: str
    text: str
    reference: str = ""  # an SVG that shows it; "" where the set has none
    svg: str | None = None  # of an edit or a repair: the drawing as it is
    task: str = "draw"  # or "edit", "repair"


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
    row = row._replace(values=_of_svgenius(row.values))
    name = next((name for name in TEXT if name in row.values), None)
    if name is None:
        columns = ", ".join(map(str, row.values))[:200] or "none"
        raise UserError(f"{row.place}: none of the columns {', '.join(TEXT)}, but {columns}.")
    text = row.values[name]
    if isinstance(text, list) and len(text) == 1:  # SVGenius has its question in a list
        (text,) = text
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{row.place}: no text in {name!r}; mend or remove the row.")
    found = {name: one for name in REFERENCE if isinstance(one := row.values.get(name), str) and "<svg" in one}
    reference = next(iter(found.values()), "")
    reference = extract_svg(reference) or reference  # svg_content has a reasoning before it
    svg = row.values.get("svg") if "task" in row.values or len(found) > 1 else None
    try:
        task = task_of(svg, row.values.get("task"))
    except ValueError as error:
        raise UserError(f"{row.place}: {error}; mend or remove the row.") from None
    return Prompt(_id(row, number), text.strip(), "" if reference == svg else reference, svg, task)


def _of_svgenius(values: dict) -> dict:
    """Return a row of its sets bug_fixion and style_editing under the names that are used here, others as they are."""
    if "bug_svg" in values:
        named = {"filename": values.get("svg_path"), "reference": values.get("ground_truth"), "svg": values["bug_svg"]}
        return named | {"description": REPAIR, "task": "repair"}
    (name, inner), *others = values.items() or [("", None)]
    if others or not isinstance(inner, dict) or not {"command", "original"} <= inner.keys():
        return values
    named = {"filename": name, "reference": inner.get("modified"), "svg": inner["original"]}
    return named | {"description": inner["command"], "task": "edit"}


def _id(row: Row, number: int) -> str:
    """Return the row's id, or the name of its picture, or its number in the file."""
    name = next((name for name in ID if row.values.get(name) not in (None, "")), None)
    if name is None:
        return str(number)
    return str(row.values[name]) if name == "id" else PurePosixPath(str(row.values[name])).stem
