"""Constrained decoding: only tokens that keep the answer legal, and a close before the token budget ends.

llguidance turns the grammar of `svg_grammar.py` into a mask over the vocabulary at each step. It knows no debts, and
cannot tell how far the end is; `grammar.Automaton` does both. Where a debt is near, the tokens of the mask that reach
it are tried there. When what is left of the budget is only just enough, or a part runs on, the shortest closing text is
put in the model's place.
"""

import json
from copy import copy
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import llguidance
import numpy as np

from qwen_svg.common.tokens import METASPACE, ids_behind
from qwen_svg.generation.grammar import ENDS, NEVER, Automaton, Distance, State, to_lark
from qwen_svg.generation.svg_debts import nearly_full
from qwen_svg.generation.svg_grammar import answer_grammar

MARGIN = 96  # tokens kept above the closing text: one token may open an element, and so lengthen it
MAX_COMMENT = 160  # characters, then it is closed
MAX_TEXT = 50_000  # bytes, fewer than the checker takes, and room for fewer elements than it takes
REASONING_SHARE = 0.5  # of the budget, then it is closed
REMEMBERED = 100_000  # steps of the automaton, some hundred MB: a server draws for months


@cache
def _automaton() -> Automaton:
    return Automaton(answer_grammar())


def tokens_needed(tokenizer: Any) -> int:
    """Return the budget below which a legal answer cannot be promised."""
    return len(ids_behind(tokenizer, _automaton().completion(_automaton().start))) + MARGIN


class GrammarConstraint:
    """Keeps one answer legal: what the grammar has seen of it, and the tokens that are put in next."""

    def __init__(self, tokenizer: Any, grammar: "Grammar", budget: int, needed: int):
        """grammar: of `grammar_for`. budget: tokens, at most; at least `needed`, which is what `tokens_needed` says."""
        self.tokenizer, self.budget, self.needed = tokenizer, budget, needed
        self.matcher, self.tokens_of = grammar.matcher.deep_copy(), grammar.tokens
        self.state = _automaton().start
        self.tokens = 0
        self.read: list[int] = []  # the tokens before those
        self.unread: list[int] = []  # tokens that end within a character
        self.forced: list[int] = []  # to be put in, last one first

    def take(self, token: int) -> None:
        """Read the token that was chosen."""
        self.matcher.consume_token(token)
        self.tokens += 1
        self.unread.append(token)
        # Behind what was there before: some tokenizers take the space off a text's first token.
        new = self.tokenizer.decode(self.read + self.unread)[len(self.tokenizer.decode(self.read)) :]
        if not new.endswith("\ufffd"):
            automaton = _automaton()
            if len(automaton.steps) > REMEMBERED:
                automaton.forget()
            self.state = automaton.advance(self.state, new)
            self.read, self.unread = self.unread, []

    def mask(self, vocabulary: int) -> np.ndarray:
        """Return which tokens may come next, bool (vocabulary,)."""
        if not self.forced and not self.unread:
            self.forced = self._closing(self.budget - self.tokens)[::-1]
        allowed = np.zeros(vocabulary, dtype=bool)
        if self.forced:
            allowed[self.forced.pop()] = True
            return allowed
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        width = min(vocabulary, 8 * len(bits))
        allowed[:width] = np.unpackbits(bits, count=width, bitorder="little")
        self._refuse(allowed)
        return allowed

    def _refuse(self, allowed: np.ndarray) -> None:
        """Take out of the library's mask the tokens behind which something owed is missing."""
        reach = _automaton().reach(self.state)
        if self.unread or reach == NEVER:
            return
        near = self.tokens_of.reaching(*reach) if reach[0] else allowed.nonzero()[0]
        tried: dict[str, State] = {}
        for token in near[allowed[near]]:
            allowed[token] = self._fits(self.tokens_of.texts[token], tried)

    def _fits(self, text: str, tried: dict[str, State]) -> bool:
        """Try a token's text. tried: the states behind what many texts begin with."""
        state = self.state
        for i in range(1, len(text) + 1):
            if (after := tried.get(text[:i])) is None:
                after = tried[text[:i]] = _automaton().advance(state, text[i - 1])
            state = after
            if not state.threads:
                return False
            if len(text) - i < min(_automaton().reach(state)):  # the rest meets no debt
                return True
        return True

    def _closing(self, left: int) -> list[int]:
        """The tokens to put in now: all that is missing, the end of a part that runs on, or none."""
        left = min(left, MAX_TEXT - len(self.state.text.encode()))  # a token has a byte or more
        end = self._end_of_what_runs_on()
        if not end and left > self.needed + MARGIN:
            return []
        text = _automaton().completion(self.state)
        if not end and len(text) + MARGIN < left:  # a token is a character or more
            return []
        tokens = ids_behind(self.tokenizer, text)
        if len(tokens) + MARGIN >= left:
            return tokens
        # The first such character ends the part that runs on, also where its end has been begun.
        return ids_behind(self.tokenizer, text[: text.index(end) + 1]) if end else []

    def _end_of_what_runs_on(self) -> str:
        """Return the last character of the end that a part needs now, "" for none."""
        text = self.state.text
        comment = text.rfind("<!--")
        if comment < 0:
            too_long = self.tokens > REASONING_SHARE * self.budget and "</reasoning>" not in text
            return ">" if too_long else ""
        if len(text) - comment > MAX_COMMENT and "-->" not in text[comment:]:
            return ">"
        return '"' if nearly_full(text[text.rfind('"') + 1 :]) else ""


