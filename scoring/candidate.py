"""What is scored: an answer, with the description it answers and the drawing it should resemble, where known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError


@dataclass(frozen=True)
class Candidate:
    """As in the evaluation of translations: a candidate is held against a reference."""

    answer: str  # as the model wrote it, or an SVG alone
    description: str = ""  # what was to be drawn
    reference: str = ""  # an answer or an SVG that shows it

    @cached_property
    def svg(self) -> str | None:
        return extract_svg(self.answer)


def require(candidates: Sequence[Candidate], field: str) -> None:
    """Raise UserError where a candidate lacks its "description" or its "reference"."""
    if not all(getattr(candidate, field) for candidate in candidates):
        raise UserError(f"this score needs a {field} for every drawing; add a column {field!r}, or `--{field}`.")


def read_candidates(files: list[str], description: str = "", reference: str = "") -> list[tuple[str, Candidate]]:
    """Return (name, candidate) for each drawing of .svg files and tables (svg_content, description, reference).

    description, reference (the path of an SVG): for those that bring none. Raises UserError for a file or a row that
    cannot be read, naming it, and where there is nothing to score.
    """
    from qwen_svg.common.tables import is_table, rows, text_in

    ideal = _reference(reference) if reference else ""
    found = []
    for file in files:
        if not is_table(file):
            found.append((file, Candidate(_text(file), description, ideal)))
            continue
        for row in rows(file):
            answer, fault = text_in(row, "svg_content")
            if fault:
                raise UserError(f"{row.place}: {fault}.")
            values = (str(row.values.get(name) or given) for name, given in
                      (("description", description), ("reference", ideal)))  # fmt: skip
            found.append((str(row.values.get("id") or row.place), Candidate(answer, *values)))
    if not found:
        what = f"{', '.join(files)} holds no drawing" if files else "there is nothing to score"
        raise UserError(f"{what}; name .svg files, or tables with a column svg_content.")
    return found


def _reference(file: str) -> str:
    """All drawings are held against it: one that shows nothing would make all scores 0."""
    from scoring.render import png

    text = _text(file)
    if not file.endswith(".svg") or not png(extract_svg(text)):
        raise UserError(f"REFERENCE {file} is no .svg that renders; give the drawing that FILES should be like.")
    return text


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{file} cannot be read ({reason}); name .svg files, or tables with svg_content.") from None
