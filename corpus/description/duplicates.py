"""Descriptions that say the same as one that is there, in other order, with other articles, in a plural."""

import re

from rapidfuzz import fuzz, process

# Of 100. Of the 876 descriptions the project began with, 84 are that close to an earlier one ("charcoal grey suit
# tailored professional elegance"); from 80 on, different things are taken for the same ("crimson dress", "… rose").
NEAR = 85
_ARTICLES = {"a", "an", "the"}


class Known:
    """All descriptions so far. A comparison takes about 0.1 µs: a thousandth of a second against 10,000."""

    def __init__(self) -> None:
        self.exact: set[str] = set()
        self.keys: list[str] = []  # rapidfuzz compares with them all at once

    def add(self, description: str) -> str:
        """Remember it and return "", or return why not."""
        words = re.findall(r"[^\W_]+", description.lower())
        key = " ".join(sorted(word for word in words if word not in _ARTICLES))
        if key in self.exact:
            return "said already"
        if process.extractOne(key, self.keys, scorer=fuzz.ratio, score_cutoff=NEAR):
            return "nearly said already"
        self.exact.add(key)
        self.keys.append(key)
        return ""
