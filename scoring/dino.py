"""Does a drawing show the same things as its reference? (1 + cosine of the two pictures in DINOv2) / 2.

Reads   FILES, and REFERENCE or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.dino drawing.svg --reference original.svg

DINOv2 (Oquab et al. 2023) sees parts and objects where scoring.similarity sees pixels. As StarVector (Rodriguez et al.
2023), OmniSVG and InternSVG measure it: the means over all tokens are compared, the class token's among them, and what
is not alike has a half. The model's processor cuts a sixteenth off each side: what is drawn there is not seen.
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and reference; the flag may be left out
REFERENCE: str = ""  # .svg that FILES are held against, where they bring none themselves
MODEL: str = "facebook/dinov2-base"  # hub id or folder
BATCH_SIZE: PositiveInt = 32  # drawings looked at together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import torch
from PIL import Image

from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import score_files
from scoring.hub_model import PICTURE, load_pretrained
from scoring.pictures import pair


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return the likeness for each, in [0, 1]; 0 where a drawing or its reference does not render."""
    require(candidates, "reference")

    def compare(pairs: list) -> list[float]:
        return likeness(model, *map(list, zip(*pairs, strict=True)))

    return in_batches(candidates, batch_size, lambda candidate: pair(candidate, PICTURE), compare, "dino")


def likeness(model: str, pictures: list[Image.Image], others: list[Image.Image]) -> list[float]:
    """Return the likeness of each picture and the other of its place, in [0, 1]."""
    cosine = torch.nn.functional.cosine_similarity(token_means(model, pictures), token_means(model, others))
    return ((cosine + 1) / 2).clamp(0, 1).tolist()  # rounding may leave the cosine above 1


def token_means(model: str, pictures: list[Image.Image]) -> torch.Tensor:
    """Return the mean of the model's tokens for each picture: float32 (N, D)."""
    loaded, processor = load_pretrained("AutoModel", model)
    inputs = processor(images=pictures, return_tensors="pt").to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        return loaded(**inputs).last_hidden_state.float().mean(dim=1)


if __name__ == "__main__":
    run(partial(score_files, score), c)
