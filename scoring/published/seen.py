"""What a measure sees of a benchmark's drawings."""

from collections.abc import Sequence
from dataclasses import dataclass

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

    def __len__(self) -> int:
        return len(self.texts)

    def require_references(self) -> None:
        if self.reference_fault:
            raise UserError(self.reference_fault)
