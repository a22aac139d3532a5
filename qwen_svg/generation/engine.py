"""Letting a model answer many prompts: side by side in slots, each ending where its answer ends.

A finished row's slot goes to the next prompt at once; without that, a batch runs on for its longest row. Prompts are
read in pieces, between which the other rows go on; and what goes wrong with one row is the end of that row alone.
"""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.generation.constrained import GrammarConstraint, grammar_for, tokens_needed
from qwen_svg.generation.kv_cache import KVCache

CLOSING = "</svg>"
CLOSING_WINDOW = 8  # tokens looked back over for `</svg>`; no tokenizer needs more than 6 for these 6 characters
# Tokens of prompts that are read in one step. The others wait as long: on two cores 1,024 tokens of a model of 135
# million weights take a second.
PROMPT_TOKENS = {"cpu": 1024, "cuda": 16384}
KEEP_SHARE = 0.75  # when no prompt waits and fewer of the slots than this are in use, the empty ones are given up
GREEDY_BELOW = 1e-3  # a temperature so low leaves nothing to chance but rounding


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # generated, the end-of-turn token included
    seconds: float  # this row's share of the steps it took part in
    finished: bool  # ended by itself; False = cut at the token limit


@dataclass(eq=False)
class RowState:
    """A prompt and the answer it has so far."""

    prompt: list[int]
    limit: int  # tokens of the answer
    temperature: float  # below GREEDY_BELOW: greedy
    sampler: torch.Generator
    constraint: GrammarConstraint | None = None  # None = free
    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False
    error: Exception | None = None  # why it has ended without an answer
    given_up: bool = False  # nobody wants the answer: ends the reading of its prompt at once. Any thread may set it


@dataclass(eq=False)
class Reading:
    """Prompts that are being read side by side, left-padded to the same width."""

    rows: list[RowState | None]  # None = dropped meanwhile
    input_ids: torch.Tensor  # (rows, width)
    mask: torch.Tensor  # the same; 0 = padding
    cache: KVCache
    read: int = 0  # columns


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
    with tqdm(total=len(prompts), desc=progress, unit="drawing", disable=None) as bar:
        for advanced in engine.run(sorted(rows, key=lambda row: -len(row.prompt))):  # neighbours alike in length
            raise_first_error(advanced)
            written, steps = written + len(advanced), steps + 1
            bar.set_postfix_str(f"{written} tokens", refresh=steps % 20 == 0)  # a first drawing may take minutes
            bar.update(sum(row.ended for row in advanced))
    return [engine.answer(row) for row in rows]


