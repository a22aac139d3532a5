"""Context-free grammars over text: written once, used two ways.

`to_lark` gives the text that a token-mask library compiles. `Automaton` follows an answer character by character and
knows the shortest text that completes it, which no such library tells: with it an answer is closed before its token
budget ends. Rules refer to each other by name; no rule may begin with itself.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Literal:
    text: str


@dataclass(frozen=True)
class Characters:
    ranges: tuple[tuple[str, str], ...]  # inclusive


@dataclass(frozen=True)
class Sequence:
    parts: tuple


@dataclass(frozen=True)
class Choice:
    options: tuple


@dataclass(frozen=True)
class Repeat:
    part: Any
    least: int
    most: int | None  # None = any number


@dataclass(frozen=True)
class Rule:
    name: str


def node(part: Any) -> Any:
    return Literal(part) if isinstance(part, str) else part


def sequence(*parts) -> Sequence:
    return Sequence(tuple(node(part) for part in parts))


def choice(*options) -> Choice:
    return Choice(tuple(node(option) for option in options))


def optional(*parts) -> Choice:
    return choice(sequence(*parts), "")


def characters(text: str) -> Characters:
    """`characters("a-z0-9_")`: as in a regular expression's class; a hyphen at the end is itself."""
    ranges, i = [], 0
    while i < len(text):
        if text[i + 1 : i + 2] == "-" and i + 2 < len(text):
            ranges.append((text[i], text[i + 2]))
            i += 3
        else:
            ranges.append((text[i], text[i]))
            i += 1
    return Characters(tuple(ranges))


Rules = dict[str, Any]


def to_lark(rules: Rules) -> str:
    """Return the rules in llguidance's dialect of Lark; the first rule is the start.

    A rule from which no recursive rule is reached becomes a terminal: one regular expression, which is faster.
    """
    first = next(iter(rules))
    terminals: set[str] = set()
    while new := {n for n, body in rules.items() if n not in terminals and n != first and names(body) <= terminals}:
        terminals |= new
    spelt = {name: name.replace("-", "_").upper() if name in terminals else name.replace("-", "_") for name in rules}
    lines = (f"{'start' if name == first else spelt[name]}: {_lark(body, spelt)}" for name, body in rules.items())
    return "\n".join(lines) + "\n"


def names(part: Any) -> set[str]:
    """The names of the rules a part refers to."""
    match part:
        case Rule(name):
            return {name}
        case Sequence(inner) | Choice(inner):
            return set().union(*map(names, inner))
        case Repeat(inner, _, _):
            return names(inner)
    return set()


def _lark(part: Any, spelt: dict[str, str]) -> str:
    match part:
        case Literal(text):
            return json.dumps(text, ensure_ascii=False)
        case Characters(ranges):
            ends = (dict.fromkeys(pair) for pair in ranges)
            return "/[" + "".join("-".join(map(_in_class, pair)) for pair in ends) + "]/"
        case Sequence(parts):
            return "(" + " ".join(_lark(p, spelt) for p in parts) + ")"
        case Choice(options):
            return "(" + " | ".join(_lark(o, spelt) for o in options) + ")"
        case Repeat(inner, least, most):
            return (
                f"{_lark(inner, spelt)}*" if (least, most) == (0, None) else f"{_lark(inner, spelt)}{{{least},{most}}}"
            )
        case Rule(name):
            return spelt[name]
    raise TypeError(part)


def _in_class(character: str) -> str:
    return {"\n": "\\n"}.get(character) or ("\\" + character if character in "\\/[]^-" else character)


# A thread is what a text still has to match: a stack of parts as nested pairs (part number, rest); None = nothing.
Thread = tuple | None
State = frozenset[Thread]


