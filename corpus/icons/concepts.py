"""What drawings of several sets have in common: the thing they show. It is their group, which no split separates.

A concept is what a label says without colour, style, direction, frame and addition: "heart plus", "hearts" and "red
heart" are all the heart. Names that one set gives to one icon ("account", "user") make one concept of two.
"""

import re
from collections.abc import Iterable

from corpus.icons.vocabulary import COLOURS, SCRAP, STYLE_WORDS, singular
from qwen_svg.common.union_find import UnionFind

# Looked past while another word is left: names of sets that have a "heart-plus", a "heart-circle" …
WHERE = frozenset("left right up down top bottom upper lower north south east west forward back backward out".split())
FRAMES = frozenset("circle square rounded round rectangle box hexagon octagon pentagon rhombus badge button".split())
STATES = frozenset(
    "plus minus check checked x off on slash slashed add remove cancel edit alert exclamation question mark pause play "
    "stop share search settings setting cog bolt code dollar lock locked unlock unlocked download upload refresh sync "
    "sparkle ai multiple single small large big medium half full empty low high open opened closed close broken cross "
    "crossed simple mini light dark dot double with of the a an and in for wand info help move copy smart new old "
    "outgoing incoming sign letter number".split()
)
ADDED = frozenset("heart star pin key eye clock time user person".split())  # also drawn small beside others
PEOPLE = frozenset("woman man person women men people boy girl child adult".split())
GENERAL = SCRAP | STYLE_WORDS | COLOURS | FRAMES | WHERE | STATES | ADDED | PEOPLE | {"account", "text", "format"}
LAYERS = (SCRAP | STYLE_WORDS, COLOURS, FRAMES, WHERE, STATES, PEOPLE)


def concept(label: str) -> str:
    """Return the concept of a label: its words, less those looked past, in the order of the alphabet."""
    words = [singular(word) for word in re.findall(r"[a-z]+", label.lower())]
    if not words:
        return label.strip().lower()
    for layer in LAYERS:
        words = [word for word in words if word not in layer] or words
    words = [word for word in words if word not in ADDED] or words[:1]
    return " ".join(sorted(set(words)))


def _says_what(concept: str) -> bool:
    """Is it a thing, and not a letter, a number or an addition, by which all things would be one?"""
    words = concept.split()
    return max(map(len, words)) > 2 and not GENERAL.issuperset(words)


class Concepts:
    """Concepts of many drawings, where other names of the same drawing make one of several."""

    def __init__(self) -> None:
        self._labels: set[str] = set()
        self._others: list[tuple[str, str]] = []
        self._sets: UnionFind | None = None

    def add(self, label: str, others: Iterable[str] = ()) -> None:
        """Take a drawing's label, and what else it is called; that counts where some drawing has it as its label."""
        own = concept(label)
        self._labels.add(own)
        self._others += [(own, other) for other in map(concept, others) if _says_what(own) and _says_what(other)]

    def of(self, label: str) -> str:
        """Return the group of a drawing with this label. All drawings have been added by now."""
        if self._sets is None:
            self._sets = UnionFind()
            for own, other in self._others:
                if other in self._labels:
                    self._sets.join(*sorted((own, other)))
        return f"concept:{self._sets.find(concept(label))}"