class Engine:
    """Answers rows side by side; more may be added, and some taken out, between two steps."""

    def __init__(self, model: Any, tokenizer: Any, size: int, past_the_drawing: bool = False):
        """size: rows at once; others wait. past_the_drawing: `</svg>` ends no answer, but the model does."""
        self.model, self.tokenizer, self.size, self.past_the_drawing = model, tokenizer, size, past_the_drawing
        self.stops = stop_tokens(tokenizer)
        self.waiting: deque[RowState] = deque()
        self.reading: Reading | None = None
        self.read_last = False  # in the step before
        self.rows: list[RowState | None] = []  # by slot
        self.cache: KVCache | None = None
        self.failed: list[RowState] = []  # in this step

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.reading) or any(self.rows)

    def constrain(self, rows: list[RowState]) -> None:
        """Let these rows give only legal answers. Raises UserError where one has too few tokens for that."""
        vocabulary = self.model.get_output_embeddings().weight.shape[0]  # may exceed the tokenizer's
        needed = tokens_needed(self.tokenizer)
        grammar = grammar_for(self.tokenizer, vocabulary, tuple(self.stops))
        for row in rows:
            if row.limit < needed:
                raise UserError(
                    f"a legal answer may take {needed} tokens and there is room for {row.limit}; allow for more, or "
                    "shorten the description."
                )
            row.constraint = GrammarConstraint(self.tokenizer, grammar.deep_copy(), row.limit, needed)

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
        if row in self.waiting:
            self.waiting.remove(row)
        for places in (self.rows, self.reading.rows if self.reading else []):
            if row in places:
                places[places.index(row)] = None
        if self.reading and not any(self.reading.rows):
            self.reading = None

    @torch.no_grad()
    def step(self) -> list[RowState]:
        """Read a piece of the next prompts, or add a token to every row: in turn, where there are both.

        Returns the rows that have got a token (those whose prompts are read get their first), and those that have
        failed: `error` says why, and they are out. When the model itself fails, all that took part in the step fail.
        """
        start, self.failed = time.perf_counter(), []
        self.read_last = self._can_read() and not (self.read_last and any(self.rows))
        if self.read_last:
            rows = self.reading.rows if self.reading else self._next()
            run = self._read
        else:
            rows, run = self.rows, self._write
        rows, scores = [row for row in rows if row], None
        with self._failing(*rows):
            scores = run(rows)
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
        return bool(self.reading or (self.waiting and len(self._used()) < self.size))

    def _next(self) -> list[RowState]:
        """Take as many waiting rows as there are slots for, and as one step may read; the first one anyhow."""
        free, rows, width = self.size - len(self._used()), [], 0
        while self.waiting and len(rows) < free:
            width = max(width, len(self.waiting[0].prompt))
            if rows and (len(rows) + 1) * width > self._step_limit():
                break
            rows.append(self.waiting.popleft())
        return rows

    def _step_limit(self) -> int:
        return PROMPT_TOKENS.get(self.model.device.type, PROMPT_TOKENS["cpu"])

    def _read(self, rows: list[RowState]) -> torch.Tensor | None:
        """Run the next piece of these prompts; behind the last one let them in and return their scores (rows, V)."""
        if not self.reading:
            input_ids, mask = self._padded([row.prompt for row in rows])
            cache = KVCache(mask, given_up=lambda: all(row.given_up for row in rows))
            self.reading = Reading(list(rows), input_ids, mask, cache)
        reading = self.reading
        width = reading.mask.shape[1]
        end = min(width, reading.read + max(1, self._step_limit() // len(reading.rows)))
        out = self.model(
            input_ids=reading.input_ids[:, reading.read : end],
            attention_mask=reading.mask[:, :end],
            position_ids=(reading.mask.cumsum(-1) - 1).clamp(min=0)[:, reading.read : end],
            past_key_values=reading.cache,
            logits_to_keep=1,
        )
        reading.read = end
        if end < width:
            return None
        self.reading = None
        # This moves everybody's keys and values; half done, it would leave a cache that is good for nobody.
        with self._failing(*rows, *filter(None, self.rows)):
            self._admit(reading)
        return _rows_of(out.logits[:, -1], reading.rows)

    def _admit(self, reading: Reading) -> None:
        """Give slots to prompts that have been read."""
        reading.cache.given_up = None
        if not any(self.rows):
            self.cache, self.rows = reading.cache, reading.rows
            return
        if (more := len(self._used()) + len(reading.rows) - len(self.rows)) > 0:
            self.cache.grow(more)
            self.rows += [None] * more
        free = [i for i, row in enumerate(self.rows) if row is None][: len(reading.rows)]
        self.cache.admit(free, reading.cache)
        for i, row in zip(free, reading.rows, strict=True):
            self.rows[i] = row

    def _padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, prompts))
        input_ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(input_ids)
        for i, prompt in enumerate(prompts):
            input_ids[i, -len(prompt) :] = torch.tensor(prompt)
            mask[i, -len(prompt) :] = 1
        return input_ids.to(self.model.device), mask.to(self.model.device)

    def _write(self, rows: list[RowState]) -> torch.Tensor:
        """Run the newest token of every row; return the scores (rows, V) of the next one."""
        self._give_up_empty()
        self.cache.trim()
        self.cache.extend()
        newest = [[row.tokens[-1] if row else 0] for row in self.rows]
        positions = [[len(row.prompt) + len(row.tokens) - 1 if row else 0] for row in self.rows]
        out = self.model(
            input_ids=torch.tensor(newest, device=self.model.device),
            attention_mask=self.cache.mask,
            position_ids=torch.tensor(positions, device=self.model.device),
            past_key_values=self.cache,
            logits_to_keep=1,
        )
        return _rows_of(out.logits[:, -1], self.rows)

    def _choose(self, scores: torch.Tensor, rows: list[RowState]) -> None:
        """Append the next token to each row; one that has none, or cannot go on behind it, fails. scores: (rows, V)."""
        scores = scores.float()
        not_numbers = scores.isnan().any(dim=-1).tolist()
        for i, row in enumerate(rows):
            with self._failing(row):
                if not_numbers[i]:
                    raise ArithmeticError("the model's scores are not numbers")
                if row.constraint:
                    allowed = row.constraint.mask(scores.shape[1])
                    scores[i].masked_fill_(torch.from_numpy(~allowed).to(scores.device), -torch.inf)
        largest, best = (values.tolist() for values in scores.max(dim=-1))
        for i, row in enumerate(rows):
            with self._failing(row):
                if not row.ended:
                    self._append(row, scores[i], largest[i], best[i])

    def _append(self, row: RowState, scores: torch.Tensor, largest: float, best: int) -> None:
        """scores: (V,), -inf = not allowed."""
        if not math.isfinite(largest):
            raise ArithmeticError("the model's scores are infinite, or no token may come next")
        token = best if row.temperature < GREEDY_BELOW else _sample(scores - largest, row.temperature, row.sampler)
        row.tokens.append(token)
        if row.constraint:
            row.constraint.take(token)
        row.ended = self._ended(row) or len(row.tokens) >= row.limit
        if row.ended and row in self.rows:
            self.rows[self.rows.index(row)] = None

    def _used(self) -> list[int]:
        return [i for i, row in enumerate(self.rows) if row is not None]

    def _give_up_empty(self) -> None:
        used = self._used()
        if len(used) <= KEEP_SHARE * len(self.rows):
            self.cache.keep(used)
            self.rows = [self.rows[i] for i in used]


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


def _rows_of(scores: torch.Tensor, places: list[RowState | None]) -> torch.Tensor:
    """Return the scores of the places that hold a row."""
    return scores if all(places) else scores[[i for i, row in enumerate(places) if row]]


def _sample(scores: torch.Tensor, temperature: float, sampler: torch.Generator) -> int:
    """scores: (V,), the largest 0, so that no temperature makes them overflow; -inf = not allowed."""
    heated = (scores / temperature).masked_fill(scores == -torch.inf, -torch.inf)  # -inf / inf is no number
    return int(torch.multinomial(torch.softmax(heated, dim=-1).cpu(), 1, generator=sampler))


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
