"""LoRA training that keeps less for the backward pass, and passes over memory less often.

Autograd keeps the input of every LoRA layer: the normalised residual stream (twice a block) and silu(gate) · up. All
are cheap to compute again from tensors that are kept anyway, without any matrix product. So the functions below leave
a recipe on their output, and a LoRA layer keeps what the recipe needs instead of its input. Six tenths of the
activations remain; the results are the same but for rounding.

New tokens' rows are looked up and multiplied by themselves, where peft copies the whole embedding at each use.

`recompute_cheap_inputs` replaces the forward methods of the modules it knows (Llama, Qwen2, Qwen3, Mistral and
their like); others stay as they are, and only keep more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners import lora
from peft.tuners.trainable_tokens import TrainableTokensLayer
from torch.autograd.function import once_differentiable

from qwen_svg.model.onednn import linear


@dataclass(frozen=True)
class Recipe:
    """How to compute a tensor again."""

    compute: Callable[..., torch.Tensor]
    tensors: tuple[torch.Tensor, ...]


def recompute_cheap_inputs(model: torch.nn.Module) -> None:
    """Replace, in place, the forward methods of RMSNorm, SwiGLU, LoRA and new tokens' modules."""
    linear = (lora.Linear, lora.Linear4bit) if hasattr(lora, "Linear4bit") else lora.Linear  # 4-bit: with bitsandbytes
    for module in model.modules():
        if isinstance(module, linear):
            module.forward = MethodType(_lora_forward, module)
        elif isinstance(module, TrainableTokensLayer):
            module.forward = MethodType(_new_tokens_forward, module)
        elif hasattr(module, "variance_epsilon") and not module.weight.requires_grad:
            module.forward = MethodType(_norm_forward, module)
        elif hasattr(module, "gate_proj") and type(module.act_fn).__name__ in ("SiLU", "SiLUActivation"):
            module.forward = MethodType(_mlp_forward, module)


def _norm_forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    eps = self.variance_epsilon
    out = _RMSNorm.apply(x, self.weight, eps)
    out.recipe = Recipe(lambda x, weight: _normalised(x, weight, eps), (x, self.weight))
    return out


def _mlp_forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    gate, up = self.gate_proj(x), self.up_proj(x)
    hidden = _SwiGLU.apply(gate, up)
    hidden.recipe = Recipe(_gated, (gate, up))
    return self.down_proj(hidden)


def _lora_forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    names = [name for name in self.active_adapters if name in self.lora_A]
    if self.disable_adapters or self.merged or len(names) != 1 or names[0] in self.lora_variant or args or kwargs:
        return type(self).forward(self, x, *args, **kwargs)
    (name,) = names
    base = self.get_base_layer()
    weight = _weight_of(base)
    if weight is None:
        return type(self).forward(self, x)
    dropout = getattr(self.lora_dropout[name], "p", 0.0) if self.training else 0.0
    keep = torch.rand_like(x, dtype=torch.float32).ge_(dropout).bool() if dropout else None
    return _LoRALinear.apply(
        x, getattr(x, "recipe", None), weight, base.bias, self.lora_A[name].weight, self.lora_B[name].weight,
        self.scaling[name], keep, dropout,
    )  # fmt: skip


def _weight_of(base: torch.nn.Module) -> Callable[[], torch.Tensor] | None:
    """Return what gives a layer's weight (out, in): as it is, or unpacked from 4 bits. None: it is of another kind."""
    if type(base) is torch.nn.Linear:
        return lambda: base.weight
    state = getattr(base.weight, "quant_state", None)
    # In generation bitsandbytes multiplies without unpacking; and a base that computes in another dtype casts first.
    if state is None or not torch.is_grad_enabled() or base.compute_dtype not in (None, state.dtype):
        return None
    from bitsandbytes.functional import dequantize_4bit

    return lambda: dequantize_4bit(base.weight.data, state)


