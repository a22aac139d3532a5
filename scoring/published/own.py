"""This project's own scores as measures."""

import importlib

from qwen_svg.common.errors import UserError
from scoring.candidate import Candidate
from scoring.composition import claims_of
from scoring.icon_matching.matcher import matchers_trained
from scoring.published.seen import Seen
from scoring.scores import NEED_REFERENCE


def score(seen: Seen, *, name: str, model: str = "") -> list[float | None]:
    """Return a score of scoring/ for each drawing, which it renders itself.

    composition is None where no claim of a prompt can be read: it says nothing of that drawing. Raises UserError where
    the score lacks its references or its weights.
    """
    if name in NEED_REFERENCE:
        seen.require_references()
    if name == "icon_match" and not matchers_trained():
        raise UserError("its weights are not here; `make icons` and `python -m scoring.train_icon_match` make them")
    if name == "composition":
        return [_share(text, svg) for text, svg in zip(seen.texts, seen.svgs, strict=True)]
    drawings = zip(seen.svgs, seen.texts, seen.reference_svgs, strict=True)
    module = importlib.import_module(f"scoring.{name}")
    return module.score([Candidate(*drawing) for drawing in drawings], **({"model": model} if model else {}))


def _share(text: str, svg: str) -> float | None:
    claims = claims_of(text, svg)
    return sum(claim.holds for claim in claims) / len(claims) if claims else None
