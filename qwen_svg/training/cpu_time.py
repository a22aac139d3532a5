"""How long must a training step take on this CPU? By arithmetic, so that nobody waits for what never ends."""

import time

import torch

from qwen_svg.common.errors import UserError
from qwen_svg.model.device import gigaflops

SLOWEST_STEP = 600  # seconds: a 4-bit base that needs more on a CPU is refused


def tell_time(parameters: int, tokens: float, checkpointing: bool, quantization: str, dtype: torch.dtype) -> None:
    """Print the least time for a step of `tokens` through frozen `parameters`; refuse a large 4-bit base.

    Its products alone, about half of a step in fp32 and a tenth in bf16 where a CPU has units for that: a
    multiplication and an addition per parameter and token forward, the same for the gradient of the input; with
    checkpointing, forward again.
    """
    seconds = (6 if checkpointing else 4) * parameters * tokens / _flops(dtype)
    print(f"on cpu: at least {seconds:,.1f} s a step of {tokens:,.0f} tokens; what is left is told as it runs")
    if quantization and seconds > SLOWEST_STEP:
        raise UserError(
            f"BASE_QUANTIZATION {quantization!r} is made for GPUs: on this CPU a step through {parameters / 1e9:.1f} "
            f"billion parameters would take {seconds / 60:.0f} minutes; train on a GPU, or try the recipe out on a "
            "smaller base with `--base-model`."
        )


def _flops(dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of this CPU in a matrix product, the best of many."""
    a = torch.rand(512, 512).to(dtype)
    return 1e9 * gigaflops(a, a, time.perf_counter, rounds=20)