class Automaton:
    """Follows texts through a grammar. States are sets of threads; each step is computed once and remembered."""

    def __init__(self, rules: Rules, start: str = "root"):
        self.rules = rules
        self.parts: list[Any] = []
        self.numbers: dict[Any, int] = {}
        self.texts = _shortest_texts(rules)
        self.steps: dict[tuple[State, str], State] = {}
        self.completions: dict[State, str] = {}
        self.start = self._expand((self._number(Rule(start)), None))

    def advance(self, state: State, text: str) -> State:
        """Return the state behind `text`; an empty one when the grammar has no such text."""
        for character in text:
            key = (state, character)
            after = self.steps.get(key)
            if after is None:
                threads: set[Thread] = set()
                for thread in state:
                    if thread is not None and (rest := self._consume(thread, character)) is not False:
                        threads |= self._expand(rest)
                after = self.steps[key] = frozenset(threads)
            state = after
        return state

    def is_complete(self, state: State) -> bool:
        return None in state

    def completion(self, state: State) -> str:
        """Return the shortest text that completes what led to `state`; of several the last in the alphabet.

        Not the first of the set: its order is another in each process, and a seed gives the same answer in all. The
        last one has the larger numbers, with which there is more to see.
        """
        text = self.completions.get(state)
        if text is None:
            text = self.completions[state] = max(map(self._closing, state), key=lambda text: (-len(text), text))
        return text

    def _closing(self, thread: Thread) -> str:
        text = ""
        while thread is not None:
            text += _shortest(self.parts[thread[0]], self.texts)
            thread = thread[1]
        return text

    def _number(self, part: Any) -> int:
        """Number the parts: stacks of small integers hash fast, trees of parts do not."""
        number = self.numbers.get(part)
        if number is None:
            number = self.numbers[part] = len(self.parts)
            self.parts.append(part)
        return number

    def _consume(self, thread: tuple, character: str) -> Thread | bool:
        """Take one character off the thread's first part; False when it does not fit."""
        part, rest = self.parts[thread[0]], thread[1]
        if isinstance(part, Literal):
            if part.text[0] != character:
                return False
            return (self._number(Literal(part.text[1:])), rest) if len(part.text) > 1 else rest
        return rest if any(a <= character <= b for a, b in part.ranges) else False

    def _expand(self, thread: Thread) -> State:
        """Open a thread's first part until it is one that takes a character."""
        done: set[Thread] = set()
        todo = [thread]
        while todo:
            thread = todo.pop()
            if thread is None:
                done.add(None)
                continue
            part, rest = self.parts[thread[0]], thread[1]
            match part:
                case Literal(""):
                    todo.append(rest)
                case Literal() | Characters():
                    done.add(thread)
                case Sequence(parts):
                    for inner in reversed(parts):
                        rest = (self._number(inner), rest)
                    todo.append(rest)
                case Choice(options):
                    todo += [(self._number(option), rest) for option in options]
                case Repeat(inner, least, most):
                    if least == 0:
                        todo.append(rest)
                    if most != 0:
                        again = self._number(Repeat(inner, max(least - 1, 0), most and most - 1))
                        todo.append((self._number(inner), (again, rest)))
                case Rule(name):
                    todo.append((self._number(self.rules[name]), rest))
        return frozenset(done)


def _shortest_texts(rules: Rules) -> dict[str, str | None]:
    """Return the shortest text of each rule: a fixed point, reached in as many rounds as rules nest."""
    texts: dict[str, str | None] = dict.fromkeys(rules)
    while (new := {name: _shortest(body, texts) for name, body in rules.items()}) != texts:
        texts = new
    return texts


def _shortest(part: Any, texts: dict[str, str | None]) -> str | None:
    """Return the shortest text of a part, the first of equals; None while that of a rule in it is not known."""
    match part:
        case Literal(text):
            return text
        case Characters(ranges):
            return ranges[0][0]
        case Sequence(parts):
            found = [_shortest(p, texts) for p in parts]
            return None if None in found else "".join(found)
        case Choice(options):
            known = [text for option in options if (text := _shortest(option, texts)) is not None]
            return min(known, key=len, default=None)
        case Repeat(inner, least, _):
            text = _shortest(inner, texts) if least else ""
            return None if text is None else text * least
        case Rule(name):
            return texts[name]
    raise TypeError(part)
