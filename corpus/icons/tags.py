"""What an icon is about, in the words of people: tags, other names, categories; and whether it is a trademark."""

import re
import zlib

from corpus.icons.names import label_of_name
from corpus.icons.vocabulary import COLOURS, STYLE_WORDS, singular
from corpus.icons.written import Written

MOST_TAGS, LONGEST_TAG = 5, 24  # tags, characters
SEVERAL = r" ?[/&+] ?|(?<=[a-z])(?=[A-Z])"  # between categories in one: "Food & Drink", "FoodDrink"
NOT_TAGS = frozenset(
    "new other others unknown misc general system icon extras unicode openmoji base parts basic ily tbt bae bro "
    "interface essential sign symbol pictogram".split()
)
BRANDS = frozenset(("brand", "brands", "brand / logo", "logos", "socialmedia", "social media"))


def tags_of(written: Written, label: str) -> tuple[str, ...]:
    """Return up to MOST_TAGS tags that say more than the label, in the order they were written; categories last.

    Left out: codes ("dhis2:war"), styles, what is not English words, and what the label says already.
    """
    said = set(_words(label))
    tags: list[str] = []
    aliases = [label_of_name(alias) for alias in written.aliases if "-outline" not in alias]
    categories = [part for category in written.categories for part in re.split(SEVERAL, category)]
    for tag in (*aliases, *written.tags, *([] if written.emoji else categories)):
        tag = " ".join(tag.replace("-", " ").replace("_", " ").lower().split())
        words = _words(tag)
        if _is_said(tag) and not words & (STYLE_WORDS | COLOURS) and not words <= said:
            tags.append(tag)
            said |= words
    if written.emoji:  # whose tags are in the order of the alphabet, which is no reason to take the first ones
        tags.sort(key=lambda tag: zlib.crc32(f"{label} {tag}".encode()))
    return tuple(tags[:MOST_TAGS])


def _is_said(tag: str) -> bool:
    return len(tag) <= LONGEST_TAG and bool(re.fullmatch(r"[a-z][a-z ']+[a-z]", tag)) and tag not in NOT_TAGS


def _words(text: str) -> set[str]:
    return {singular(word) for word in re.findall(r"[a-z']+", text.lower())}


def is_brand(name: str, written: Written) -> bool:
    """Trademarks cannot be guessed from their names, and are not ours to teach."""
    categories = {category.lower() for category in written.categories}
    return bool(categories & BRANDS) or name.startswith("brand-") or bool(re.search(r"-logo(-|$)", name))
