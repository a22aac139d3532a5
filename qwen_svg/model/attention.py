"""Attention over left-padded rows, each without its padding: nothing is masked, so no position sees nothing.

A padding position in front of a row may attend to nothing at all. Fused kernels answer such a position with NaN in half
precision, and 0 × NaN spreads it into the real ones. Here the padding is cut off before the kernel: it takes its
causal path (1.6 times faster on a CPU than the same with a mask), and a batch needs no B × T × T mask. The loss puts
the padding behind the rows beforehand (loss.py): then nothing is cut off, and all rows are one call.

Registered with transformers as ROWS_SDPA. What is not plain causal attention over whole rows (a step of decoding, a
sliding window) goes the library's way, with a mask in which padding positions see everything: harmless, since nothing
attends to them and no label is there.

In bf16 on a CPU the gradient is taken by plain matrix products, a block of queries at a time: there a product of whole
matrices is several times as fast as in fp32, and the fused kernel's backward pass multiplies in small pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, causal_mask_function, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from qwen_svg.model.device import shares_keys

ROWS_SDPA = "sdpa_rows"
# Rows of scores at a time, of all heads and texts together: a block of queries against all keys before them is all that
# exists of the T × T. On a Xeon (2 MB of second-level cache) fewer or more of them took 10 to 30 % longer.
ROWS_OF_SCORES = 2304


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


def no_padding(input_ids: torch.Tensor) -> torch.Tensor:
    """Return an attention mask for rows that need none, bool (B, T), of a single element: it is known by its strides.

    Without any mask transformers would look for several texts in a row, and wait for a GPU to tell.
    """
    return torch.ones((), dtype=torch.bool, device=input_ids.device).expand(input_ids.shape)


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
        if attention_mask is None or not any(attention_mask.stride()):  # see no_padding
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
    by_products = query.device.type == "cpu" and query.dtype == torch.bfloat16 and query.requires_grad and not dropout
    grouped = shares_keys(query)
    if not grouped:
        groups = query.shape[1] // key.shape[1]
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    outputs = []
    for rows, padding in attention_mask.runs():
        parts = (states[rows, :, padding:] for states in (query, key, value))
        if by_products:
            output = _GradientByProducts.apply(*parts, scaling or query.shape[-1] ** -0.5)
        else:
            output = F.scaled_dot_product_attention(
                *parts, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
            )
        output = output.transpose(1, 2)
        outputs.append(F.pad(output, (0, 0, 0, 0, padding, 0)) if padding else output)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs), None


class _GradientByProducts(torch.autograd.Function):
    """Causal attention: forward by the fused kernel, backward by plain products."""

    @staticmethod
    def forward(ctx, query, key, value, scale):
        """query (B, heads, T, D), key and value (B, key heads, T, D) → like query."""
        ctx.save_for_backward(query, key, value)
        ctx.scale = scale
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        query, key, value = ctx.saved_tensors
        batch, heads, width, size = query.shape
        shared = batch * key.shape[1]  # the query heads that share a key head stand under each other: larger products
        query, grad = (x.reshape(shared, -1, width, size) for x in (query * ctx.scale, grad))
        key, value = (x.reshape(shared, width, size) for x in (key, value))
        query_grad = torch.empty_like(query)
        key_grad, value_grad = (torch.zeros_like(x, dtype=torch.float32) for x in (key, value))  # sums over blocks
        block = max(32, ROWS_OF_SCORES // (batch * heads) // 32 * 32)
        future = torch.ones(block, block, dtype=torch.bool, device=query.device).triu_(1)
        for start in range(0, width, block):
            end = min(start + block, width)
            rows = slice(start, end)
            # With P = softmax((scale · Q) Kᵀ), O = P V:  dV = Pᵀ dO,  dP = dO Vᵀ,  dS = P · (dP − Σ P · dP),
            # dK = dSᵀ (scale · Q),  dQ = scale · dS K.
            q, dout = (x[:, :, rows].reshape(shared, -1, size) for x in (query, grad))
            k, v = key[:, :end], value[:, :end]
            scores = torch.bmm(q, k.transpose(1, 2))
            triangle = scores.view(shared, -1, end - start, end)[..., rows]
            triangle.masked_fill_(future[: end - start, : end - start], -torch.inf)
            p = torch.softmax(scores, dim=-1)
            value_grad[:, :end] += torch.bmm(p.transpose(1, 2), dout)
            ds = torch._softmax_backward_data(torch.bmm(dout, v.transpose(1, 2)), p, -1, p.dtype)
            query_grad[:, :, rows] = torch.bmm(ds, k).view(shared, -1, end - start, size)
            key_grad[:, :end] += torch.bmm(ds.transpose(1, 2), q)
        of_keys = (x.to(key.dtype).view(batch, -1, width, size) for x in (key_grad, value_grad))
        return query_grad.mul_(ctx.scale).view(batch, heads, width, size), *of_keys, None


AttentionInterface.register(ROWS_SDPA, rows_attention)
AttentionMaskInterface.register(ROWS_SDPA, rows_mask)
