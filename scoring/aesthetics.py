"""Does it please? What people would say of the picture from 1 to 10, guessed by a linear head on CLIP ViT-L/14, / 10.

Reads   FILES. Writes a line for each drawing to the terminal.

    python -m scoring.aesthetics drawing.svg

The head is LAION's improved aesthetic predictor (sac+logos+ava1-l14-linearMSE: five layers without anything between
them, so linear), the one of the public "Drawing with LLMs" competition. LAION's first head (sa_0_4_vit_l_14_linear)
is read too.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import UserError, run

FILES: list[str] = []  # .svg files, folders of them, tables with a column svg_content; the flag may be left out
MODEL: str = "openai/clip-vit-large-patch14"  # hub id or folder: the CLIP that the head was trained on
HEAD: str = "ttj/sac-logos-ava1-l14-linearMSE"  # hub id, or a .safetensors or .pth file
BATCH_SIZE: PositiveInt = 32  # drawings looked at together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import torch
from huggingface_hub import hf_hub_download
from PIL import Image
from safetensors.torch import load_file

from qwen_svg.common.hub import hub_reachable
from scoring.batches import in_batches
from scoring.candidate import Candidate
from scoring.command import score_files
from scoring.hub_model import PICTURE, picture_directions, unavailable
from scoring.pictures import picture


def score(
    candidates: Sequence[Candidate], model: str = MODEL, head: str = HEAD, batch_size: int = BATCH_SIZE
) -> list[float]:
    """Return the guess for each, cut to [0, 1]; 0 where a drawing does not render."""

    def guesses(pictures: list[Image.Image]) -> list[float]:
        return (guess(pictures, model, head) / 10).clamp(0, 1).tolist()

    return in_batches(candidates, batch_size, lambda c: picture(c.svg, PICTURE), guesses, "aesthetics")


def guess(pictures: list[Image.Image], model: str = MODEL, head: str = HEAD) -> torch.Tensor:
    """Return what people would say of each picture, from 1 to 10 or so: float32 (N,)."""
    directions = picture_directions(model, pictures)
    for weight, bias in load_head(head):
        if weight.shape[1] != directions.shape[1]:
            raise UserError(f"HEAD {head} takes {weight.shape[1]} numbers, and MODEL {model} makes another count.")
        directions = directions @ weight.T.to(directions.device) + bias.to(directions.device)
    return directions[:, 0]


@lru_cache(1)
def load_head(head: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the layers (weight (out, in), bias (out,)) in order. Raises UserError where they cannot be loaded."""
    try:
        local = Path(head).is_file()
        file = head if local else hf_hub_download(head, "model.safetensors", local_files_only=not hub_reachable())
        state = load_file(file) if file.endswith(".safetensors") else torch.load(file, weights_only=True)
        weights = sorted((name for name in state if name.endswith("weight")), key=lambda n: [len(n), n])
        layers = [(state[name].float(), state[name.removesuffix("weight") + "bias"].float()) for name in weights]
    except Exception as error:  # the hub, safetensors and pickle each have their own
        raise unavailable(f"HEAD {head}", error, "`--head FILE`") from None
    sizes = [weight.shape for weight, _ in layers]
    joined = all(len(size) == 2 for size in sizes) and all(b[1] == a[0] for a, b in pairwise(sizes))
    if not layers or not joined or sizes[-1][0] != 1:
        raise UserError(f"HEAD {head} holds no linear layers that end in one number; give LAION's, or one like it.")
    return layers


if __name__ == "__main__":
    run(partial(score_files, score), c)
