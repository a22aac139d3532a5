"""How much memory will training take? Estimated from shapes alone: no weights, no data, a few seconds.

The model is built on PyTorch's meta device (shapes without storage) and one forward pass is run there, with a hook that
counts the bytes autograd keeps for the backward pass. So the estimate follows the architecture as it is, not a formula
that fits one family. Measured against real runs in benchmarks/RESULTS.md.
"""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch

from common.loss import logits_bytes
from common.tokens import Encoded, LeftPaddingCollator

GIB = 1024**3
HEADROOM = 0.9  # share of the free memory that a plan may use: allocators fragment


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by what they are for."""

    weights: int  # the frozen base
    adapter: int  # LoRA weights, gradients and AdamW's two moments, all fp32
    activations: int  # kept for the backward pass of one batch
    logits: int  # one block of them and its gradient
    checkpointed: int  # activations with checkpointing: each block's input, and all of one block
    tokens: int  # rows × width of the batch that was assumed: the longest samples

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.logits

    def with_checkpointing(self) -> "MemoryEstimate":
        return replace(self, activations=self.checkpointed)

    def __str__(self) -> str:
        parts = (f"{name} {getattr(self, name) / GIB:.2f}" for name in ("weights", "adapter", "activations", "logits"))
        return f"{self.total / GIB:.2f} GiB ({', '.join(parts)}) for a batch of {self.tokens:,} tokens with padding"


def plan(config, c: SimpleNamespace, rows: list[Encoded], device: torch.device, dtype: torch.dtype) -> bool:
    """Print the estimate for the longest batch of `rows`; return whether to checkpoint activations.

    config: the base's configuration. c: the constants of train.py; ACTIVATION_CHECKPOINTING "auto" decides by what is
    free on the device, before the weights are loaded.
    """
    longest = sorted(rows, key=lambda row: row.length)[-c.BATCH_SIZE :]
    needed = estimate(config, c, longest, dtype)
    free = free_bytes(device)
    checkpointing = c.ACTIVATION_CHECKPOINTING == "on"
    if c.ACTIVATION_CHECKPOINTING == "auto":
        checkpointing = needed.total > HEADROOM * free
    if checkpointing:
        needed = needed.with_checkpointing()
    print(f"memory estimate on {device.type}: {needed}")
    print(f"  {free / GIB:.1f} GiB are free; activation checkpointing is {'on' if checkpointing else 'off'}")
    if needed.total > HEADROOM * free:
        print("  warning: this may not fit; use a smaller `--batch-size` with `--gradient-accumulation`")
    return checkpointing


def free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def estimate(config, c: SimpleNamespace, rows: list[Encoded], dtype: torch.dtype) -> MemoryEstimate:
    """Estimate the peak of training on one batch of `rows`."""
    from transformers import AutoModelForCausalLM

    from common.model import PADDED_SDPA, add_adapter, pick_device

    batch = LeftPaddingCollator(0, c.LOSS_ON)(rows)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=PADDED_SDPA)
        model = add_adapter(model, c.LORA_RANK, c.LORA_ALPHA, c.LORA_DROPOUT).train()
    text = config.get_text_config()
    tokens = batch["input_ids"].numel()
    kept = _bytes_kept(model, batch)
    block_inputs = text.num_hidden_layers * tokens * text.hidden_size * dtype.itemsize
    return MemoryEstimate(
        weights=sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad),
        adapter=16 * sum(p.numel() for p in model.parameters() if p.requires_grad),
        activations=kept,
        logits=2 * logits_bytes(pick_device()),
        checkpointed=block_inputs + kept // text.num_hidden_layers,
        tokens=tokens,
    )


def _bytes_kept(model: torch.nn.Module, batch: dict) -> int:
    """Run the blocks (not the head) forward on the meta device; return the bytes autograd keeps."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = tensor  # holding the tensor keeps the storage's address unique
        return tensor

    rows, width = batch["input_ids"].shape
    # The mask is given whole, as the model makes it itself: making it needs values, which meta tensors lack.
    mask = torch.ones(rows, 1, width, width, dtype=torch.bool, device="meta")
    inputs = {name: batch[name].to("meta") for name in ("input_ids", "position_ids")}
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model.get_decoder()(**inputs, attention_mask=mask, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
