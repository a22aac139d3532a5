"""Which labels of icons are things, that one can say "a" before: "shopping cart" is one, "zoom in" is not."""

import re
from collections.abc import Iterable

# The last words of emoji labels that are no things, or of which there is no "a".
NO_THINGS = frozenset(
    "left right up down off on out in top bottom plus minus check cross mark button end back soon free cool new ok up "
    "water rain snow fog wind rice bread corn money music luggage clothing furniture rugby chess tennis golf medium "
    "broccoli garlic butter salt sand fire cash hair skin tears wine tea milk beer food weather gold light divide "
    "input symbol hand-drawn night day ice beef pork meat bacon cheese honey dark air fun zodiac weight".split()
)


def things_of(labels: Iterable[str]) -> set[str]:
    """Return the last words of emoji labels: what people draw as pictures are things, mostly."""
    return {label.split()[-1] for label in labels if ":" not in label and label.isascii() and label.islower()}


def is_thing(label: str, things: set[str]) -> bool:
    """Can the label follow "a"? Plurals, masses, actions and codes cannot. In doubt it is said to be none."""
    words = label.split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is", "lens"))
    return bool(
        re.fullmatch(r"[a-z' -]{3,}", label)
        and words[-1] in things - NO_THINGS
        and not plural
        and not words[-1].endswith(("ing", "ed", "men", "women", "people", "children"))
        and not {"with", "of", "and", "in", "for", "or", "no"} & set(words)
    )
