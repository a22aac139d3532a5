"""Does a drawing show the same things as its reference? Cosine of the two pictures in DINOv2, 0 where it is negative.

Reads   FILES, and REFERENCE or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.dino drawing.svg --reference original.svg

DINOv2 (Oquab et al. 2023) sees parts and objects where scoring.similarity sees pixels. StarVector (Rodriguez et al.
2023) measures SVGs by it too, but compares means over all tokens, (cosine + 1) / 2; here the class tokens.
The model's processor cuts a sixteenth off each side: what is drawn there is not seen.
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import run

FILES: list[
    str
] = []  # .svg files, folders of them, tables with columns svg_content and reference; the flag may be left out
REFERENCE: str = ""  # .svg that FILES are held against, where they bring none themselves
MODEL: str = "facebook/dinov2-base"  # hub id or folder
BATCH_SIZE: PositiveInt = 32  # drawings looked at together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import score_files
from scoring.hub_model import PICTURE, picture_directions
from scoring.pictures import pair


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return the cosine for each, in [0, 1]; 0 where a drawing or its reference does not render."""
    require(candidates, "reference")

    def cosines(pairs: list) -> list[float]:
        drawings, references = (picture_directions(model, list(side)) for side in zip(*pairs, strict=True))
        return (drawings * references).sum(dim=1).clamp(0, 1).tolist()

    return in_batches(candidates, batch_size, lambda candidate: pair(candidate, PICTURE), cosines, "dino")


if __name__ == "__main__":
    run(partial(score_files, score), c)
