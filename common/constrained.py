"""Constrained decoding: only tokens that keep the answer legal, and a close before the token budget ends.

llguidance turns the grammar of `common/svg_grammar.py` into a mask over the vocabulary at each step. It cannot tell how
far the end is; `common.grammar.Automaton` can. When what is left of the budget is only just enough, or a comment or the
reasoning runs on, the shortest closing text is put in the model's place.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor

from common.errors import UserError
from common.grammar import Automaton, to_lark
from common.svg_grammar import answer_grammar

MARGIN = 64  # tokens kept above the closing text: one token may open an element, and so lengthen it
MAX_COMMENT = 160  # characters, then it is closed
REASONING_SHARE = 0.5  # of the budget, then it is closed


@cache
def _automaton() -> Automaton:
    return Automaton(answer_grammar())


def tokens_needed(tokenizer: Any) -> int:
    """Return the budget below which a legal answer cannot be promised."""
    return len(_tokens(tokenizer, _automaton().completion(_automaton().start))) + MARGIN


class LegalAnswers(LogitsProcessor):
    """Masks the scores of each row to what keeps its answer legal. For one call of `generate`."""

    def __init__(self, tokenizer: Any, prompt_width: int, budget: int, stops: list[int]):
        """budget: the largest number of new tokens, at least `tokens_needed`."""
        self.tokenizer, self.prompt_width, self.stops = tokenizer, prompt_width, stops
        self.budget = budget
        self.rows: list[_Row] = []
        self.needed = tokens_needed(tokenizer)
        if budget < self.needed:
            raise UserError(
                f"a legal answer may take {self.needed} tokens and there is room for {budget}; allow for more."
            )

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self.rows:
            grammar = _compiled(self.tokenizer, scores.shape[1], tuple(self.stops))
            self.rows = [_Row(self.tokenizer, grammar.deep_copy(), self.budget, self.needed) for _ in scores]
        else:
            for row, token in zip(self.rows, input_ids[:, -1].tolist(), strict=True):
                row.take(token)
        left = self.budget - (input_ids.shape[1] - self.prompt_width)
        masks = np.stack([row.mask(left, scores.shape[1]) for row in self.rows])
        return scores.masked_fill(torch.from_numpy(~masks).to(scores.device), -torch.inf)


class _Row:
    """One answer: what the grammar has seen of it, and the tokens that are put in next."""

    def __init__(self, tokenizer: Any, matcher: Any, budget: int, needed: int):
        self.tokenizer, self.matcher, self.budget, self.needed = tokenizer, matcher, budget, needed
        self.state = _automaton().start
        self.text, self.unread = "", []  # unread: tokens that end within a character
        self.forced: list[int] = []
        self.tokens = 0

    @property
    def done(self) -> bool:
        return _automaton().is_complete(self.state)

    def take(self, token: int) -> None:
        """Read the token that was chosen."""
        if self.done:
            return  # a stop token, or padding
        self.matcher.consume_token(token)
        self.tokens += 1
        self.unread.append(token)
        new = self.tokenizer.decode(self.unread)
        if not new.endswith("\ufffd"):
            self.state = _automaton().advance(self.state, new)
            self.text += new
            self.unread = []

    def mask(self, left: int, vocabulary: int) -> np.ndarray:
        """Return which tokens may come next, bool (vocabulary,); `left`: tokens that may still be written."""
        if self.done:
            return np.ones(vocabulary, dtype=bool)
        if not self.forced and not self.unread:
            self.forced = self._closing(left)[::-1]
        allowed = np.zeros(vocabulary, dtype=bool)
        if self.forced:
            allowed[self.forced.pop()] = True
            return allowed
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        width = min(vocabulary, 8 * len(bits))
        allowed[:width] = np.unpackbits(bits, count=width, bitorder="little")
        return allowed

    def _closing(self, left: int) -> list[int]:
        """The tokens to put in now: all that is missing, the end of a part that runs on, or none."""
        in_reasoning = "</reasoning>" not in self.text
        comment = len(self.text) - self.text.rfind("<!--") if self.text.rfind("<!--") > self.text.rfind("-->") else 0
        long_reasoning = in_reasoning and self.tokens > REASONING_SHARE * self.budget
        if not (long_reasoning or comment > MAX_COMMENT or left <= self.needed + MARGIN):
            return []
        text = _automaton().completion(self.state)
        tokens = _tokens(self.tokenizer, text)
        if len(tokens) + MARGIN >= left:
            return tokens
        # The first ">" ends the part that runs on, also where its end has been begun.
        return _tokens(self.tokenizer, text[: text.index(">") + 1]) if long_reasoning or comment > MAX_COMMENT else []


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


_grammars: dict[tuple, Any] = {}


def _compiled(tokenizer: Any, vocabulary: int, stops: tuple[int, ...]) -> Any:
    """Compile the grammar for a tokenizer, once; matchers of rows are copies."""
    key = (id(tokenizer), vocabulary, stops)
    if key not in _grammars:
        import llguidance
        import llguidance.hf

        wrapped = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(stops))
        matcher = llguidance.LLMatcher(wrapped, to_lark(answer_grammar()))
        if matcher.get_error():
            raise RuntimeError(matcher.get_error())
        _grammars[key] = matcher
    return _grammars[key]
