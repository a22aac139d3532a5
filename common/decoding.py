"""Letting a model answer many prompts: side by side in slots, each ending where its answer ends.

A finished row's slot goes to the next prompt at once; without that, a batch runs on for its longest row.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from common.constrained import LegalRow, grammar_for, tokens_needed
from common.errors import UserError
from common.slot_cache import SlotCache
from prompt_template import end_of_turn, extract_svg

CLOSING = "</svg>"
CLOSING_WINDOW = 8  # tokens looked back over for `</svg>`; no tokenizer needs more than 6 for these 6 characters
KEEP_SHARE = 0.75  # when no prompt waits and fewer of the slots than this are in use, the empty ones are given up


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # generated, the end-of-turn token included
    seconds: float  # this row's share of the steps it took part in
    finished: bool  # ended by itself; False = cut at the token limit


@dataclass
class Row:
    """A prompt and the answer it has so far."""

    index: int
    prompt: list[int]
    limit: int  # tokens of the answer
    sampler: torch.Generator
    legal: LegalRow | None = None
    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0


@torch.no_grad()
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
    stops = stop_tokens(tokenizer)
    rows = rows_for(prompts, max_total, max_new, seed)
    if constrained:
        _hold_to_grammar(rows, tokenizer, model.get_output_embeddings().weight.shape[0], stops)
    waiting = deque(sorted(rows, key=lambda row: -len(row.prompt)))  # those let in together are alike in length
    answers: dict[int, Answer] = {}
    slots: list[Row | None] = []
    cache: SlotCache | None = None
    written = steps = 0
    with tqdm(total=len(prompts), desc=progress, unit="drawing", disable=None) as bar:
        while waiting or any(slots):
            start = time.perf_counter()
            if waiting and (not slots or None in slots):
                cache, slots, scores, taking_part = _admit(model, tokenizer, waiting, slots, cache, batch_size)
            else:
                cache, slots = _give_up_empty(cache, slots)
                scores, taking_part = _step(model, cache, slots), list(range(len(slots)))
            _choose(scores, [slots[i] for i in taking_part], temperature)
            active = sum(slots[i] is not None for i in taking_part)
            seconds = (time.perf_counter() - start) / active
            written, steps = written + active, steps + 1
            bar.set_postfix_str(f"{written} tokens", refresh=steps % 20 == 0)  # a first drawing may take minutes
            for i in taking_part:
                row = slots[i]
                if row is None:
                    continue
                row.seconds += seconds
                if _ended(tokenizer, row.tokens, stops) or len(row.tokens) >= row.limit:
                    answers[row.index] = _answer(tokenizer, row.tokens, stops, row.seconds)
                    slots[i] = None
                    bar.update()
    return [answers[i] for i in range(len(prompts))]


def stop_tokens(tokenizer: Any) -> list[int]:
    return sorted({tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)), tokenizer.eos_token_id})


def rows_for(prompts: list[list[int]], max_total: int, max_new: int, seed: int) -> list[Row]:
    rows = []
    for index, prompt in enumerate(prompts):
        sampler = torch.Generator().manual_seed(seed * 1_000_003 + index)
        rows.append(Row(index, prompt, max(1, min(max_new, max_total - len(prompt))), sampler))
    return rows


def _hold_to_grammar(rows: list[Row], tokenizer: Any, vocabulary: int, stops: list[int]) -> None:
    needed, grammar = tokens_needed(tokenizer), grammar_for(tokenizer, vocabulary, tuple(stops))
    for row in rows:
        if row.limit < needed:
            raise UserError(
                f"a legal answer may take {needed} tokens and there is room for {row.limit}; allow for more."
            )
        row.legal = LegalRow(tokenizer, grammar.deep_copy(), row.limit, needed)


def _admit(
    model: Any, tokenizer: Any, waiting: deque[Row], slots: list[Row | None], cache: SlotCache | None, size: int
) -> tuple[SlotCache, list[Row | None], torch.Tensor, list[int]]:
    """Run the next prompts and give them the empty slots; return their scores (n, V) and slots too."""
    free = [i for i, row in enumerate(slots) if row is None] if slots else list(range(min(size, len(waiting))))
    rows = [waiting.popleft() for _ in range(min(len(free), len(waiting)))]
    free = free[: len(rows)]
    width = max(len(row.prompt) for row in rows)
    input_ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        input_ids[i, -len(row.prompt) :] = torch.tensor(row.prompt)
        mask[i, -len(row.prompt) :] = 1
    input_ids, mask = input_ids.to(model.device), mask.to(model.device)
    fresh = SlotCache(mask)
    out = model(
        input_ids=input_ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        past_key_values=fresh,
        logits_to_keep=1,
    )
    if cache is None or not any(slots):
        cache, slots = fresh, list(rows)
        free = list(range(len(rows)))
    else:
        cache.admit(free, fresh)
        for i, row in zip(free, rows, strict=True):
            slots[i] = row
    return cache, slots, out.logits[:, -1], free


def _step(model: Any, cache: SlotCache, slots: list[Row | None]) -> torch.Tensor:
    """Run the newest token of every row; return the scores (slots, V) of the next one."""
    cache.trim()
    cache.extend()
    newest = [[row.tokens[-1] if row else 0] for row in slots]
    positions = [[len(row.prompt) + len(row.tokens) - 1 if row else 0] for row in slots]
    out = model(
        input_ids=torch.tensor(newest, device=model.device),
        attention_mask=cache.mask,
        position_ids=torch.tensor(positions, device=model.device),
        past_key_values=cache,
        logits_to_keep=1,
    )
    return out.logits[:, -1]


def _give_up_empty(cache: SlotCache, slots: list[Row | None]) -> tuple[SlotCache, list[Row | None]]:
    used = [i for i, row in enumerate(slots) if row is not None]
    if len(used) <= KEEP_SHARE * len(slots):
        cache.keep(used)
        slots = [slots[i] for i in used]
    return cache, slots


def _choose(scores: torch.Tensor, rows: list[Row | None], temperature: float) -> None:
    """Append the next token to each row. scores: (rows, V)."""
    scores = scores.float()
    for i, row in enumerate(rows):
        if row and row.legal:
            allowed = row.legal.mask(scores.shape[1])
            scores[i].masked_fill_(torch.from_numpy(~allowed).to(scores.device), -torch.inf)
    best = scores.argmax(dim=-1).tolist()
    shares = torch.softmax(scores / temperature, dim=-1).cpu() if temperature > 0 else None
    for i, row in enumerate(rows):
        if row:
            token = best[i] if shares is None else int(torch.multinomial(shares[i], 1, generator=row.sampler))
            row.tokens.append(token)
            if row.legal:
                row.legal.take(token)


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
