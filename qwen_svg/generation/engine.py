"""Letting a model answer many prompts: side by side in slots, each ending where its answer ends.

A finished row's slot goes to the next prompt at once; without that, a batch runs on for its longest row. Prompts are
read in pieces, between which the other rows go on; and what goes wrong with one row is the end of that row alone.
"""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.progress import Progress
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.generation.constrained import GrammarConstraint, grammar_for, tokens_needed
from qwen_svg.generation.decoder import Decoder, RowState
from qwen_svg.generation.llama_cpp import Weights
from qwen_svg.generation.llama_cpp_decoder import LlamaCppDecoder
from qwen_svg.generation.sampling import GREEDY_BELOW, Chance, chance_of, next_tokens, sample
from qwen_svg.generation.transformers_decoder import TransformersDecoder

CLOSING = "</svg>"
CLOSING_WINDOW = 8  # tokens looked back over for `</svg>`; no tokenizer needs more than 6 for these 6 characters


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # generated, the end-of-turn token included
    seconds: float  # this row's share of the steps it took part in
    finished: bool  # ended by itself; False = cut at the token limit


def generate_answers(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    max_total: int,
    max_new: int,
    batch_size: int,
    temperature: float,
    seed: int,
    progress: str,
    constrained: bool = False,
) -> list[Answer]:
    """Return one answer for each prompt (token ids), in the order given.

    max_total: tokens of prompt + answer; max_new: of the answer alone. batch_size: slots. temperature 0 is greedy
    decoding; above it, each prompt has its own random numbers, so an answer does not depend on its neighbours.
    constrained: only answers that `svg_constraint` finds legal in the prompt dialect, whatever the model; raises
    UserError when a prompt leaves too few tokens for one.
    """
    engine = Engine(model, tokenizer, batch_size)
    rows = rows_for(prompts, max_total, max_new, temperature, seed)
    if constrained:
        engine.constrain(rows)
    written = steps = 0
    with Progress(len(prompts), progress, "drawing") as bar:
        for advanced in engine.run(sorted(rows, key=lambda row: -len(row.prompt))):  # neighbours alike in length
            raise_first_error(advanced)
            written, steps = written + len(advanced), steps + 1
            bar.set_postfix_str(f"{written} tokens", refresh=steps % 20 == 0)  # a first drawing may take minutes
            bar.update(sum(row.ended for row in advanced))
    return [engine.answer(row) for row in rows]


