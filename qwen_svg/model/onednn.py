"""x Wᵀ + b with a frozen W. On a CPU in fp32 by oneDNN where it is faster; torch's own way is MKL.

MKL reads a weight matrix once for each of few rows, in one thread when there is a single row, and uses half the width
of AMD's AVX-512 units. oneDNN, which comes with torch, does neither: up to 5 times faster while decoding, up to 2 times
in training. Only of many rows on AVX2 is MKL ahead, by 4 to 8 % of a training step.
The op is the one torch.compile puts in place of `F.linear`; it knows no gradient, so that is written here.
"""

import sys
from types import MethodType

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
# Rows from which on MKL is faster, as in training; a step of decoding has fewer.
ROWS_FOR_MKL = 128 if torch.backends.cpu.get_cpu_capability() == "AVX2" else sys.maxsize


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x (..., in), weight (out, in) → (..., out). No gradient: for no_grad, and inside autograd functions."""
    few = 0 < x.numel() < ROWS_FOR_MKL * weight.shape[1]
    if ONEDNN and few and x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    # Of rows that are cut out, like the last of each prompt, torch would copy the whole matrix for each of them.
    return F.linear(x.contiguous(), weight, bias)


def use_onednn(model: torch.nn.Module) -> None:
    """Let the linear layers of a model compute by `linear`, in place, as long as their weights are frozen."""
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.forward = MethodType(_forward, module)


def _forward(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    if not torch.is_grad_enabled():
        return linear(x, self.weight, self.bias)
    if self.weight.requires_grad or torch.is_autocast_enabled(x.device.type):
        return F.linear(x, self.weight, self.bias)
    return _FrozenLinear.apply(x, self.weight, self.bias)


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(weight)
        return linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        return linear(grad, weight.T), None, None
