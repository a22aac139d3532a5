"""On what a model runs, and in which precision."""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from qwen_svg.common.errors import UserError
from qwen_svg.common.processes import broadcast, is_main
from qwen_svg.model.spinning import spin_while_cores_are_free

CPU_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ROWS = 256  # of the product that is measured: a quarter of a batch
LARGEST_SIDE = 2048  # of its weight: larger ones are as fast, and take longer
# How much faster bf16 must be: a CPU without units for it is slower, one with them 2 to 8 times as fast, so measuring
# anew gives the same answer. Below that, fp32's digits are worth more.
WORTH_IT = 1.4
SLOW = 0.1  # seconds of a product; then another round would tell nothing

# On H100, H200 and B200 torch takes cuDNN's attention first. It makes a plan for each exact shape, and a step of ours
# has new ones, as has each token that is decoded; its gradient under a mask is NaN (pytorch#196678), and with few key
# heads it spoils generation on B200 (pytorch#193893). The flash and memory-efficient kernels do neither.
torch.backends.cuda.enable_cudnn_sdp(False)


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the CPU, or, for "auto", a GPU where there is one; several processes (`torchrun`) get one each."""
    if wanted != "cpu" and torch.backends.mps.is_available():
        _say_once("note: Apple's GPU (MPS) is not used, since nothing has been tried on it; this runs on the CPU")
    if wanted == "cpu" or not torch.cuda.is_available():
        spin_while_cores_are_free()
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if "LOCAL_RANK" in os.environ else torch.device("cuda")


@cache
def _say_once(text: str) -> None:
    print(text)


def multiplies_bf16() -> bool:
    """Has the GPU units for bf16? Those before Ampere (T4, V100) only emulate it, and torch counts that unless told."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def gpu_is_lost() -> bool:
    """Has an error ended CUDA's context, so that whatever this process asks of the GPU will fail?"""
    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:  # torch.AcceleratorError is one
        return True
    return False


def shares_keys(query: torch.Tensor) -> bool:
    """Can attention read one key head for several query heads (`enable_gqa`) without keeping all weights, T × T?

    On a GPU that is the flash kernel alone. It takes half precision, and the cards that have bf16.
    """
    return query.device.type != "cuda" or (query.dtype != torch.float32 and multiplies_bf16())


def pick_dtype(device: torch.device, fp16: bool, quantization: str = "", bf16: bool = False) -> torch.dtype:
    """bf16 or fp16 where it is asked for and the device is a GPU; fp32 otherwise.

    A 4-bit base computes in bf16 where the GPU has units for it: bases so large have activations beyond fp16's 65,504.
    Raises UserError where bf16 is asked of a GPU that has none.
    """
    if device.type != "cuda":
        return torch.float32
    if bf16:
        if not multiplies_bf16():
            name = torch.cuda.get_device_name(device)
            raise UserError(f"BF16 is on, and {name} only emulates bf16 (Ampere and later have it); use `--no-bf16`.")
        return torch.bfloat16
    if not fp16:
        return torch.float32
    return torch.bfloat16 if quantization and multiplies_bf16() else torch.float16


def pick_cpu_dtype(wanted: str, config: Any) -> tuple[str, dict[str, float]]:
    """Return the name of a dtype, and the GFLOPS by name. wanted: "fp32", "bf16", or "auto", the faster of them.

    config: the base's. Most server CPUs of the last years have units that multiply bf16 2 to 8 times as fast as fp32
    (AMX, AVX512-BF16); without them it is 7 times slower. fp16 is measured too, and never chosen: in its range a loss
    needs scaling, and nothing here is faster in it than in bf16.
    """
    measured = measure_cpu(config)
    if wanted == "auto":
        wanted = "bf16" if measured["bf16"] > WORTH_IT * measured["fp32"] else "fp32"
    told = ", ".join(f"{name} {speed:,.0f}" for name, speed in measured.items())
    print(f"a thread of this CPU multiplies at {told} GFLOPS; computing in {wanted}")
    return wanted, measured


def pick_precision(c: Any, device: torch.device, config: Any) -> tuple[torch.dtype, dict[str, Any]]:
    """Return the dtype of a training or a test, and what environment.json says about the choice.

    c: constants of train.py; CPU_DTYPE "auto" becomes what was chosen, which config.yml records: a run that is resumed
    keeps it, whatever is measured then. config: the base's.
    """
    if device.type == "cuda" or c.BASE_QUANTIZATION:  # in 4 bits a CPU multiplies by bitsandbytes' own kernels
        return pick_dtype(device, c.FP16, c.BASE_QUANTIZATION, c.BF16), {}
    # One measures for all: of a small model two processes of a launch could choose two dtypes.
    c.CPU_DTYPE, measured = broadcast(pick_cpu_dtype(c.CPU_DTYPE, config) if is_main() else None)
    return CPU_DTYPES[c.CPU_DTYPE], {"cpu_gflops": measured}


def measure_cpu(config: Any) -> dict[str, float]:
    """Return the GFLOPS of a thread, in each of CPU_DTYPES, of a product with a weight of this model's shape.

    Takes half a second where bf16 is slow, else less. In a thread's own CPU time: what else is running must not choose
    the precision.
    """
    text = config.get_text_config()
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    out, within = min(inner, LARGEST_SIDE), min(text.hidden_size, LARGEST_SIDE)
    x, weight = torch.rand(ROWS, within) - 0.5, torch.rand(out, within) - 0.5
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {
            name: round(gigaflops(x.to(dtype), weight.to(dtype), time.thread_time), 1)
            for name, dtype in CPU_DTYPES.items()
        }
    finally:
        torch.set_num_threads(threads)


def gigaflops(x: torch.Tensor, weight: torch.Tensor, clock: Callable[[], float], rounds: int = 4) -> float:
    """Return the GFLOPS of x (rows, in) times weight (out, in), transposed, by a clock in seconds: the best round's."""
    best = float("inf")
    for _ in range(rounds):  # the first one builds the kernel
        start = clock()
        torch.nn.functional.linear(x, weight)
        best = min(best, clock() - start)
        if best > SLOW:
            break
    return 2 * len(x) * weight.numel() / best / 1e9
