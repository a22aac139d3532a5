"""The scores by name, as `evaluate_test.py --scores`, `generate.py --score` and others are given them."""

import importlib
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from inspect import signature

from qwen_svg.common.errors import UserError

SCORES = (
    "aesthetics", "competition", "composition", "dino", "legality", "ocr", "perplexity", "render", "similarity",
    "text_match", "vqa"
)  # fmt: skip
NEED_REFERENCE = ("dino", "similarity")


def find_scores(asked: list[str], drawn_by: str = "") -> dict[str, Callable[..., list[float]]]:
    """Return the score functions by name. Raises UserError as find_score, and where a name is there twice."""
    found: dict[str, Callable[..., list[float]]] = {}
    for one in asked:
        name, score = find_score(one, drawn_by=drawn_by)
        if name in found:
            raise UserError(f"score {name!r} is asked for twice, and the report has room for one; run again for {one}.")
        found[name] = score
    return found


def find_score(asked: str, references: bool = True, drawn_by: str = "") -> tuple[str, Callable[..., list[float]]]:
    """Return (name, score function) of NAME or NAME=MODEL.

    references: does what will be scored have any? drawn_by: the model that drew it, for a score that has no model of
    its own. Raises UserError where there is no such score, or it needs references.
    """
    name, given, model = asked.partition("=")
    if name not in SCORES:
        nearest = get_close_matches(name, SCORES, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(SCORES)}."
        raise UserError(f"there is no score {name!r}; {hint}")
    if name in NEED_REFERENCE and not references:
        raise UserError(f"score {name!r} needs a reference, and new drawings have none; take text_match or vqa.")
    score = importlib.import_module(f"scoring.{name}").score
    parameter = signature(score).parameters.get("model")
    if given and not (parameter and model):
        fault = "has no model behind the '='" if parameter else "takes no model"
        raise UserError(f"score {name!r} {fault}; ask for it without {given + model!r}.")
    if parameter and not parameter.default:
        model = model or drawn_by
    return name, partial(score, model=model) if model else score
