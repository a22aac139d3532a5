"""Writing a LoRA adapter as a GGUF file, which llama.cpp multiplies beside the weights of a base as they lie in theirs.

Keys and tensor names are those that llama.cpp's `llama-adapter.cpp` reads. Nothing of the base is unpacked or loaded.
"""

import math
import re
from pathlib import Path

import gguf
import numpy as np
from peft import LoraConfig
from peft.utils.other import get_pattern_key
from safetensors.numpy import load_file

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.files import read_json
from qwen_svg.model.gguf import ARCHITECTURES, F16, interleaved
from qwen_svg.model.gguf_reading import first_fields
from qwen_svg.model.source import new_rows

FACTOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<factor>[AB])\.weight")
OTHERWISE = "take `--engine transformers`"


def obstacle(base: str, adapter: Path) -> str:
    """Say why llama.cpp cannot run this adapter on this base, or "". base: a .gguf file, or what is none.

    Raises UserError for an adapter_config.json that cannot be read.
    """
    file = Path(base).expanduser()
    if file.suffix != ".gguf" or not file.is_file():
        return f"its base is {base}, no .gguf file"
    if first_fields(file).get("general.architecture") not in ARCHITECTURES:
        return f"its base is another kind of model than {' or '.join(ARCHITECTURES)}"
    if new_rows(adapter):
        return "it has rows for new tokens"
    config = read_json(adapter / "adapter_config.json")
    if config.get("use_dora") or config.get("modules_to_save") or config.get("bias", "none") != "none":
        return "it is more than two factors a layer"
    return ""


def write_lora(path: Path, base: str, adapter: Path) -> None:
    """Write the adapter in folder `adapter`, factors in float16. base: the .gguf file that it belongs to.

    Scaling (alpha / rank, by layer where peft's patterns say so) is multiplied into B. Raises UserError for a folder
    without a usable adapter.
    """
    fields = first_fields(Path(base).expanduser())
    kind = fields["general.architecture"]
    heads = {"q": fields[f"{kind}.attention.head_count"], "k": fields[f"{kind}.attention.head_count_kv"]}
    names = gguf.get_tensor_name_map(ARCHITECTURES[kind], fields[f"{kind}.block_count"])
    writer = gguf.GGUFWriter(path, kind)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)  # no scaling there: it is in B
    for layer, factor, values in _factors(adapter):
        if factor == "B" and kind == "llama" and (projection := re.search(r"\.([qk])_proj$", layer)):
            values = interleaved(values, heads[projection[1]])
        if not (name := names.get_name(layer)):
            raise UserError(
                f"the adapter in {adapter} has factors of {layer}, which llama.cpp does not know; {OTHERWISE}."
            )
        writer.add_tensor(f"{name}.weight.lora_{factor.lower()}", gguf.quants.quantize(values, F16), raw_dtype=F16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=False)
    writer.close()


def _factors(adapter: Path) -> list[tuple[str, str, np.ndarray]]:
    """Return (layer, "A" or "B", values), float32: A is (rank, in), B (out, rank) and scaled."""
    try:
        config = LoraConfig.from_pretrained(str(adapter))
        tensors = load_file(adapter / "adapter_model.safetensors")
        factors = []
        for name, values in tensors.items():
            layer, factor = FACTOR.fullmatch(name).group("layer", "factor")
            values = values.astype(np.float32)
            if factor == "B":
                key = get_pattern_key(config.alpha_pattern.keys(), layer)
                alpha = config.alpha_pattern.get(key, config.lora_alpha)
                rank = values.shape[1]
                values *= alpha / (math.sqrt(rank) if config.use_rslora else rank)
            factors.append((layer, factor, values))
        return factors
    except Exception as error:  # each library raises its own for what can be wrong with a file
        raise UserError(
            f"the adapter in {adapter} cannot be read ({one_line(error, 200)}); copy adapter_model.safetensors and "
            f"adapter_config.json from a complete checkpoint-* folder, or {OTHERWISE}."
        ) from None
