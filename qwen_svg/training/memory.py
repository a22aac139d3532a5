"""How much memory will training take? Estimated from shapes alone: no weights, no data, a few seconds.

The model is built on PyTorch's meta device (shapes without storage) and one forward pass is run there, with a hook that
counts the bytes autograd keeps for the backward pass. So the estimate follows the architecture as it is, not a formula
that fits one family. Measured against real runs in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psutil
import torch
from transformers import AutoModelForCausalLM

from qwen_svg.common.processes import processes as launched
from qwen_svg.common.processes import sharding
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.attention import ROWS_SDPA, no_padding
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.loss import rows_at_a_time
from qwen_svg.model.quantization import BITS
from qwen_svg.model.svg_tokens import make_rows
from qwen_svg.training.cpu_time import tell_time
from qwen_svg.training.token_store import StoredRows

GIB = 1024**3
HEADROOM = 0.9  # share of the free memory that a plan may use
# A CPU's heap holds more than what lives in it: gaps between activations, and room for the backward pass's temporaries.
# Measured on two architectures: a quarter of the activations and five times those of one block, counting only tensors
# below 32 MiB; glibc gives larger ones back to the system.
CPU_HEAP = (1 / 4, 5)
ON_HEAP = 32 * 2**20


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by what they are for."""

    weights: int  # the frozen base
    adapter: int  # what is trained, its gradients and AdamW's two moments: fp32, or moments of 8 bits
    activations: int  # kept for the backward pass of one batch
    passing: int  # what comes and goes at the peak: see `_passing`
    heap: int  # see CPU_HEAP; 0 on a GPU
    tokens: int  # rows × width of the batch that was assumed: the longest samples
    parameters: int  # of the frozen base; a number, not bytes

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.passing + self.heap

    def __str__(self) -> str:
        names = ("weights", "adapter", "activations", "passing", "heap")
        parts = (f"{name} {getattr(self, name) / GIB:.2f}" for name in names if getattr(self, name))
        return f"{self.total / GIB:.2f} GiB ({', '.join(parts)}) for a batch of {self.tokens:,} tokens with padding"


def plan(
    config, c: SimpleNamespace, adapter: dict[str, Any], rows: StoredRows, device: torch.device, dtype: torch.dtype
) -> bool:
    """Print the estimate for the longest batch of `rows`; return whether to checkpoint activations.

    config: the base's configuration. c: the constants of train.py; ACTIVATION_CHECKPOINTING "auto" decides by what is
    free on the device, before the weights are loaded. adapter: the arguments of `add_adapter`. Raises UserError for a
    4-bit base that would keep a CPU busy for hours a step.
    """
    longest = rows.longest(c.BATCH_SIZE)
    free = free_bytes(device)
    checkpointing = c.ACTIVATION_CHECKPOINTING == "on"
    shape = config, c, adapter, longest, device, dtype
    needed = divided(estimate(*shape, checkpointing), config, dtype)
    if c.ACTIVATION_CHECKPOINTING == "auto" and needed.total > HEADROOM * free:
        checkpointing = True
        needed = divided(estimate(*shape, checkpointing), config, dtype)
    print(f"memory estimate on {device.type}: {needed}")
    print(f"  {free / GIB:.1f} GiB are free; activation checkpointing is {'on' if checkpointing else 'off'}")
    if needed.total > HEADROOM * free:
        print("  warning: this may not fit; use a smaller `--batch-size` with `--gradient-accumulation`")
    if device.type == "cpu":
        step = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * sum(rows.lengths) / len(rows)
        tell_time(needed.parameters, step, checkpointing, c.BASE_QUANTIZATION, dtype)
    return checkpointing