class Engine:
    """Answers rows side by side; more may be added, and some taken out, between two steps."""

    def __init__(self, model: Any, tokenizer: Any, size: int, past_the_drawing: bool = False):
        """model: of transformers, or llama.cpp's `Weights`. size: rows at once; others wait. past_the_drawing: `</svg>`
        ends no answer, but the model does.
        """
        self.model, self.tokenizer, self.size, self.past_the_drawing = model, tokenizer, size, past_the_drawing
        self.decoder: Decoder = (
            LlamaCppDecoder(model, size)
            if isinstance(model, Weights)
            else TransformersDecoder(model, tokenizer.pad_token_id)
        )
        self.stops = stop_tokens(tokenizer)
        self.waiting: deque[RowState] = deque()
        self.reading: list[RowState] = []  # rows whose prompts are being read
        self.read_last = False  # in the step before
        self.rows: list[RowState] = []  # rows that are written
        self.failed: list[RowState] = []  # in this step

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.reading or self.rows)

    def constrain(self, rows: list[RowState]) -> None:
        """Let these rows give only legal answers. Raises UserError where one has too few tokens for that."""
        needed = tokens_needed(self.tokenizer)
        grammar = grammar_for(self.tokenizer, self.decoder.vocabulary, tuple(self.stops))
        for row in rows:
            if row.limit < needed:
                raise UserError(
                    f"a legal answer may take {needed} tokens and there is room for {row.limit}; allow for more "
                    "with `--max-new-tokens` (serve.py: `--max-tokens`), or shorten the description."
                )
            row.constraint = GrammarConstraint(self.tokenizer, grammar, row.limit, needed)

    def run(self, rows: Iterable[RowState] = ()) -> Iterator[list[RowState]]:
        """Add these rows and step until none is left; yield after each step what it returns.

        Whoever iterates may add and drop rows, and may stop at any time.
        """
        for row in rows:
            self.add(row)
        while self.busy:
            yield self.step()

    def add(self, row: RowState) -> None:
        self.waiting.append(row)

    def drop(self, row: RowState) -> None:
        """Forget a row whose answer nobody wants any more."""
        row.given_up = True
        for rows in (self.waiting, self.reading, self.rows):
            if row in rows:
                rows.remove(row)
        self.decoder.drop(row)

    @torch.no_grad()
    def step(self) -> list[RowState]:
        """Read a piece of the next prompts, or add a token to every row: in turn, where there are both.

        Returns the rows that have got a token (those whose prompts are read get their first), and those that have
        failed: `error` says why, and they are out. When the model itself fails, all that took part in the step fail.
        """
        start, self.failed = time.perf_counter(), []
        self.read_last = self._can_read() and not (self.read_last and self.rows)
        if self.read_last:
            self.reading = self.reading or self._next()
        rows, scores = list(self.reading if self.read_last else self.rows), None
        with self._failing(*rows):
            scores = self._read(rows) if self.read_last else self.decoder.write(rows)
            if scores is not None:
                self._choose(scores, rows)
        seconds = (time.perf_counter() - start) / len(rows)
        for row in rows:
            row.seconds += seconds
        return self.failed + [row for row in rows if scores is not None and not row.error]

    def answer(self, row: RowState) -> Answer:
        """Return what the row has come to, ended or not. Raises its error where it has failed."""
        raise_first_error([row])
        return _answer(self.tokenizer, row.tokens, self.stops, row.seconds)

    @contextmanager
    def _failing(self, *rows: RowState) -> Iterator[None]:
        """What goes wrong in here is the end of these rows, and of no others."""
        try:
            yield
        except Exception as error:
            for row in rows:
                if not row.error:
                    row.error, row.ended = error, True
                    self.drop(row)
                    self.failed.append(row)

    def _ended(self, row: RowState) -> bool:
        if self.past_the_drawing:
            return row.tokens[-1] in self.stops
        return _ended(self.tokenizer, row.tokens, self.stops)

    def _can_read(self) -> bool:
        if self.reading:
            return True
        return bool(self.waiting) and len(self.rows) < self.size and self.decoder.has_room([self.waiting[0]])

    def _next(self) -> list[RowState]:
        """Take as many waiting rows as there are slots for, and as one step may read; the first one anyhow."""
        rows, width = [], 0
        while self.waiting and len(self.rows) + len(rows) < self.size:
            width = max(width, self.decoder.unread(self.waiting[0]))
            too_much = (len(rows) + 1) * width > self.decoder.step_limit
            if rows and (too_much or not self.decoder.has_room([*rows, self.waiting[0]])):
                break
            rows.append(self.waiting.popleft())
        return rows

    def _read(self, rows: list[RowState]) -> torch.Tensor | None:
        """Read a piece of these prompts; behind the last one let them in and return their scores (rows, V)."""
        scores = self.decoder.read(rows)
        if scores is not None:
            self.reading = []
            with self._failing(*rows, *self.rows):
                self.decoder.admit(rows)
                self.rows += rows
        return scores

    def _choose(self, scores: torch.Tensor, rows: list[RowState]) -> None:
        """Append the next token to each row; one that has none, or cannot go on behind it, fails. scores: (rows, V)."""
        scores = scores.float()
        forbidden = torch.zeros(scores.shape, dtype=torch.bool) if any(row.constraint for row in rows) else None
        chances: list[Chance | None] = [None] * len(rows)
        for i, row in enumerate(rows):
            with self._failing(row):
                if row.constraint:
                    forbidden[i] = torch.from_numpy(~row.constraint.mask(scores.shape[1]))
                if scores.device.type != "cpu":
                    chances[i] = chance_of(row)
        largest, tokens = next_tokens(scores, forbidden, chances)
        for i, row in enumerate(rows):
            with self._failing(row):
                if not row.ended:
                    self._append(row, scores[i], largest[i], tokens[i])

    def _append(self, row: RowState, scores: torch.Tensor, largest: float, token: int) -> None:
        """scores: (V,), -inf = not allowed. token: of `next_tokens`."""
        if math.isnan(largest):
            raise ArithmeticError("the model's scores are not numbers")
        if not math.isfinite(largest):
            raise ArithmeticError("the model's scores are infinite, or no token may come next")
        if scores.device.type == "cpu" and not row.temperature < GREEDY_BELOW:
            token = sample(scores - largest, row.temperature, row.sampler)
        row.tokens.append(token)
        if row.constraint:
            row.constraint.take(token)
        row.ended = self._ended(row) or len(row.tokens) >= row.limit
        if row.ended:
            self.rows.remove(row)
            self.decoder.drop(row)


def rows_for(prompts: list[list[int]], max_total: int, max_new: int, temperature: float, seed: int) -> list[RowState]:
    """seed: any whole number."""
    rows = []
    for index, prompt in enumerate(prompts):
        sampler = torch.Generator().manual_seed((seed * 1_000_003 + index) % 2**63)
        rows.append(RowState(prompt, max(1, min(max_new, max_total - len(prompt))), temperature, sampler))
    return rows


def raise_first_error(rows: Iterable[RowState]) -> None:
    """For whoever needs every row's answer."""
    for row in rows:
        if row.error:
            raise row.error


def answer_from_tokens(tokenizer: Any, tokens: list[int], stops: list[int], seconds: float) -> Answer:
    """Return the answer that `generate_answers` makes of these tokens: it ends with the SVG, whatever follows."""
    ends = (n for n in range(1, len(tokens)) if _ended(tokenizer, tokens[:n], stops))
    return _answer(tokenizer, tokens[: next(ends, len(tokens))], stops, seconds)


def _ended(tokenizer: Any, tokens: list[int], stops: list[int]) -> bool:
    if tokens[-1] in stops:
        return True
    if CLOSING not in tokenizer.decode(tokens[-CLOSING_WINDOW:]):
        return False
    return extract_svg(tokenizer.decode(tokens)) is not None  # a reasoning may name `</svg>` in passing


def _answer(tokenizer: Any, tokens: list[int], stops: list[int], seconds: float) -> Answer:
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    finished = tokens[-1] in stops or extract_svg(text) is not None
    return Answer(text, len(tokens), seconds, finished)