def _new_tokens_forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    base, names = self.get_base_layer(), self.active_adapters
    plain = type(base) in (torch.nn.Embedding, torch.nn.Linear) and not args and not kwargs
    if self.disable_adapters or self.merged or len(names) != 1 or not plain:
        return type(self).forward(self, x, *args, **kwargs)
    ids = torch.tensor(self.token_indices[names[0]], device=x.device)  # ascending
    rows = self.trainable_tokens_delta[names[0]]
    out = base(x)
    if isinstance(base, torch.nn.Linear):
        return out.index_copy(-1, ids, F.linear(x, rows.to(x.dtype)).to(out.dtype))
    nearest = torch.searchsorted(ids, x).clamp(max=len(ids) - 1)
    return torch.where((ids[nearest] == x).unsqueeze(-1), F.embedding(nearest, rows).to(out.dtype), out)


class _LoRALinear(torch.autograd.Function):
    """x Wᵀ + b + scale · dropout(x) Aᵀ Bᵀ, with W and b frozen."""

    @staticmethod
    def forward(ctx, x, recipe, weight_of, bias, a, b, scale, keep, dropout):
        """x (..., in), weight_of() (out, in), a (rank, in), b (out, rank), keep bool like x or None → (..., out).

        The weight is asked for again in the backward pass: one that is unpacked from 4 bits is not kept.
        """
        # Of the two products only A x is kept (rank wide, small); x itself is kept, or what the recipe makes it from.
        weight = weight_of()
        dtype = weight.dtype  # fp32 adapters on an fp16 base are multiplied in fp16, as under autocast
        out = linear(x, weight, bias)
        middle = linear(_dropped(x, keep, dropout), a.to(dtype))
        out.view(-1, out.shape[-1]).addmm_(middle.view(-1, len(a)), b.to(dtype).T, alpha=scale)
        sources = recipe.tensors if recipe else (x,)
        ctx.compute = recipe.compute if recipe else None
        ctx.scale, ctx.dropout, ctx.weight_of = scale, dropout, weight_of
        ctx.save_for_backward(a, b, middle, keep, *sources)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        a, b, middle, keep, *sources = ctx.saved_tensors
        x = ctx.compute(*sources) if ctx.compute else sources[0]  # made again: an element-wise pass, no product
        # With y = W x + s B A x:  dB = s dy (A x)ᵀ,  dA = s Bᵀ dy xᵀ,  dx = Wᵀ dy + s Aᵀ Bᵀ dy. W is frozen.
        grad = grad.reshape(-1, grad.shape[-1])
        middle_grad = linear(grad, b.to(grad.dtype).T).mul_(ctx.scale)
        b_grad = (grad.T @ middle.view(-1, len(a))).to(b.dtype).mul_(ctx.scale)
        a_grad = (middle_grad.T @ _dropped(x, keep, ctx.dropout).reshape(-1, x.shape[-1])).to(a.dtype)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = linear(grad, ctx.weight_of().T)
            if keep is None:
                x_grad.addmm_(middle_grad, a.to(grad.dtype))
            else:
                x_grad += _dropped(middle_grad @ a.to(grad.dtype), keep.view_as(x_grad), ctx.dropout)
            x_grad = x_grad.view_as(x)
        return x_grad, None, None, None, a_grad, b_grad, None, None, None


class _RMSNorm(torch.autograd.Function):
    """weight · x / sqrt(mean(x²) + eps), in fp32 inside, with the weight frozen (Zhang and Sennrich 2019)."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return _normalised(x, weight, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        # With u = x · r, r = 1 / sqrt(mean(x²) + eps):  dx = r · (g − u · mean(g · u)),  g = dy · weight.
        unit, scale = _unit(x, ctx.eps)
        grad = (grad * weight).float()
        grad -= unit * (grad * unit).mean(-1, keepdim=True)
        return grad.mul_(scale).to(x.dtype), None, None


class _SwiGLU(torch.autograd.Function):
    """silu(gate) · up (Shazeer 2020)."""

    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return _gated(gate, up)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        gate, up = ctx.saved_tensors
        return torch.ops.aten.silu_backward(grad * up, gate), F.silu(gate).mul_(grad)  # d gate, d up


def _gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return F.silu(gate).mul_(up)


def _normalised(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return weight * _unit(x, eps)[0].to(x.dtype)


def _unit(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x scaled to mean square 1, and the factors, in fp32."""
    x = x.float()
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return x * scale, scale


def _dropped(x: torch.Tensor, keep: torch.Tensor | None, dropout: float) -> torch.Tensor:
    return x if keep is None else x * keep / (1 - dropout)
