"""On what a model runs, and in which precision."""

import os

import torch


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the CPU, or, for "auto", a GPU where there is one; several processes (`torchrun`) get one each."""
    if wanted == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if "LOCAL_RANK" in os.environ else torch.device("cuda")


def pick_dtype(device: torch.device, fp16: bool, quantization: str = "") -> torch.dtype:
    """fp16 where it is asked for and the device is a GPU; fp32 otherwise (a CPU gains nothing from halves).

    A 4-bit base computes in bf16 where the GPU has it: bases so large have activations beyond fp16's 65,504.
    """
    if not fp16 or device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if quantization and torch.cuda.is_bf16_supported() else torch.float16
