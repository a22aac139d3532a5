"""Does a drawing look like its description? Cosine of picture and text in CLIP or SigLIP, 0 where it is negative.

Reads   FILES, and DESCRIPTION or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.text_match drawing.svg --description "a red fox in the snow"

The description is read as it is, cut to the model's length, its end token kept. Times 2.5 it is CLIPScore (Hessel et
al. 2021), which was measured with this CLIP and has "A photo depicts" before each text; drawings are no photos, and
here it is left out. Other protocols' forms are in benchmark.py's profiles. Cosines are small: pictures with their own
captions have 0.25 to 0.35 or so, with others' 0.1 to 0.2.
"""

from collections.abc import Sequence
from functools import partial

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import UserError, run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
DESCRIPTION: str = ""  # of FILES that bring none themselves
MODEL: str = "openai/clip-vit-base-patch32"  # hub id or folder: CLIP, SigLIP (google/siglip2-base-patch16-224) …
BATCH_SIZE: PositiveInt = 32  # drawings looked at together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import torch
from huggingface_hub import try_to_load_from_cache
from PIL import Image

from qwen_svg.common.hub import hub_reachable
from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import score_files
from scoring.hub_model import PICTURE, load_pretrained, picture_directions
from scoring.icon_matching.matcher import matchers_trained
from scoring.icon_matching.words import words_folder
from scoring.pictures import picture


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return the cosine for each, in [0, 1]; 0 where a drawing does not render."""
    require(candidates, "description")

    def see(candidate: Candidate) -> tuple[Image.Image, str] | None:
        drawn = picture(candidate.svg, PICTURE)
        return drawn and (drawn, candidate.description)

    def cosines(seen: list) -> list[float]:
        pictures, texts = map(list, zip(*seen, strict=True))
        cosine = (text_directions(model, texts) * picture_directions(model, pictures)).sum(dim=1)
        return cosine.clamp(0, 1).tolist()

    return in_batches(candidates, batch_size, see, cosines, "text_match")


def needs_stand_in() -> bool:
    """Is there no CLIP to be had, neither from the hub nor from its cache, and is there what icon_match needs?"""
    cached = isinstance(try_to_load_from_cache(MODEL, "config.json"), str)
    return not cached and words_folder() is not None and matchers_trained() and not hub_reachable()


def text_directions(model: str, texts: list[str]) -> torch.Tensor:
    """Return what the model makes of texts: float32 (N, D), of length 1. Raises UserError for one that reads none."""
    loaded, processor = load_pretrained("AutoModel", model)
    if not hasattr(loaded, "get_text_features"):
        raise UserError(f"MODEL {model} reads no text; give a CLIP or SigLIP model.")
    inputs = processor.tokenizer(
        texts,
        padding="max_length",  # as SigLIP was trained; CLIP masks it
        max_length=loaded.config.text_config.max_position_embeddings,
        truncation=True,
        return_tensors="pt",
    ).to(loaded.device)
    with torch.inference_mode():
        made = loaded.get_text_features(**inputs)
    return torch.nn.functional.normalize(made.pooler_output.float(), dim=-1)


if __name__ == "__main__":
    run(partial(score_files, score), c)
