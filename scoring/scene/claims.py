"""What a description claims: read word by word with a fixed vocabulary, and what of it could not be read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from scoring.scene.vocabulary import EMPTY, Meaning, vocabulary

LONGEST = max(map(len, vocabulary()))  # words of a phrase
_WORDS = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*|,")


@dataclass
class Phrase:
    """A thing that is named, and what is said of it; "" and 1 where nothing is."""

    thing: str
    colour: str = ""  # a CSS name
    size: str = ""
    count: int = 1
    place: str = ""


@dataclass
class Claims:
    phrases: list[Phrase] = field(default_factory=list)
    relations: list[tuple[int, str, tuple[int, ...]]] = field(default_factory=list)  # phrases by number
    background: str = ""  # a CSS name
    ground: str = ""
    ground_colour: str = ""
    time: str = ""
    unread: list[str] = field(default_factory=list)  # words that follow each other and mean nothing here


class _Reader:
    """Takes one phrase of the vocabulary after the other."""

    def __init__(self) -> None:
        self.claims = Claims()
        self.colour = self.size = ""
        self.number = 1
        self.relation = ""  # between the last thing and the next one
        self.on = False  # what comes is what everything is on
        self.between_open = False  # the second of the two things it is between is still to come

    def take(self, kind: str, value: str) -> None:
        getattr(self, f"_{kind.replace(' ', '_')}")(value)

    def _thing(self, value: str) -> None:
        phrases = self.claims.phrases
        phrases.append(Phrase(value, self.colour, self.size, self.number))
        here = len(phrases) - 1
        if self.relation and here:
            self.claims.relations.append((here - 1, self.relation, (here,)))
        elif self.claims.relations and self.between_open:
            a, _, others = self.claims.relations[-1]
            self.claims.relations[-1] = (a, "between", (*others, here))
        self.between_open = self.relation == "between"
        self.relation = ""
        self._forget()

    def _forget(self) -> None:
        self.colour, self.size, self.number, self.on = "", "", 1, False

    def _color(self, value: str) -> None:
        self.colour = value

    def _size(self, value: str) -> None:
        self.size = value

    def _number(self, value: str) -> None:
        self.number = int(value)

    def _relation(self, value: str) -> None:
        self.relation, self.on = value, value == "on"
        self.between_open = False

    def _middle_of(self, _: str) -> None:
        self.relation = "inside"

    def _reversed(self, value: str) -> None:
        """ "B with A to its left": the relation of the last thing to the one before."""
        here = len(self.claims.phrases) - 1
        if here > 0:
            self.claims.relations.append((here, value, (here - 1,)))

    def _place(self, value: str) -> None:
        if self.claims.phrases:
            self.claims.phrases[-1].place = value

    def _on(self, _: str) -> None:
        self.on = True

    def _background(self, _: str) -> None:
        self.claims.background = self.colour or self.claims.background
        self.relation = ""
        self._forget()

    def _ground(self, value: str) -> None:
        self.claims.ground, self.claims.ground_colour = value, self.colour
        self.relation = ""
        self._forget()

    def _time(self, value: str) -> None:
        self.claims.time = value
        self.relation = ""

    def _comma(self, _: str) -> None:
        if self.on and self.colour:  # "on navy, a red circle"
            self._background("")

    def _and(self, _: str) -> None:
        self._comma("")

    def _with(self, _: str) -> None:
        self._comma("")

    def _article(self, _: str) -> None:
        pass

    def _unknown(self, _: str) -> None:
        """What was said before it was said of something that is not known."""
        self.relation = ""
        self._forget()


def read_claims(description: str) -> Claims:
    """Read what a description says of things and of what is around them."""
    reader = _Reader()
    for meaning in _meanings(description, reader.claims.unread):
        reader.take(*meaning)
    reader.take("comma", "")
    return reader.claims


def _meanings(description: str, unread: list[str]) -> Iterator[Meaning]:
    """Yield what the description's phrases mean, the longest ones first; append what means nothing to `unread`."""
    words = _WORDS.findall(description.lower())
    known, i, open_run = vocabulary(), 0, False
    while i < len(words):
        for n in range(min(LONGEST, len(words) - i), 0, -1):
            if meaning := known.get(tuple(words[i : i + n])):
                yield meaning
                i, open_run = i + n, False
                break
        else:
            if words[i] not in EMPTY:
                yield "unknown", ""
                if open_run:
                    unread[-1] += f" {words[i]}"
                else:
                    unread.append(words[i])
                open_run = True
            else:
                open_run = False
            i += 1
