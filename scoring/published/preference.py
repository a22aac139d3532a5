"""What people would prefer, guessed: LAION's aesthetic score, and HPS."""

from scoring.aesthetics import guess
from scoring.published.openclip import load_openclip
from scoring.published.seen import Seen, batches


def aesthetic(seen: Seen, *, model: str, head: str) -> list[float]:
    """Return LAION's guess for each, as it is: from 1 to 10 or so."""
    return [value for (pictures,) in batches(seen.pictures) for value in guess(pictures, model, head).tolist()]


def hps(seen: Seen, *, weights: str, model: str) -> list[float]:
    """Return the Human Preference Score of each: the cosine of picture and prompt in a CLIP trained on preferences.

    weights: a file, or REPOSITORY/FILE of the hub. model: whose words and sizes it has.
    v1: Wu et al. 2023, arXiv:2303.14420; v2: arXiv:2306.09341.
    """
    clip = load_openclip(weights, model)
    return [
        value
        for pictures, texts in batches(seen.pictures, seen.texts)
        for value in (clip.pictures(pictures) * clip.texts(texts)).sum(dim=1).tolist()
    ]
