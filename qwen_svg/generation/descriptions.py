"""Descriptions to draw: one that was typed, or a file of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qwen_svg.common.constants import MOST_CHARACTERS
from qwen_svg.common.dataset import is_unicode
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import description_key
from qwen_svg.common.tables import Row, rows, text_in

KINDS = (".txt", ".jsonl", ".csv")


class Asked(NamedTuple):
    id: str
    description: str


def checked(text: str) -> str:
    """Return a description without the white space around it; UserError where nothing, or no text, is left."""
    if not description_key(text):
        raise UserError("the description is empty; say in a few words what to draw.")
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"the description has {len(text):,} characters, more than {MOST_CHARACTERS:,}; shorten it.")
    if not is_unicode(text):
        raise UserError("the description holds bytes that are not UTF-8; type it in a UTF-8 terminal.")
    return text.strip()


def read_descriptions(path: Path) -> tuple[list[Asked], list[str]]:
    """Return the descriptions of a file, and one sentence for each row that has none.

    path: .txt with one to a line; .jsonl or .csv with `description` and, if wanted, `id` (else the row's number).
    Raises UserError for another kind of file, one that cannot be read, and one without a description.
    """
    if path.suffix not in KINDS:
        raise UserError(f"INPUT {path} is none of {', '.join(KINDS)}.")
    if not path.is_file():
        raise UserError(f"INPUT {path} does not exist; give a file of descriptions with `--input`.")
    found: dict[str, str] = {}
    faults = []
    for number, row in enumerate(_lines(path) if path.suffix == ".txt" else rows(str(path)), 1):
        if path.suffix == ".jsonl":  # each row has columns of its own
            row = row._replace(seen=("description",))
        text, fault = text_in(row, "description")
        id = str(row.values.get("id") or number)
        if not fault and not is_unicode(text + id):
            fault = "not UTF-8"
        elif not fault and not description_key(text):
            fault = "no text in 'description'"
        elif not fault and len(text) > MOST_CHARACTERS:
            fault = f"the description has {len(text):,} characters, more than {MOST_CHARACTERS:,}"
        elif not fault and id in found:
            fault = f"id {id!r} was used before"
        if fault:
            faults.append(f"{row.place}: {fault}")
        else:
            found[id] = text.strip()
    if not found:
        first = f" (first fault: {faults[0]})" if faults else ""
        raise UserError(f"INPUT {path} holds no description{first}.")
    return [Asked(*one) for one in found.items()], faults


def _lines(path: Path) -> Iterator[Row]:
    """Yield the lines that are not empty; the numbers of ids are theirs among these."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UserError(f"INPUT {path} cannot be read ({error.strerror}).") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield Row(f"{path}:{number}", {"description": line})
