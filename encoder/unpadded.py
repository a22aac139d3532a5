"""Attention over sequences laid end to end in one row, each within itself: no padding is computed, none is masked.

A batch is input_ids (1, T), position_ids (1, T) that begin at 0 with each sequence, and the sequences' lengths in place
of attention masks. On a GPU in half precision torch's own kernel for this does the work; elsewhere sequence after
sequence. Local layers see a band of the diagonal: their work grows with the length, not with its square.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers.modeling_utils import AttentionInterface

UNPADDED = "unpadded"
BLOCK = 256  # queries of a local layer at a time


@dataclass(frozen=True)
class Sequences:
    """In place of a mask: how many tokens each of the sequences in the row has."""

    lengths: tuple[int, ...]

    @cached_property
    def starts(self) -> list[int]:
        return [0, *accumulate(self.lengths)]

    @lru_cache(1)  # noqa: B019  one row is asked for by all layers, then goes with its batch
    def starts_on(self, device: torch.device) -> torch.Tensor:
        return torch.tensor(self.starts, dtype=torch.int32, device=device)


def unpadded_batch(rows: list[Any]) -> dict[str, Any]:
    """Return the arguments of a ModernBERT's forward for `rows`, each a sequence of token ids."""
    sequences = Sequences(tuple(len(row) for row in rows))
    return {
        "input_ids": torch.cat([torch.as_tensor(row, dtype=torch.int64) for row in rows]).unsqueeze(0),
        "position_ids": torch.cat([torch.arange(len(row)) for row in rows]).unsqueeze(0),
        "attention_mask": {"full_attention": sequences, "sliding_attention": sequences},
    }


def unpadded_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Sequences,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query, key, value (1, heads, T, D) → (1, T, heads, D).

    `dropout` is left out on purpose: transformers has one rate for attention weights and the layer's output, and the
    original ModernBERT drops out the output alone.
    """
    reach = module.sliding_window - 1 if module.sliding_window else None  # tokens to either side
    if query.is_cuda and query.dtype != torch.float32:
        return _on_gpu(query, key, value, attention_mask, scaling, reach), None
    outputs = []
    for states in zip(*(x.split(attention_mask.lengths, dim=2) for x in (query, key, value)), strict=True):
        outputs.append(_full(*states, scaling) if reach is None else _local(*states, scaling, reach))
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def _full(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None) -> torch.Tensor:
    return F.scaled_dot_product_attention(query, key, value, scale=scaling)


def _local(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, reach: int
) -> torch.Tensor:
    length = query.shape[2]
    if length <= reach + 1:
        return _full(query, key, value, scaling)
    outputs = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        first, last = max(0, start - reach), min(length, end + reach)
        band = _band(end - start, last - first, start - first, reach, query.device)
        part = slice(first, last)
        outputs.append(
            F.scaled_dot_product_attention(
                query[:, :, start:end], key[:, :, part], value[:, :, part], attn_mask=band, scale=scaling
            )
        )
    return torch.cat(outputs, dim=2)


@lru_cache(256)
def _band(queries: int, keys: int, offset: int, reach: int, device: torch.device) -> torch.Tensor:
    """Return bool (queries, keys): is key j within `reach` of query i, which stands at key i + offset?"""
    distance = torch.arange(keys, device=device) - torch.arange(offset, offset + queries, device=device)[:, None]
    return distance.abs() <= reach


def _on_gpu(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sequences: Sequences,
    scaling: float | None,
    reach: int | None,
) -> torch.Tensor:
    starts, longest = sequences.starts_on(query.device), max(sequences.lengths)
    window = (-1, -1) if reach is None else (reach, reach)
    states = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    return varlen_attn(*states, starts, starts, longest, longest, scale=scaling, window_size=window).unsqueeze(0)


AttentionInterface.register(UNPADDED, unpadded_attention)
