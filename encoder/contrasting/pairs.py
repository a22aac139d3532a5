"""Labelled drawings, and batches of pairs of them: all decided by the seed, found by their number."""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from encoder.contrasting.augment import augmented
from encoder.drawing_text import drawing_text
from encoder.loading import reading_of
from encoder.unpadded import unpadded_batch
from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import rows, text_in

LEFT_OUT = 0.1  # share of a drawing's tokens, in whole elements …
FEW = 5  # … where it has so many
_ELEMENT = re.compile(r"<[^<]*")
ONE_IN = 12  # groups for validation, by a hash of their name


@dataclass
class Labelled:
    """Drawings in parallel lists: their full texts, what they show, whose hand they are from."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def add(self, text: str, label: str, source: str) -> None:
        self.texts.append(text)
        self.labels.append(label)
        self.sources.append(source)


def read_labelled(data: str, svg: str, label: str, group: str, source: str) -> tuple[Labelled, Labelled, str]:
    """Return (for training, for validation, SHA-256 of all); svg, label, group, source are names of columns.

    No group falls on two sides. Labelled drawings are few, thousands to a million: they are kept in memory.
    """
    train, valid, digest = Labelled(), Labelled(), hashlib.sha256()
    for row in rows(data):
        text = drawing_text(text_in(row, svg)[0])
        name, fault = text_in(row, label)
        if not text or fault:
            continue
        held = hashlib.sha256(str(row.values.get(group) or name).encode()).digest()[0] % ONE_IN == 0
        (valid if held else train).add(text, name, str(row.values.get(source) or ""))
        digest.update(f"{name}\n{text}\n".encode())
    return train, valid, digest.hexdigest()


class PairBatches(torch.utils.data.Dataset):
    """`count` batches of 2 × `pairs` sequences: the i-th and the (pairs + i)-th show the same, no others do."""

    def __init__(self, data: Labelled, tokenizer: Any, pairs: int, limit: int, seed: int, count: int):
        self.texts, self.tokenizer, self.limit = data.texts, tokenizer, limit
        self.read = reading_of(tokenizer)
        self.pairs, self.seed, self.count = pairs, seed, count
        by_label = defaultdict(list)
        for i, label in enumerate(data.labels):
            by_label[label].append(i)
        self.drawn_twice = [members for members in by_label.values() if len(members) > 1]
        if len(self.drawn_twice) < pairs:
            raise UserError(
                f"only {len(self.drawn_twice)} labels have two drawings or more, and a batch takes {pairs}: give more "
                "data, or fewer PAIRS."
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        random = np.random.default_rng([self.seed, index])
        which = random.choice(len(self.drawn_twice), self.pairs, replace=False)
        chosen = [random.choice(self.drawn_twice[i], 2, replace=False) for i in which]
        return unpadded_batch([self._view(self.texts[pair[side]], random) for side in (0, 1) for pair in chosen])

    def _view(self, text: str, random: np.random.Generator) -> list[int]:
        """Return the token ids of a changed copy, without some of its elements, and without those that do not fit."""
        if not (elements := _ELEMENT.findall(self.read(augmented(text, random)))):
            return [self.tokenizer.cls_token_id, self.tokenizer.sep_token_id]
        elements = self.tokenizer(elements, add_special_tokens=False)["input_ids"]
        left = self.limit - 2 if len(elements) < FEW else min(self.limit - 2, sum(map(len, elements)) * (1 - LEFT_OUT))
        kept = set()
        for i in random.permutation(len(elements)).tolist():
            if len(elements[i]) <= left or not kept:
                kept.add(i)
                left -= len(elements[i])
        ids = [token for i in sorted(kept) for token in elements[i]][: self.limit - 2]
        return [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id]