class TokenTexts:
    """What a vocabulary's tokens write, for trying them."""

    def __init__(self, texts: list[str]):
        self.texts = texts
        self.lengths = np.array([*map(len, texts)])
        self.digits = np.array([any(character in "0123456789" for character in text) for text in texts])
        self.ending = np.array([any(mark in text for mark in ENDS) for text in texts])
        self.found: dict[Distance, np.ndarray] = {}

    def reaching(self, free: float, behind_end: float) -> np.ndarray:
        """Return the tokens that reach a debt which is as far away as `Automaton.reach` says.

        What is not behind the end of a value is at the end of a number.
        """
        if (free, behind_end) not in self.found:
            wanted = (self.digits & (self.lengths >= free)) | (self.ending & (self.lengths >= behind_end))
            self.found[free, behind_end] = wanted.nonzero()[0]
        return self.found[free, behind_end]


class Grammar(NamedTuple):
    """The grammar of answers, compiled for a vocabulary."""

    matcher: Any  # at the start of an answer: each takes a copy along
    tokens: TokenTexts


def _vocabulary(tokenizer: Any) -> str:
    """Return the tokenizer as JSON, with the added tokens that are text among the ordinary ones.

    llguidance takes whatever was added to a tokenizer for a special token, which no grammar of texts lets pass.
    """
    backend = copy(tokenizer.backend_tokenizer)
    backend.no_padding()
    backend.no_truncation()
    described = json.loads(backend.to_str())
    space = "Ġ" if "ByteLevel" in json.dumps(described["decoder"]) else METASPACE
    for token in described["added_tokens"]:
        if not token["special"]:
            described["model"]["vocab"][token["content"].replace(" ", space)] = token["id"]
    described["added_tokens"] = [token for token in described["added_tokens"] if token["special"]]
    return json.dumps(described)


# By tokenizer, as long as it lives: keyed by id(), a later one at the same address would get this one's grammar.
_grammars: WeakKeyDictionary[Any, dict[tuple, Grammar]] = WeakKeyDictionary()


def grammar_for(tokenizer: Any, vocabulary: int, stops: tuple[int, ...]) -> Grammar:
    """Compile the grammar for a tokenizer, once.

    vocabulary: the width of the model's scores, which may exceed the tokenizer's. stops: tokens that may end an answer.
    """
    known = _grammars.setdefault(tokenizer, {})
    key = (vocabulary, stops, len(tokenizer))  # tokens may have been added since
    if key not in known:
        wrapped = llguidance.LLTokenizer(_vocabulary(tokenizer), n_vocab=vocabulary, eos_token=list(stops))
        matcher = llguidance.LLMatcher(wrapped, to_lark(answer_grammar()))
        if matcher.get_error():
            raise RuntimeError(matcher.get_error())
        texts = [wrapped.decode_bytes([token]).decode("utf-8", "replace") for token in range(vocabulary)]
        known[key] = Grammar(matcher, TokenTexts(texts))
    return known[key]
