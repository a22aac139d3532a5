"""Grammars over text with a memory: written once, used two ways.

`to_lark` gives the text that a token-mask library compiles. `Automaton` follows an answer character by character and
knows the shortest text that completes it, which no such library tells: with it an answer is closed before its token
budget ends. Rules refer to each other by name; no rule may begin with itself.

What depends on text further back is a debt: a function that tells from all text so far what has to come now, "" where
nothing has to. Owed is that text, Paid a place where there must be no debt. The library knows no debts: it takes any
text an Owed may be, and passes each Paid. The automaton is exact, and tells where the two may differ (`reach`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from math import inf
from typing import Any, NamedTuple


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


Debt = Callable[[str], str]


@dataclass(frozen=True)
class Owed:
    """What `debt` tells of the text so far, one of the texts of `part`; where nothing is owed, nothing fits."""

    debt: Debt
    part: Any


@dataclass(frozen=True)
class Paid:
    """No text: holds where nothing is owed."""

    debt: Debt


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


COUNTED = 100  # repetitions: more are any number to the library, which takes long to count; `MAX_COMMENT` comes first


def to_lark(rules: Rules) -> str:
    """Return the rules in llguidance's dialect of Lark; the first rule is the start.

    Rules that differ in their debts alone are one there. A rule from which no recursive rule is reached becomes a
    terminal: one regular expression, which is faster.
    """
    rules = _without_twins({name: _without_debts(body) for name, body in rules.items()})
    first = next(iter(rules))
    terminals: set[str] = set()
    while new := {n for n, body in rules.items() if n not in terminals and n != first and names(body) <= terminals}:
        terminals |= new
    spelt = {name: name.replace("-", "_").upper() if name in terminals else name.replace("-", "_") for name in rules}
    lines = (f"{'start' if name == first else spelt[name]}: {_lark(body, spelt)}" for name, body in rules.items())
    return "\n".join(lines) + "\n"


def _without_debts(part: Any) -> Any:
    match part:
        case Owed(_, inner):
            return _without_debts(inner)
        case Paid():
            return Literal("")
        case Sequence(parts):
            flat = [q for p in map(_without_debts, parts) for q in (p.parts if isinstance(p, Sequence) else (p,))]
            return Sequence(tuple(p for p in flat if p != Literal("")))
        case Choice(options):
            return Choice(tuple(dict.fromkeys(map(_without_debts, options))))
        case Repeat(inner, least, most):
            return Repeat(_without_debts(inner), least, None if most and most > COUNTED else most)
    return part


def _without_twins(rules: Rules) -> Rules:
    """Keep one of rules that are the same, and of those that then are."""
    while True:
        firsts: dict[Any, str] = {}
        kept = {name: firsts.setdefault(body, name) for name, body in rules.items()}
        if len(firsts) == len(rules):
            return rules
        rules = {name: _renamed(rules[name], kept) for name in firsts.values()}


def _renamed(part: Any, kept: dict[str, str]) -> Any:
    match part:
        case Rule(name):
            return Rule(kept[name])
        case Sequence(parts):
            return Sequence(tuple(_renamed(p, kept) for p in parts))
        case Choice(options):
            return Choice(tuple(dict.fromkeys(_renamed(o, kept) for o in options)))
        case Repeat(inner, least, most):
            return Repeat(_renamed(inner, kept), least, most)
    return part


def names(part: Any) -> set[str]:
    """The names of the rules a part refers to."""
    match part:
        case Rule(name):
            return {name}
        case Sequence(inner) | Choice(inner):
            return set().union(*map(names, inner))
        case Repeat(inner, _, _) | Owed(_, inner):
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
            return "(" + " ".join(_lark(p, spelt) for p in parts) + ")" if parts else '""'
        case Choice(options):
            return "(" + " | ".join(_lark(o, spelt) for o in options) + ")"
        case Repeat(inner, least, most):
            return _lark(inner, spelt) + (
                "*" if (least, most) == (0, None) else f"{{{least},{'' if most is None else most}}}"
            )
        case Rule(name):
            return spelt[name]
    raise TypeError(part)


def _in_class(character: str) -> str:
    return {"\n": "\\n"}.get(character) or ("\\" + character if character in "\\/[]^-" else character)


# A thread is what a text still has to match: a stack of nested pairs (first, rest); None = nothing. First is the number
# of a part, or the text that is left of a literal one; of what is owed that text is a Due.
Thread = tuple | None
Threads = frozenset[Thread]


class Due(NamedTuple):
    """Text that is owed: a closing begins with it, whatever else might come."""

    text: str


class State(NamedTuple):
    threads: Threads  # none: the grammar has no such text
    loose: Threads  # the same of a reader that knows no debts
    text: str  # all there has been


class Automaton:
    """Follows texts through a grammar. Each step is computed once and remembered."""

    def __init__(self, rules: Rules, start: str = "root"):
        self.rules = rules
        self.parts: list[Any] = []
        self.numbers: dict[Any, int] = {}
        self.texts = _shortest_texts(rules)
        self.debts = _distances(rules, self.texts)
        self.steps: dict[tuple[Threads, str | tuple[str, ...]], Threads] = {}
        self.completions: dict[Threads, str] = {}
        self.reaches: dict[Threads, tuple[float, float]] = {}
        self.opened: dict[Threads, Threads] = {}
        self.first: dict[Threads, tuple[Debt, ...]] = {}
        threads = self._expand((self._number(Rule(start)), None))
        self.start = State(threads, threads, "")

    def advance(self, state: State, text: str) -> State:
        """Return the state behind `text`; one without threads when the grammar has no such text."""
        threads, loose, before = state
        for i, character in enumerate(text, 1):
            together = threads is loose
            raw = self._step(threads, character)
            loose = raw if together else self._step(loose, character)
            threads = self._settled(raw, before, text[:i])
            loose = threads if threads is raw and together else self._opened(loose)
            loose = threads if threads == loose else loose
        return State(threads, loose, before + text)

    def forget(self) -> None:
        """Give the memory of steps back."""
        for remembered in (self.steps, self.completions, self.reaches, self.opened, self.first):
            remembered.clear()

    def is_complete(self, state: State) -> bool:
        return None in state.threads

    def completion(self, state: State) -> str:
        """Return the shortest text that completes what led to `state`; of several the last in the alphabet.

        Not the first of the set: its order is another in each process, and a seed gives the same answer in all. The
        last one has the larger numbers, with which there is more to see. Where it runs into a debt, that is paid.
        """
        done = len(state.text)
        while not self.is_complete(state):
            before = state
            for character in self._completion(state.threads):
                after = self.advance(state, character)
                if not after.threads:
                    break
                state = after
            if state is before:
                state = self._elsewhere(state)
        return state.text[done:]

    def reach(self, state: State) -> tuple[float, float]:
        """Return how many characters further, at least, debts count: with any text, and with text that ends a value.

        Up to there the library's grammar says the same. inf: they do not count in what is open now.
        """
        if state.threads != state.loose:
            return 0, 0
        found = self.reaches.get(state.threads)
        if found is None:
            found = self.reaches[state.threads] = reduce(_nearest, map(self._reach, state.threads), NEVER)
        return found

    def _elsewhere(self, state: State) -> State:
        """Return a state one character further: where the first digit of all would pay no debt, another does."""
        parts = [self.parts[thread[0]] for thread in state.threads if isinstance(thread[0], int)]
        ends = sorted({end for part in parts for pair in part.ranges for end in pair}, reverse=True)
        for after in (self.advance(state, end) for end in ends):
            if after.threads:
                return after
        raise RuntimeError(f"nothing completes {state.text[-200:]!r}")

    def _completion(self, threads: Threads) -> str:
        text = self.completions.get(threads)
        if text is None:
            due = [thread for thread in threads if thread and isinstance(thread[0], Due)]
            text = max(map(self._closing, due or threads), key=lambda text: (-len(text), text))
            self.completions[threads] = text
        return text

    def _closing(self, thread: Thread) -> str:
        text = ""
        while thread is not None:
            first, thread = thread
            text += self._shortest(first)
        return text

    def _shortest(self, first: int | str | Due) -> str:
        if isinstance(first, int):
            return _shortest(self.parts[first], self.texts)
        return first if isinstance(first, str) else first.text

    def _reach(self, thread: Thread) -> tuple[float, float]:
        """The same for one thread."""
        length, ended, found = 0, False, NEVER
        while thread is not None:
            first, thread = thread
            part = self.parts[first] if isinstance(first, int) else Literal(first if isinstance(first, str) else "")
            there = (0, inf) if isinstance(first, Due) else _distance(part, self.debts, self.texts)
            found = _nearest(found, _behind(there, length, ended))
            length, ended = length + len(self._shortest(first)), ended or _has_end(part)
        return found

    def _number(self, part: Any) -> int:
        """Number the parts: stacks of small integers hash fast, trees of parts do not."""
        number = self.numbers.get(part)
        if number is None:
            number = self.numbers[part] = len(self.parts)
            self.parts.append(part)
        return number

    def _step(self, threads: Threads, character: str) -> Threads:
        """Take one character off each thread; debts that come first then are left as they are."""
        key = (threads, character)
        after = self.steps.get(key)
        if after is None:
            found: set[Thread] = set()
            for thread in threads:
                if thread is not None and (rest := self._consume(thread, character)) is not False:
                    found |= self._expand(rest)
            after = self.steps[key] = frozenset(found)
        return after

    def _consume(self, thread: tuple, character: str) -> Thread | bool:
        """Take one character off the thread's first part; False when it does not fit."""
        first, rest = thread
        if isinstance(first, int):
            return rest if any(a <= character <= b for a, b in self.parts[first].ranges) else False
        text = first if isinstance(first, str) else first.text
        if text[0] != character:
            return False
        return (type(first)(text[1:]), rest) if len(text) > 1 else rest

    def _settled(self, threads: Threads, before: str, new: str) -> Threads:
        """Replace debts that come first by what `before + new` owes."""
        while debts := self._debts_first(threads):
            owed = tuple(debt(before + new) for debt in debts)
            after = self.steps.get((threads, owed))
            if after is None:
                known = dict(zip(debts, owed, strict=True))
                after = self.steps[threads, owed] = frozenset().union(*(self._pay(t, known) for t in threads))
            threads = after
        return threads

    def _debts_first(self, threads: Threads) -> tuple[Debt, ...]:
        found = self.first.get(threads)
        if found is None:
            parts = [self.parts[thread[0]] for thread in threads if thread and isinstance(thread[0], int)]
            debts = dict.fromkeys(part.debt for part in parts if isinstance(part, Owed | Paid))
            found = self.first[threads] = tuple(debts)
        return found

    def _pay(self, thread: Thread, owed: dict[Debt, str]) -> Iterable[Thread]:
        match self.parts[thread[0]] if thread and isinstance(thread[0], int) else None:
            case Owed(debt, _):
                return [(Due(owed[debt]), thread[1])] if owed[debt] else []
            case Paid(debt):
                return [] if owed[debt] else self._expand(thread[1])
        return [thread]

    def _opened(self, threads: Threads) -> Threads:
        """Replace debts that come first by all that the library takes there."""
        opened = self.opened.get(threads)
        if opened is None:
            found, todo = set(), [*threads]
            while todo:
                thread = todo.pop()
                part = self.parts[thread[0]] if thread and isinstance(thread[0], int) else None
                match part:
                    case Owed(_, inner):
                        todo += self._expand((self._number(inner), thread[1]))
                    case Paid():
                        todo += self._expand(thread[1])
                    case _:
                        found.add(thread)
            opened = self.opened[threads] = frozenset(found)
        return opened

    def _expand(self, thread: Thread) -> Threads:
        """Open a thread's first part until it is a text, a character or a debt."""
        done: set[Thread] = set()
        todo = [thread]
        while todo:
            thread = todo.pop()
            if thread is None or not isinstance(thread[0], int):
                done.add(thread)
                continue
            part, rest = self.parts[thread[0]], thread[1]
            match part:
                case Literal(text):
                    todo.append((text, rest) if text else rest)
                case Characters() | Owed() | Paid():
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


