"""Scores by transformers: one forward pass for all rows, whose keys and values lie side by side in a KVCache."""

from dataclasses import dataclass
from typing import Any

import torch

from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.kv_cache import KVCache

# Tokens of prompts that are read in one step: on two cores 1,024 of a model of 135 million weights take a second.
STEP_LIMIT = {"cpu": 1024, "cuda": 16384}
KEEP_SHARE = 0.75  # when fewer of the places than this are in use, the empty ones are given up


@dataclass(eq=False)
class Reading:
    """Prompts that are being read side by side, left-padded to the same width."""

    rows: list[RowState | None]  # None = dropped meanwhile
    input_ids: torch.Tensor  # (rows, width)
    mask: torch.Tensor  # the same; 0 = padding
    cache: KVCache
    read: int = 0  # columns


class TransformersDecoder:
    """See `Decoder`."""

    def __init__(self, model: Any, pad_token: int):
        self.model, self.pad_token = model, pad_token
        self.reading: Reading | None = None
        self.places: list[RowState | None] = []  # of the cache
        self.cache: KVCache | None = None

    @property
    def vocabulary(self) -> int:
        return self.model.get_output_embeddings().weight.shape[0]

    @property
    def step_limit(self) -> int:
        return STEP_LIMIT.get(self.model.device.type, STEP_LIMIT["cpu"])

    def unread(self, row: RowState) -> int:
        return len(row.prompt)

    def has_room(self, rows: list[RowState]) -> bool:
        return True  # the cache grows

    def read(self, rows: list[RowState]) -> torch.Tensor | None:
        if not self.reading:
            input_ids, mask = self._padded([row.prompt for row in rows])
            cache = KVCache(mask, given_up=lambda: all(row.given_up for row in rows))
            self.reading = Reading(list(rows), input_ids, mask, cache)
        reading = self.reading
        width = reading.mask.shape[1]
        end = min(width, reading.read + max(1, self.step_limit // len(reading.rows)))
        out = self.model(
            input_ids=reading.input_ids[:, reading.read : end],
            attention_mask=reading.mask[:, :end],
            position_ids=(reading.mask.cumsum(-1) - 1).clamp(min=0)[:, reading.read : end],
            past_key_values=reading.cache,
            logits_to_keep=1,
        )
        reading.read = end
        return _rows_of(out.logits[:, -1], reading.rows) if end == width else None

    def admit(self, rows: list[RowState]) -> None:
        reading, self.reading = self.reading, None
        reading.cache.given_up = None
        if not any(self.places):
            self.cache, self.places = reading.cache, reading.rows
            return
        if (more := len(self._used()) + len(reading.rows) - len(self.places)) > 0:
            self.cache.grow(more)
            self.places += [None] * more
        free = [i for i, row in enumerate(self.places) if row is None][: len(reading.rows)]
        # This moves everybody's keys and values; half done, it would leave a cache that is good for nobody.
        self.cache.admit(free, reading.cache)
        for i, row in zip(free, reading.rows, strict=True):
            self.places[i] = row

    def write(self, rows: list[RowState]) -> torch.Tensor:
        self._give_up_empty()
        self.cache.trim()
        self.cache.extend()
        newest = [[row.tokens[-1] if row else 0] for row in self.places]
        positions = [[len(row.prompt) + len(row.tokens) - 1 if row else 0] for row in self.places]
        out = self.model(
            input_ids=torch.tensor(newest, device=self.model.device),
            attention_mask=self.cache.mask,
            position_ids=torch.tensor(positions, device=self.model.device),
            past_key_values=self.cache,
            logits_to_keep=1,
        )
        scores = out.logits[:, -1]
        return scores if rows == self.places else scores[[self.places.index(row) for row in rows]]

    def drop(self, row: RowState) -> None:
        for places in (self.places, self.reading.rows if self.reading else []):
            if row in places:
                places[places.index(row)] = None
        if self.reading and not any(self.reading.rows):
            self.reading = None

    def _padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, prompts))
        input_ids = torch.full((len(prompts), width), self.pad_token)
        mask = torch.zeros_like(input_ids)
        for i, prompt in enumerate(prompts):
            input_ids[i, -len(prompt) :] = torch.tensor(prompt)
            mask[i, -len(prompt) :] = 1
        return input_ids.to(self.model.device), mask.to(self.model.device)

    def _used(self) -> list[int]:
        return [i for i, row in enumerate(self.places) if row is not None]

    def _give_up_empty(self) -> None:
        used = self._used()
        if len(used) <= KEEP_SHARE * len(self.places):
            self.cache.keep(used)
            self.places = [self.places[i] for i in used]


def _rows_of(scores: torch.Tensor, places: list[RowState | None]) -> torch.Tensor:
    """Return the scores of the places that hold a row."""
    return scores if all(places) else scores[[i for i, row in enumerate(places) if row]]
