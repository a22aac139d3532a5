"""The factors of LoRA layers as a base in half precision multiplies them: cast to its dtype, one of the two scaled.

The adapter itself is fp32. Casting each matrix when its layer needs it takes a GPU four kernels a layer, and as many
again in the backward pass. Here the first layer of a block to ask has those of the whole block cast, in two kernels;
they are kept until another block asks, so they take no more memory than a block's adapter.
"""

from collections.abc import Iterator
from typing import Any

import torch


def scaled(
    a: torch.Tensor, b: torch.Tensor, scale: float, dtype: torch.dtype, backward: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (scale · A, B), of which the forward pass makes its products, or (A, scale · B) of the backward pass."""
    return (a.to(dtype), (b * scale).to(dtype)) if backward else ((a * scale).to(dtype), b.to(dtype))


def pays(device: torch.device) -> bool:
    """Is it faster to cast a block's factors together? On a CPU one cast just before its product is in the cache."""
    return device.type != "cpu"


class Latest:
    """The factors of the block that asked last, of all blocks of a model."""

    def __init__(self) -> None:
        self.asked_for: tuple = ()
        self.factors: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}

    def forget(self, *_: Any) -> None:
        """A hook before each forward pass of the model: since the last one an optimizer may have changed them."""
        self.asked_for, self.factors = (), {}


class BlockFactors:
    """Gives the factors of a block's LoRA layers."""

    def __init__(self, layers: list[torch.nn.Module], latest: Latest):
        self.layers, self.latest = layers, latest

    def of(
        self, layer: torch.nn.Module, adapter: str, dtype: torch.dtype, backward: bool
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return what `scaled` does for a layer's weights, of the adapter of that name; None where they are divided."""
        asked_for = (self, adapter, dtype, backward)
        if self.latest.asked_for != asked_for:
            layers = [one for one in self.layers if adapter in one.lora_A and _is_whole(one, adapter)]
            self.latest.asked_for = asked_for
            self.latest.factors = dict(zip(layers, _cast(layers, adapter, dtype, backward), strict=True))
        return self.latest.factors.get(layer)


def share_casts(model: torch.nn.Module, layers: dict[str, torch.nn.Module]) -> None:
    """Give each of a model's LoRA layers, by their names, its block's `BlockFactors` as `block`."""
    latest = Latest()
    blocks: dict[str, list[torch.nn.Module]] = {}
    for name, layer in layers.items():
        blocks.setdefault(_block_of(name), []).append(layer)
    for members in blocks.values():
        block = BlockFactors(members, latest)
        for layer in members:
            layer.block = block
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model  # the loss calls it by itself
    decoder.register_forward_pre_hook(latest.forget)


def _block_of(name: str) -> str:
    """Return a module's name up to its first number: model.layers.3.mlp.up_proj → model.layers.3."""
    parts = name.split(".")
    number = next((i for i, part in enumerate(parts) if part.isdecimal()), len(parts) - 1)
    return ".".join(parts[: number + 1])


def _weights(layer: torch.nn.Module, adapter: str) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.lora_A[adapter].weight, layer.lora_B[adapter].weight


def _is_whole(layer: torch.nn.Module, adapter: str) -> bool:
    """Are the weights here? FSDP2 and ZeRO-3 gather those of a layer when it is called, not always with its block's."""
    return all(w.numel() and not hasattr(w, "full_tensor") for w in _weights(layer, adapter))


@torch.no_grad()
def _cast(
    layers: list[torch.nn.Module], adapter: str, dtype: torch.dtype, backward: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    if not layers:
        return iter(())
    factors = [list(one) for one in zip(*(_weights(layer, adapter) for layer in layers), strict=True)]
    to_scale = int(backward)
    factors[to_scale] = list(torch._foreach_mul(factors[to_scale], [layer.scaling[adapter] for layer in layers]))
    made = [[torch.empty_like(w, dtype=dtype) for w in one] for one in factors]
    torch._foreach_copy_(made[0] + made[1], factors[0] + factors[1])
    return zip(*made, strict=True)
