"""Does a model that looks at the drawing say yes to what the description says? The mean over several questions.

Reads   FILES, and DESCRIPTION or the tables' column of that name. Writes a line for each drawing to the terminal.

    python -m scoring.vqa drawing.svg --description "a red fox in the snow"

As TIFA (Hu et al. 2023): a description becomes questions, and the score is how much of them the picture answers. Here
they are made by rule (the whole, then each part of it), all expect yes, and each counts by the probability of that
answer, P(yes) / (P(yes) + P(no)), as the public "Drawing with LLMs" competition counts PaliGemma 2's answers. Its own
questions are multiple choice, answered with a letter; those of its test set are not public.
"""

import re
from collections.abc import Sequence
from functools import lru_cache, partial

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import UserError, run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
DESCRIPTION: str = ""  # of FILES that bring none themselves
MODEL: str = "google/paligemma2-3b-mix-448"  # hub id or folder; the competition's is google/paligemma2-10b-mix-448
BATCH_SIZE: PositiveInt = 8  # questions asked together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import torch
from PIL import Image

from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import score_files
from scoring.hub_model import PICTURE, load_pretrained
from scoring.pictures import picture

KIND = "AutoModelForImageTextToText"
# Where a description falls into parts; "of" and "for" hold together what they join.
JOINTS = (
    "above across against alongside amid among and around at atop before behind below beneath beside between beyond by "
    "containing encircled featuring from in inside into near next on onto over resting showing surrounded through "
    "to toward towards under underneath with within"
)
_PART = re.compile(rf"[,;:.()]+|(?<![\w-])(?:{'|'.join(JOINTS.split())})(?![\w-])", re.IGNORECASE)


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return the mean probability of yes for each, in [0, 1]; 0 where a drawing does not render."""
    require(candidates, "description")

    def see(candidate: Candidate) -> list[tuple[Image.Image, str]] | None:
        drawn = picture(candidate.svg, PICTURE)
        return drawn and [(drawn, question) for question in questions(candidate.description)]

    def means(seen: list) -> list[float]:
        asked = [one for several in seen for one in several]
        parts = range(0, len(asked), batch_size)
        answers = iter([p for start in parts for p in yes_probabilities(model, asked[start : start + batch_size])])
        return [sum(next(answers) for _ in several) / len(several) for several in seen]

    return in_batches(candidates, batch_size, see, means, "vqa")


def questions(description: str) -> list[str]:
    """Return one question for the whole and, where it has several parts, one for each."""
    whole = description.strip().rstrip(".")
    parts = [part.strip() for part in _PART.split(whole) if part.strip()]
    return [f"Does the picture show {what}?" for what in dict.fromkeys([whole, *parts])]


def yes_probabilities(model: str, asked: list[tuple[Image.Image, str]]) -> list[float]:
    """Return P(yes) / (P(yes) + P(no)) of the first word of the answer to each (picture, question)."""
    loaded, processor = load_pretrained(KIND, model)
    yes, no = answer_tokens(model)
    processor.tokenizer.padding_side = "left"  # the answer begins behind the last position
    inputs = processor(
        images=[[picture] for picture, _ in asked],
        text=[f"<image>answer en {question}" for _, question in asked],
        padding="longest",
        return_tensors="pt",
    ).to(loaded.device, loaded.dtype)
    inputs.pop("labels", None)
    with torch.inference_mode():
        logits = loaded(**inputs, logits_to_keep=1).logits[:, -1].float()
    return logits[:, [*yes, *no]].softmax(dim=1)[:, : len(yes)].sum(dim=1).tolist()


@lru_cache(4)
def answer_tokens(model: str) -> tuple[list[int], list[int]]:
    """Return the tokens that say yes and those that say no, with and without a space before them."""
    loaded, processor = load_pretrained(KIND, model)
    if loaded.config.model_type != "paligemma":
        raise UserError(f"MODEL {model} is a {loaded.config.model_type}; give a PaliGemma, whose prompts these are.")
    found = []
    for word in ("yes", "no"):
        pieces = [processor.tokenizer.encode(text, add_special_tokens=False) for text in (word, f" {word}")]
        found.append(sorted({ids[0] for ids in pieces if len(ids) == 1}))
        if not found[-1]:
            raise UserError(f"MODEL {model} has no token for {word!r}; give a PaliGemma with its own tokenizer.")
    return found[0], found[1]


if __name__ == "__main__":
    run(partial(score_files, score), c)
