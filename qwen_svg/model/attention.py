"""Attention over left-padded rows, each without its padding: nothing is masked, so no position sees nothing.

A padding position in front of a row may attend to nothing at all. Fused kernels answer such a position with NaN in half
precision, and 0 × NaN spreads it into the real ones. Here the padding is cut off before the kernel: it takes its
causal path (1.6 times faster on a CPU than the same with a mask), and a batch needs no B × T × T mask.

Registered with transformers as ROWS_SDPA. What is not plain causal attention over whole rows (a step of decoding, a
sliding window) goes the library's way, with a mask in which padding positions see everything: harmless, since nothing
attends to them and no label is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, causal_mask_function, sdpa_mask
from transformers.modeling_utils import AttentionInterface

ROWS_SDPA = "sdpa_rows"


@dataclass(frozen=True)
class Rows:
    """In place of a mask: the number of padding positions in front of each row."""

    paddings: tuple[int, ...]

    def runs(self) -> Iterator[tuple[slice, int]]:
        """Yield (rows, padding) for each run of rows with the same padding."""
        start = 0
        for i in range(1, len(self.paddings) + 1):
            if i == len(self.paddings) or self.paddings[i] != self.paddings[start]:
                yield slice(start, i), self.paddings[start]
                start = i


def rows_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Any = causal_mask_function,
    attention_mask: torch.Tensor | None = None,
    **kwargs: Any,
) -> Rows | torch.Tensor | None:
    """Called by transformers once per forward pass; every layer gets the result. attention_mask: (B, T), 1 = real."""
    whole = isinstance(q_offset, int) and q_length == kv_length and q_offset == kv_offset == 0
    if whole and mask_function is causal_mask_function:
        if attention_mask is None:
            return Rows((0,) * batch_size)
        real = attention_mask.bool()
        left_padded = (real[:, 1:] >= real[:, :-1]).all() & real[:, -1].all()
        *paddings, left_padded = torch.cat([(~real).sum(-1), left_padded.view(1)]).tolist()  # one wait for a GPU
        if left_padded:
            return Rows(tuple(paddings))
    mask = sdpa_mask(batch_size, q_length, kv_length, q_offset, kv_offset, mask_function, attention_mask, **kwargs)
    return mask if mask is None else mask | ~mask.any(dim=-1, keepdim=True)


def rows_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Rows | torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query (B, heads, T, D), key and value (B, key heads, T, D) → (B, T, heads, D)."""
    if not isinstance(attention_mask, Rows):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    grouped = query.device.type != "cuda" or query.dtype != torch.float32
    if not grouped:  # on a GPU only the half-precision kernels share keys between heads
        groups = query.shape[1] // key.shape[1]
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    outputs = []
    for rows, padding in attention_mask.runs():
        parts = (states[rows, :, padding:] for states in (query, key, value))
        output = F.scaled_dot_product_attention(
            *parts, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        ).transpose(1, 2)
        outputs.append(F.pad(output, (0, 0, 0, 0, padding, 0)) if padding else output)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs), None


AttentionInterface.register(ROWS_SDPA, rows_attention)
AttentionMaskInterface.register(ROWS_SDPA, rows_mask)
