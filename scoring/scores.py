"""The scores by name, as `evaluate_test.py --scores`, `generate.py --score` and others are given them."""

import importlib
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from inspect import signature

from qwen_svg.common.errors import UserError

SCORES = (
    "aesthetics", "competition", "composition", "dino", "icon_match", "legality", "ocr", "perplexity", "render",
    "similarity", "text_match", "vqa"
)  # fmt: skip
NEED_REFERENCE = ("dino", "similarity")


def find_scores(asked: list[str], drawn_by: str = "") -> dict[str, Callable[..., list[float]]]:
    """Return the score functions by name, to report by. UserError as find_score, and for a name given twice."""
    found: dict[str, Callable[..., list[float]]] = {}
    for one in asked:
        name, score = find_score(one, drawn_by=drawn_by, use="report")
        if name in found:
            raise UserError(f"score {name!r} is asked for twice, and the report has room for one; run again for {one}.")
        found[name] = score
    return found


def find_score(
    asked: str, references: bool = True, drawn_by: str = "", use: str = "choose"
) -> tuple[str, Callable[..., list[float]]]:
    """Return (name, score function) of NAME or NAME=MODEL.

    references: does what will be scored have any? drawn_by: the model that drew it, for a score that has no model of
    its own. use: "choose" (or reward) or "report", for a score that has a judge for each. Where CLIP cannot be had,
    text_match is icon_match, and says so. Raises UserError where there is no such score, or it needs references.
    """
    name, given, model = asked.partition("=")
    if name not in SCORES:
        nearest = get_close_matches(name, SCORES, n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(SCORES)}."
        raise UserError(f"there is no score {name!r}; {hint}")
    if name in NEED_REFERENCE and not references:
        raise UserError(f"score {name!r} needs a reference, and new drawings have none; take text_match or vqa.")
    if asked == "text_match" and importlib.import_module("scoring.text_match").needs_stand_in():
        print("text_match: CLIP is not here and the hub cannot be reached; icon_match stands in, a probability.")
        name = "icon_match"
    score = importlib.import_module(f"scoring.{name}").score
    parameter = signature(score).parameters.get("model")
    if given and not (parameter and model):
        fault = "has no model behind the '='" if parameter else "takes no model"
        raise UserError(f"score {name!r} {fault}; ask for it without {given + model!r}.")
    if parameter and not parameter.default:
        model = model or drawn_by
    if "use" in signature(score).parameters:
        score = partial(score, use=use)
    return name, partial(score, model=model) if model else score
