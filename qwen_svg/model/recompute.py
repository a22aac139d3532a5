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
from functools import partial
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners import lora
from peft.tuners.trainable_tokens import TrainableTokensLayer
from torch.autograd.function import once_differentiable

from qwen_svg.model.lora_factors import pays, scaled, share_casts
from qwen_svg.model.onednn import linear


class Again:
    """What a recipe gives, computed once in a backward pass for all the layers that ask for it (query, key, value)."""

    def __init__(self, compute: Callable[..., torch.Tensor]):
        self.compute, self.asking, self.asked, self.result = compute, 0, 0, None

    def __call__(self, *tensors: torch.Tensor) -> torch.Tensor:
        result = self.compute(*tensors) if self.result is None else self.result
        self.asked += 1
        last = self.asked % self.asking == 0  # nobody is left: it is not kept any longer
        self.result = None if last else result
        return result


class Recipe:
    """How to compute a tensor again: with `again`, from `tensors`, which are kept anyway."""

    def __init__(self, compute: Callable[..., torch.Tensor], *tensors: torch.Tensor):
        self.again, self.tensors = Again(compute), tensors


def recompute_cheap_inputs(model: torch.nn.Module) -> None:
    """Replace, in place, the forward methods of RMSNorm, SwiGLU, LoRA and new tokens' modules."""
    linear = (lora.Linear, lora.Linear4bit) if hasattr(lora, "Linear4bit") else lora.Linear  # 4-bit: with bitsandbytes
    share_casts(model, {name: module for name, module in model.named_modules() if isinstance(module, linear)})
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
    if x.device.type == "cuda" and x.dtype == self.weight.dtype:
        out = _fused_norm(x, self.weight, self.variance_epsilon)
        out.recipe = Recipe(partial(_fused_norm, eps=self.variance_epsilon), x, self.weight)
        return out
    out, scale = _RMSNorm.apply(x, self.weight, self.variance_epsilon)
    out.recipe = Recipe(_scaled, x, self.weight, scale)
    return out


def _mlp_forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    gate, up = self.gate_proj(x), self.up_proj(x)
    hidden = _SwiGLU.apply(gate, up)
    hidden.recipe = Recipe(_gated, gate, up)
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
        self.scaling[name], keep, dropout, partial(self.block.of, self, name),
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
    def forward(ctx, x, recipe, weight_of, bias, a, b, scale, keep, dropout, cast=None):
        """x (..., in), weight_of() (out, in), a (rank, in), b (out, rank), keep bool like x or None → (..., out).

        The weight is asked for again in the backward pass: one that is unpacked from 4 bits is not kept. cast: the
        layer's `BlockFactors.of`.
        """
        # Of the two products only s A x is kept (rank wide, small); x itself is kept, or what the recipe makes it from.
        weight = weight_of()
        dtype = weight.dtype  # fp32 adapters on a half-precision base are multiplied in its dtype, as under autocast
        a_factor, b_factor = _factors(cast, a, b, scale, dtype, backward=False)
        out = linear(x, weight, bias)
        middle = linear(_dropped(x, keep, dropout), a_factor)
        out.view(-1, out.shape[-1]).addmm_(middle.view(-1, len(a)), b_factor.T)
        sources, ctx.again = (recipe.tensors, recipe.again) if recipe else ((x,), None)
        if recipe:
            recipe.again.asking += 1
        ctx.scale, ctx.dropout, ctx.weight_of, ctx.cast = scale, dropout, weight_of, cast
        ctx.save_for_backward(a, b, middle, keep, *sources)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        a, b, middle, keep, *sources = ctx.saved_tensors
        x = ctx.again(*sources) if ctx.again else sources[0]  # made again: an element-wise pass, no product
        # With y = W x + B (s A) x:  dB = dy (s A x)ᵀ,  dA = (s B)ᵀ dy xᵀ,  dx = Wᵀ dy + Aᵀ (s B)ᵀ dy. W is frozen.
        grad = grad.reshape(-1, grad.shape[-1])
        a_factor, b_factor = _factors(ctx.cast, a, b, ctx.scale, grad.dtype, backward=True)
        middle_grad = linear(grad, b_factor.T)
        b_grad = _product(grad.T, middle.view(-1, len(a)), b.dtype)
        a_grad = _product(middle_grad.T, _dropped(x, keep, ctx.dropout).reshape(-1, x.shape[-1]), a.dtype)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = linear(grad, ctx.weight_of().T)
            if keep is None:
                x_grad.addmm_(middle_grad, a_factor)
            else:
                x_grad += _dropped(middle_grad @ a_factor, keep.view_as(x_grad), ctx.dropout)
            x_grad = x_grad.view_as(x)
        return x_grad, None, None, None, a_grad, b_grad, None, None, None, None


class _RMSNorm(torch.autograd.Function):
    """weight · x · scale with scale = 1 / sqrt(mean(x²) + eps), and the weight frozen (Zhang and Sennrich 2019)."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        """x (..., H), weight (H,) → the result, like x; scale (..., 1), fp32. Sums are fp32 whatever x is."""
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).square_()
        scale = squares.div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        ctx.mark_non_differentiable(scale)
        return _scaled(x, weight, scale), scale

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, _):
        x, weight, scale = ctx.saved_tensors
        # With g = dy · weight:  dx = scale · g − x · scale³ · mean(g · x).
        grad = grad * weight
        if x.dtype == torch.float16:  # whose range g · x may exceed: the loss is scaled up
            grad, x = grad.float(), x.float()
        along = (grad * x).sum(-1, keepdim=True, dtype=torch.float32).mul_(scale**3 / x.shape[-1])
        grad.mul_(scale.to(x.dtype)).addcmul_(x, along.to(x.dtype), value=-1)
        return grad.to(weight.dtype), None, None


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
        of_gate = grad * up
        torch.ops.aten.silu_backward.grad_input(of_gate, gate, grad_input=of_gate)  # element by element, in place
        return of_gate, F.silu(gate).mul_(grad)


def _gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return F.silu(gate).mul_(up)


def _scaled(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """scale: fp32 (..., 1)."""
    # Multiplied in fp32, also in half precision: a rounded scale would be wrong in the same way for a whole row. x is
    # widened first: an operation on two dtypes takes a CPU six times as long.
    wide = x * scale if x.dtype == torch.float32 else x.float().mul_(scale)
    return wide.to(x.dtype).mul_(weight)


def _factors(cast, a, b, scale, dtype, backward) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `scaled` does: cast with those of the block where that is due and can be done."""
    of_block = cast(dtype, backward) if cast and dtype != a.dtype and pays(a.device) else None
    return of_block or scaled(a, b, scale, dtype, backward)


def _fused_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """What `_RMSNorm` gives, by a single kernel of CUDA each way. Sums are fp32 there too."""
    with torch.autocast(x.device.type, enabled=False):  # which would cast x to fp32 first
        return F.rms_norm(x, weight.shape, weight, eps)


def _product(x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x y in another dtype. A GPU adds up in fp32 and can leave it so, which saves a rounding and a pass."""
    if x.device.type == "cuda" and x.dtype != dtype == torch.float32:
        return torch.mm(x, y, out_dtype=dtype)
    return (x @ y).to(dtype)


def _dropped(x: torch.Tensor, keep: torch.Tensor | None, dropout: float) -> torch.Tensor:
    return x if keep is None else x * keep / (1 - dropout)
