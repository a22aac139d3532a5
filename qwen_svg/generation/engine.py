"""Letting a model answer many prompts: side by side in slots, each ending where its answer ends.

A finished row's slot goes to the next prompt at once; without that, a batch runs on for its longest row.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
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
# Tokens of prompts that are read in one step, if there are several. The others wait as long: on two cores 1,024 tokens
# of a model of 135 million weights take a second.
PROMPT_TOKENS = {"cpu": 1024, "cuda": 16384}
KEEP_SHARE = 0.75  # when no prompt waits and fewer of the slots than this are in use, the empty ones are given up


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
    temperature: float  # 0 = greedy
    sampler: torch.Generator
    constraint: GrammarConstraint | None = None  # None = free
    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False


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
        self.rows: list[RowState | None] = []  # by slot
        self.cache: KVCache | None = None

    @property
    def busy(self) -> bool:
        return bool(self.waiting) or any(self.rows)

    def constrain(self, rows: list[RowState]) -> None:
        """Let these rows give only legal answers. Raises UserError where one has too few tokens for that."""
        vocabulary = self.model.get_output_embeddings().weight.shape[0]  # may exceed the tokenizer's
        needed = tokens_needed(self.tokenizer)
        grammar = grammar_for(self.tokenizer, vocabulary, tuple(self.stops))
        for row in rows:
            if row.limit < needed:
                raise UserError(
                    f"a legal answer may take {needed} tokens and there is room for {row.limit}; allow for more."
                )
            row.constraint = GrammarConstraint(self.tokenizer, grammar.deep_copy(), row.limit, needed)

    def run(self, rows: Iterable[RowState] = ()) -> Iterator[list[RowState]]:
        """Add these rows and step until none is left; yield after each step the rows that have got a token.

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
        if row in self.waiting:
            self.waiting.remove(row)
        elif row in self.rows:
            self.rows[self.rows.index(row)] = None

    @torch.no_grad()
    def step(self) -> list[RowState]:
        """Add a token to rows: to those let in, when a slot is free, else to all. Return them."""
        start = time.perf_counter()
        if self.waiting and (None in self.rows or len(self.rows) < self.size):
            scores, slots = self._admit()
        else:
            self._give_up_empty()
            scores, slots = self._step(), list(range(len(self.rows)))
        _choose(scores, [self.rows[i] for i in slots])
        advanced = [(i, self.rows[i]) for i in slots if self.rows[i] is not None]
        seconds = (time.perf_counter() - start) / len(advanced)
        for i, row in advanced:
            row.seconds += seconds
            row.ended = self._ended(row) or len(row.tokens) >= row.limit
            if row.ended:
                self.rows[i] = None
        return [row for _, row in advanced]

    def answer(self, row: RowState) -> Answer:
        return _answer(self.tokenizer, row.tokens, self.stops, row.seconds)

    def _ended(self, row: RowState) -> bool:
        if self.past_the_drawing:
            return row.tokens[-1] in self.stops
        return _ended(self.tokenizer, row.tokens, self.stops)

    def _admit(self) -> tuple[torch.Tensor, list[int]]:
        """Run the next prompts and give them empty slots; return their scores (n, V) and slots."""
        rows = self._next()
        input_ids, mask = self._padded([row.prompt for row in rows])
        fresh = KVCache(mask)
        out = self.model(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            past_key_values=fresh,
            logits_to_keep=1,
        )
        if not any(self.rows):
            self.cache, self.rows = fresh, list(rows)
            return out.logits[:, -1], list(range(len(rows)))
        if (more := len(self._used()) + len(rows) - len(self.rows)) > 0:
            self.cache.grow(more)
            self.rows += [None] * more
        free = [i for i, row in enumerate(self.rows) if row is None][: len(rows)]
        self.cache.admit(free, fresh)
        for i, row in zip(free, rows, strict=True):
            self.rows[i] = row
        return out.logits[:, -1], free

    def _next(self) -> list[RowState]:
        """Take as many waiting rows as there are slots for, and as one step may read."""
        limit = PROMPT_TOKENS.get(self.model.device.type, PROMPT_TOKENS["cpu"])
        free, rows, width = self.size - len(self._used()), [], 0
        while self.waiting and len(rows) < free:
            width = max(width, len(self.waiting[0].prompt))
            if rows and (len(rows) + 1) * width > limit:
                break
            rows.append(self.waiting.popleft())
        return rows

    def _padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, prompts))
        input_ids = torch.full((len(prompts), width), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(input_ids)
        for i, prompt in enumerate(prompts):
            input_ids[i, -len(prompt) :] = torch.tensor(prompt)
            mask[i, -len(prompt) :] = 1
        return input_ids.to(self.model.device), mask.to(self.model.device)

    def _step(self) -> torch.Tensor:
        """Run the newest token of every row; return the scores (slots, V) of the next one."""
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
        return out.logits[:, -1]

    def _used(self) -> list[int]:
        return [i for i, row in enumerate(self.rows) if row is not None]

    def _give_up_empty(self) -> None:
        used = self._used()
        if len(used) <= KEEP_SHARE * len(self.rows):
            self.cache.keep(used)
            self.rows = [self.rows[i] for i in used]


def rows_for(prompts: list[list[int]], max_total: int, max_new: int, temperature: float, seed: int) -> list[RowState]:
    rows = []
    for index, prompt in enumerate(prompts):
        sampler = torch.Generator().manual_seed(seed * 1_000_003 + index)
        rows.append(RowState(prompt, max(1, min(max_new, max_total - len(prompt))), temperature, sampler))
    return rows


def _choose(scores: torch.Tensor, rows: list[RowState | None]) -> None:
    """Append the next token to each row. scores: (rows, V)."""
    scores = scores.float()
    for i, row in enumerate(rows):
        if row and row.constraint:
            allowed = row.constraint.mask(scores.shape[1])
            scores[i].masked_fill_(torch.from_numpy(~allowed).to(scores.device), -torch.inf)
    best = scores.argmax(dim=-1).tolist()
    for i, row in enumerate(rows):
        if row:
            token = best[i]
            if row.temperature > 0:
                shares = torch.softmax(scores[i] / row.temperature, dim=-1).cpu()
                token = int(torch.multinomial(shares, 1, generator=row.sampler))
            row.tokens.append(token)
            if row.constraint:
                row.constraint.take(token)


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
