"""The scores by name, as `evaluate_test.py --scores`, `generate.py --score` and others are given them."""

import importlib
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from inspect import signature

from common.errors import UserError

SCORES = (
    "aesthetics", "competition", "dino", "legality", "ocr", "perplexity", "render", "similarity", "text_match", "vqa"
)  # fmt: skip
NEED_REFERENCE = ("dino", "similarity")


def find_score(asked: str, references: bool = True) -> tuple[str, Callable[..., list[float]]]:
    """Return (name, score function) of NAME or NAME=MODEL.

    references: does what will be scored have any? Raises UserError where there is no such score, or it needs them.
    """
    name, given, model = asked.partition("=")
    if name not in SCORES:
        nearest = get_close_matches(name, SCORES, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(SCORES)}."
        raise UserError(f"there is no score {name!r}; {hint}")
    if name in NEED_REFERENCE and not references:
        raise UserError(f"score {name!r} needs a reference, and new drawings have none; take text_match or vqa.")
    score = importlib.import_module(f"scoring.{name}").score
    if given and "model" not in signature(score).parameters:
        raise UserError(f"score {name!r} takes no model; ask for it without {given + model!r}.")
    return name, partial(score, model=model) if given else score
