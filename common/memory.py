"""How much memory will training take? Estimated from shapes alone: no weights, no data, a few seconds.

The model is built on PyTorch's meta device (shapes without storage) and one forward pass is run there, with a
hook that counts the bytes autograd keeps for the backward pass. So the estimate follows the architecture as it
is, not a formula that fits one family.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch

from common.loss import logits_bytes
from common.tokens import Encoded, LeftPaddingCollator

GIB = 1024**3


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes by what they are for."""

    weights: int  # the frozen base
    adapter: int  # LoRA weights, gradients and AdamW's two moments, all fp32
    activations: int  # kept for the backward pass of one batch
    logits: int  # one block of them and its gradient
    tokens: int  # rows × width of the batch that was assumed: the longest samples
    device: str

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.activations + self.logits

    def table(self) -> str:
        lines = [f"memory estimate on {self.device}, for the longest batch ({self.tokens:,} tokens with padding)"]
        for name in ("weights", "adapter", "activations", "logits", "total"):
            lines.append(f"  {name:<12}{getattr(self, name) / GIB:8.2f} GiB")
        return "\n".join(lines)


def estimate(config, c: SimpleNamespace, rows: list[Encoded]) -> MemoryEstimate:
    """Estimate the peak of training on a batch of `rows` with the constants of train.py in `c`.

    `config`: the base's configuration (`common.model.load_config`).
    """
    from transformers import AutoModelForCausalLM

    from common.model import _PADDED_SDPA, add_adapter, pick_device, pick_dtype

    device = pick_device()
    dtype = pick_dtype(device, c.FP16)
    batch = LeftPaddingCollator(0, c.LOSS_ON)(rows)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=_PADDED_SDPA)
        model = add_adapter(model, c.LORA_RANK, c.LORA_ALPHA, c.LORA_DROPOUT).train()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    kept = _bytes_kept(model, batch, c.ACTIVATION_CHECKPOINTING)
    return MemoryEstimate(
        weights=frozen,
        adapter=16 * trainable,
        activations=kept,
        logits=2 * logits_bytes(device),
        tokens=batch["input_ids"].numel(),
        device=str(device),
    )


def _bytes_kept(model: torch.nn.Module, batch: dict, checkpointing: bool) -> int:
    """Run the blocks (not the head) forward on the meta device; return the bytes autograd keeps."""
    parameters = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = tensor  # holding the tensor keeps the storage's address unique
        return tensor

    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    rows, width = batch["input_ids"].shape
    # The mask is given whole, as the model makes it itself: making it needs values, which meta tensors lack.
    mask = torch.ones(rows, 1, width, width, dtype=torch.bool, device="meta")
    inputs = {name: batch[name].to("meta") for name in ("input_ids", "position_ids")}
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model.get_decoder()(**inputs, attention_mask=mask, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