def divided(needed: MemoryEstimate, config, dtype: torch.dtype, by: str | None = None, processes: int | None = None):
    """Return what one process holds where FSDP or DeepSpeed divide base, adapter and optimizer among several.

    That is its part, and what is gathered for a moment: embedding, head and two blocks (the one in use and the next) in
    FSDP2; up to a billion parameters in ZeRO-3 (its stage3_max_live_parameters). by, processes: else this launch's.
    """
    by = sharding() if by is None else by
    processes = launched() if processes is None else processes
    if not by or processes == 1:
        return needed
    text = config.get_text_config()
    ends = text.vocab_size * text.hidden_size * (1 if text.tie_word_embeddings else 2) * dtype.itemsize
    gathered = ends + 2 * (needed.weights - ends) // text.num_hidden_layers
    if by == "DeepSpeed":
        gathered = max(gathered, 10**9 * dtype.itemsize)
    adapter = needed.adapter // processes + 2 * needed.adapter // 4 // text.num_hidden_layers
    return replace(needed, weights=min(needed.weights, needed.weights // processes + gathered), adapter=adapter)


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def estimate(
    config,
    c: SimpleNamespace,
    adapter: dict[str, Any],
    rows: list[Encoded],
    device: torch.device,
    dtype: torch.dtype,
    checkpointing: bool,
) -> MemoryEstimate:
    """Estimate the peak of training on one batch of `rows`."""
    batch = LeftPaddingCollator(0, c.LOSS_ON)(rows)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=ROWS_SDPA)
        make_rows(model, 1 + max(adapter.get("new_tokens", ()), default=-1))
        weights = _weights(model, c.BASE_QUANTIZATION)
        model = add_adapter(model, **adapter).train()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    moments = 8 if c.OPTIMIZER == "adamw" else 2  # bytes; 8-bit AdamW keeps a byte of each, and few scales
    blocks, labels = config.get_text_config().num_hidden_layers, len(batch["shift_labels"])
    tensors = _kept_by_autograd(model, batch)
    activations, on_heap = sum(tensors), sum(size for size in tensors if size < ON_HEAP)
    share, times = CPU_HEAP if device.type == "cpu" else (0, 0)
    heap = share * on_heap + times * on_heap / blocks
    if checkpointing:  # each block's input, and all of one block
        inputs = blocks * batch["input_ids"].numel() * config.get_text_config().hidden_size * dtype.itemsize
        activations = inputs + activations // blocks
        heap = times * on_heap / blocks
    return MemoryEstimate(
        weights=weights,
        adapter=(8 + moments) * trained,
        activations=activations,
        passing=_passing(config.get_text_config(), batch["input_ids"].numel(), labels, device, dtype),
        heap=int(heap),
        tokens=batch["input_ids"].numel(),
        parameters=frozen,
    )


def _passing(text, tokens: int, labels: int, device: torch.device, dtype: torch.dtype) -> int:
    """Return the bytes that the larger passing thing takes: a block of logits, or a block's MLP on its way back.

    Logits are fp32, in half precision with their copies. In the MLP, gate, up, their product and the gradients of the
    three are alive at once; when they are, the logits are gone. text: the configuration of the base's language part.
    """
    rows = min(labels, rows_at_a_time(labels, text.vocab_size, device))
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return max((4 if dtype == torch.float32 else 8) * text.vocab_size * rows, 6 * tokens * inner * dtype.itemsize)


def _weights(model: torch.nn.Module, quantization: str) -> int:
    """Return the bytes of a base; in 4 bits only the linear layers of the blocks are."""
    whole = sum(p.numel() * p.element_size() for p in model.parameters())
    if not quantization:
        return whole
    head = model.get_output_embeddings()
    linear = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    return whole - sum(int(w.numel() * (w.element_size() - BITS / 8)) for w in linear)


def _kept_by_autograd(model: torch.nn.Module, batch: dict) -> list[int]:
    """Run the blocks (not the head) forward on the meta device; return the bytes of each tensor that autograd keeps."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = tensor  # holding the tensor keeps the storage's address unique
        return tensor

    fused = mock.patch("torch.nn.functional.scaled_dot_product_attention", _fused_attention)
    with fused, torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        input_ids = batch["input_ids"].to("meta")
        model.get_decoder()(input_ids=input_ids, attention_mask=no_padding(input_ids), use_cache=False)
    return [tensor.untyped_storage().nbytes() for tensor in kept.values()]


class _FusedAttention(torch.autograd.Function):
    """What a fused kernel keeps: its inputs, its output, a number a row.

    The meta device's own kernel keeps all attention weights, which no fused kernel does.
    """

    @staticmethod
    def forward(ctx, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, out, torch.empty_like(query[..., 0], dtype=torch.float32))
        return out


def _fused_attention(query, key, value, **_options) -> torch.Tensor:
    return _FusedAttention.apply(query, key, value)