ENDS = '")'  # what ends values
# How far it is to the first debt, in characters: (where none of ENDS need come before it, behind one of them).
Distance = tuple[float, float]
NEVER: Distance = (inf, inf)


def _distances(rules: Rules, texts: dict[str, str | None]) -> dict[str, Distance]:
    """Return the distance to a debt in each rule: a fixed point, as the shortest texts are."""
    known = dict.fromkeys(rules, NEVER)
    while (new := {name: _distance(body, known, texts) for name, body in rules.items()}) != known:
        known = new
    return known


def _distance(part: Any, known: dict[str, Distance], texts: dict[str, str | None]) -> Distance:
    match part:
        case Owed() | Paid():
            return 0, inf
        case Rule(name):
            return known[name]
        case Choice(options):
            return reduce(_nearest, (_distance(option, known, texts) for option in options), NEVER)
        case Repeat(inner, _, _):
            return _distance(inner, known, texts)
        case Sequence(parts):
            length, ended, found = 0, False, NEVER
            for p in parts:
                found = _nearest(found, _behind(_distance(p, known, texts), length, ended))
                length, ended = length + len(_shortest(p, texts)), ended or _has_end(p)
            return found
    return NEVER


def _behind(there: Distance, length: int, ended: bool) -> Distance:
    return (inf, length + min(there)) if ended else (length + there[0], length + there[1])


def _nearest(a: Distance, b: Distance) -> Distance:
    return min(a[0], b[0]), min(a[1], b[1])


def _has_end(part: Any) -> bool:
    """Is one of ENDS in each text of the part? False where a rule would have to be looked into."""
    match part:
        case Literal(text):
            return any(end in text for end in ENDS)
        case Sequence(parts):
            return any(map(_has_end, parts))
    return False


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
        case Owed(_, inner):
            return _shortest(inner, texts)
        case Paid():
            return ""
        case Rule(name):
            return texts[name]
    raise TypeError(part)
