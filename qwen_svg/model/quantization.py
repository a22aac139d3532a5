"""A base in 4 bits (QLoRA, Dettmers et al. 2023): NF4 with the scales quantised too, by bitsandbytes.

The matrices of the blocks take 4.13 bits a weight instead of 16; each is unpacked when it is used, and multiplied in
the run's own precision. Made for GPUs. A CPU can do it too, with exact gradients and hardly slower than fp32: to try a
recipe out.
"""

from typing import Any

import torch
from transformers import BitsAndBytesConfig

from qwen_svg.common.errors import require_package

# 4 bits, an 8-bit scale for each 64 weights, an fp32 scale for each 256 of these.
BITS = 4 + 8 / 64 + 32 / (64 * 256)


def loading_options(dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Return what `from_pretrained` takes to quantise while it loads. dtype: in which products are computed."""
    require_package("bitsandbytes", "BASE_QUANTIZATION 'nf4'")
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": config, "device_map": {"": device}}


def keep_format(model: Any) -> None:
    """Keep bitsandbytes from repacking the weights on a CPU at the first evaluation.

    On CPUs with AVX-512 bf16 it does (0.50), for good; gradients through repacked weights are wrong without an error.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
