"""A GPU that is pretended: shapes without values, on a CPU that says it is one, and a count of what would be launched.

The rule: an operation of aten is a kernel, unless it makes a view or allocates memory. One over lists of tensors
(`_foreach_…`, fused AdamW) is as many as CUDA's multi_tensor_apply makes of them. What a single call of cuBLAS, a sort
or an indexing launches inside is not known here and counts as one. A cast is a copy into another dtype. A sync is what
waits for the GPU: the value of a tensor (`.item()`), a shape that depends on values (`nonzero`, indexing by booleans)
and a copy between GPU and host that does not say that it need not wait.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = torch.device("cuda", 0)
DEVICE, ON_GPU = FakeTensor.device, property(lambda _: GPU)
ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "lift_fresh"}
VALUES = {"_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2"}
# multi_tensor_apply takes blocks of so many elements, so many of them at once, of so many tensors by the lists' number.
BLOCK, BLOCKS, TENSORS = 65_536, 320, (110, 64, 48, 36, 30)


class Kernels(TorchDispatchMode):
    """Counts kernels by operation, casts and syncs; while it does, every tensor says that it is on the GPU.

    kept: how many positions a mask of booleans is to have kept.
    """

    def __init__(self, kept: int):
        super().__init__()
        self.kept, self.by_name, self.casts, self.syncs = kept, Counter(), 0, 0

    @property
    def kernels(self) -> int:
        return sum(self.by_name.values())

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        FakeTensor.device = DEVICE  # what computes the shapes must know the truth
        try:
            return self._count(function, args, kwargs or {})
        finally:
            FakeTensor.device = ON_GPU

    def __enter__(self) -> "Kernels":
        FakeTensor.device = ON_GPU
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        FakeTensor.device = DEVICE
        super().__exit__(*error)

    def _count(self, function: Any, args: tuple, kwargs: dict) -> Any:
        name = function.overloadpacket.__name__
        if function.namespace != "aten" or function.is_view or name in ALLOCATIONS:
            return function(*args, **kwargs)
        self.by_name[name] += launches(name, args) if name.startswith(("_foreach", "_fused_adam")) else 1
        indices = args[1] if name in ("index", "index_put", "index_put_", "_index_put_impl_") else ()
        masked = any(x is not None and x.dtype == torch.bool for x in indices)
        self.syncs += masked or name in VALUES
        if name == "_local_scalar_dense":
            return {torch.bool: True, torch.int64: 1}.get(args[0].dtype, 1.0)
        if masked and name == "index":
            (mask,) = indices
            return args[0].new_empty(self.kept, *args[0].shape[mask.dim() :])
        out = function(*args, **kwargs)
        if name == "_to_copy" or name == "copy_":
            source = args[1] if name == "copy_" else args[0]
            self.casts += source.dtype != out.dtype
        elif name == "_foreach_copy_":  # one for all of them
            self.casts += args[0][0].dtype != args[1][0].dtype
        return out


def launches(name: str, args: tuple) -> int:
    """Return how often multi_tensor_apply launches a kernel for an operation on lists of tensors."""
    lists = [x for x in args if isinstance(x, list | tuple) and x and isinstance(x[0], torch.Tensor)]
    lists = [x for x in lists if x[0].dim()] or lists[:1]  # AdamW's counts of steps come with their tensors
    made = not name.endswith("_") and name != "_foreach_norm"  # a list of results
    at_once, count, tensors, blocks = TENSORS[len(lists) + made - 1], 1, 0, 0
    for tensor in lists[0]:
        tensors += 1
        if tensors > at_once:
            count, tensors, blocks = count + 1, 1, 0
        blocks += -(-tensor.numel() // BLOCK)
        count, blocks = count + blocks // BLOCKS, blocks % BLOCKS
    return count


class _Norm(torch.autograd.Function):
    """`F.rms_norm` with a frozen weight: on CUDA a kernel each way, where a CPU composes it of six."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return torch.mul(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple:
        return torch.mul(grad, ctx.saved_tensors[1]), None


class _MadeHere(TorchFunctionMode):
    """What is asked for on the GPU is made here."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        args = tuple(_here(x) for x in args)
        return function(*args, **{name: _here(x) for name, x in kwargs.items()})


def _here(x: Any) -> Any:
    return torch.device("cpu") if isinstance(x, torch.device) and x.type == "cuda" else x


def without_values(model: torch.nn.Module) -> None:
    """Give a model that was built on the meta device the parameters and buffers of the pretended one, in place."""
    made: dict[torch.Tensor, torch.Tensor] = {}  # tied weights stay one
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                new = torch.nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype), parameter.requires_grad)
                module._parameters[name] = made.setdefault(parameter, new)
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else torch.empty(buffer.shape, dtype=buffer.dtype)


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let tensors made within have shapes alone, and the GPU that `Kernels` pretends have units for bf16."""
    autocast = torch.autocast

    def on_cpu(device_type: str, *args: Any, **kwargs: Any) -> Any:  # whose lists of operations are CUDA's here
        return autocast("cpu", *args, **kwargs)

    def norm(x: torch.Tensor, shape: Any, weight: torch.Tensor, eps: float) -> torch.Tensor:
        return _Norm.apply(x, weight)

    with ExitStack() as stack:
        stack.enter_context(mock.patch("torch.nn.functional.rms_norm", norm))
        stack.enter_context(mock.patch("torch.autocast", on_cpu))
        stack.enter_context(mock.patch("torch.cuda.is_bf16_supported", lambda *_, **__: True))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(_MadeHere())
        yield
