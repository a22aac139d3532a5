"""What is scored: an answer, with the description it answers and the drawing it should resemble, where known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
