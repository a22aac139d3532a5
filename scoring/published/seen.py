"""What a measure sees of a benchmark's drawings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qwen_svg.common.errors import UserError


@dataclass(frozen=True)
class Seen:
    """Aligned: a prompt, its drawing, its reference. Pictures are RGB, as the profile renders them."""

    texts: Sequence[str]
    pictures: Sequence[Image.Image]
    svgs: Sequence[str]  # "" where there is none
    references: Sequence[Image.Image | None]
    reference_svgs: Sequence[str]
    reference_fault: str  # why not every prompt has a reference; "" where all have
    pool: Sequence[Path]  # pictures that a distance of sets is taken to; none = the references

    def __len__(self) -> int:
        return len(self.texts)

    def require_references(self) -> None:
        if self.reference_fault:
            raise UserError(self.reference_fault)


def batches(*sides: Sequence, size: int = 32) -> Iterator[tuple[list, ...]]:
    """Yield aligned sequences a batch at a time."""
    for first in range(0, len(sides[0]), size):
        yield tuple(list(side[first : first + size]) for side in sides)
