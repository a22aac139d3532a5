"""Sequences packed into rows of about the same number of tokens, with some tokens hidden: all decided by the seed.

A pack is found by its number alone, so a run that is resumed sees the same packs with the same tokens hidden, and
nothing has to be skipped over.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from encoder.pretraining.token_file import TokenFile
from encoder.unpadded import unpadded_batch
from qwen_svg.common.tokens import IGNORED

KEPT, RANDOM = 0.1, 0.1  # shares of the predicted tokens that are left as they are, or replaced by any other (BERT)


class Masking:
    """Hides `share` of the tokens of a row; [CLS] and [SEP] never."""

    def __init__(self, tokenizer: Any, share: float):
        self.share, self.mask = share, tokenizer.mask_token_id
        self.special = np.asarray(sorted(tokenizer.all_special_ids))
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), self.special)

    def __call__(self, ids: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (ids with some hidden, labels with IGNORED elsewhere), both int64 like `ids`."""
        predicted = (random.random(len(ids)) < self.share) & ~np.isin(ids, self.special)
        how = random.random(len(ids))
        hidden = np.where(predicted & (how >= KEPT), self.mask, ids)
        other = predicted & (how >= KEPT) & (how < KEPT + RANDOM)
        hidden[other] = random.choice(self.ordinary, other.sum())
        return hidden, np.where(predicted, ids, IGNORED)


class Packs(torch.utils.data.Dataset):
    """`count` packs (None: those of one pass) of at most `pack_tokens` tokens, over as many passes as that takes."""

    def __init__(
        self, file: TokenFile, numbers: np.ndarray, limit: int, pack_tokens: int, masking: Masking, seed: int,
        count: int | None = None,
    ):  # fmt: skip
        self.file, self.numbers, self.limit, self.pack_tokens = file, numbers, limit, pack_tokens
        self.masking, self.seed = masking, seed
        self.lengths = np.minimum(file.lengths()[numbers], limit)
        self.firsts = [0]  # number of the first pack of each pass
        while count is None or self.firsts[-1] < count:
            self.firsts.append(self.firsts[-1] + len(self._pass(len(self.firsts) - 1)[1]))
            if count is None:
                break
        self.count = self.firsts[-1] if count is None else count
        self._pass = lru_cache(1)(self._pass)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        number = int(np.searchsorted(self.firsts, index, side="right")) - 1
        order, starts = self._pass(number)
        start, end = [*starts, len(order)][index - self.firsts[number] :][:2]
        rows = [self.file.sequence(n, self.limit) for n in self.numbers[order[start:end]]]
        ids, labels = self.masking(np.concatenate(rows), np.random.default_rng([self.seed, 1, index]))
        batch = unpadded_batch(rows)
        return batch | {"input_ids": torch.from_numpy(ids)[None], "labels": torch.from_numpy(labels)[None]}

    def _pass(self, number: int) -> tuple[np.ndarray, list[int]]:
        """Return (the order of the sequences, where in it each pack starts)."""
        order = np.random.default_rng([self.seed, 0, number]).permutation(len(self.numbers))
        ends = np.cumsum(self.lengths[order])
        starts, filled = [0], 0
        while (following := int(np.searchsorted(ends, filled + self.pack_tokens, side="right"))) < len(order):
            starts.append(following)
            filled = int(ends[following - 1])
        return order, starts
