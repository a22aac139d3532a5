"""Loading a model that somebody names: base, tokenizer, adapter, in the precision it was trained in."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

from qwen_svg.model.adapter import merge_adapter, train_adapter, with_adapter
from qwen_svg.model.attention import ROWS_SDPA
from qwen_svg.model.device import CPU_DTYPES, pick_cpu_dtype, pick_device, pick_dtype
from qwen_svg.model.onednn import use_onednn
from qwen_svg.model.quantization import keep_format, loading_options
from qwen_svg.model.source import ModelSource, base_errors, find_source, pretrained_arguments
from qwen_svg.model.tokenizer import load_tokenizer

LARGE = 256  # hidden units: below it no precision is faster than another


@dataclass(frozen=True)
class LoadedModel:
    """A model, ready to run, with what belongs to it."""

    model: Any
    tokenizer: Any
    source: ModelSource
    device: torch.device
    dtype: torch.dtype  # in which it computes

    @property
    def prompt_form(self) -> str:
        return self.source.prompt_form

    @property
    def max_length(self) -> int:
        """Tokens, prompt and answer."""
        return self.source.max_length


def load_model(
    source: str | ModelSource,
    adapter: Literal["merged", "beside", "trainable", "none"] = "merged",
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> LoadedModel:
    """Load the model that `source` names (see `find_source`), by default to draw with.

    adapter: "merged" into the weights, which is fastest; "beside" them; "trainable"; "none" leaves it out and
    takes the base's own tokenizer. device, dtype: None = a GPU where there is one, and what the model was trained in.
    Raises UserError for what cannot be found or loaded.
    """
    source = find_source(source) if isinstance(source, str) else source
    device = pick_device() if device is None else device
    dtype = pick_dtype(device, source.fp16, source.quantization, source.bf16) if dtype is None else dtype
    tokenizer = load_tokenizer(source.base if adapter == "none" else source.tokenizer or source.base)
    model = load_base(source.base, device, dtype, source.quantization)
    if source.adapter and adapter != "none":
        put_on = {"merged": merge_adapter, "beside": with_adapter, "trainable": train_adapter}[adapter]
        model = put_on(model, source.adapter)
    return LoadedModel(model, tokenizer, source, device, dtype)


def load_to_draw(source: ModelSource) -> LoadedModel:
    """Load a model as `load_model` does, on a CPU in what it multiplies faster, fp32 or bf16, which halves its memory.

    Scores, exports and what is trained on stay in the precision of the training.
    """
    device, dtype = pick_device(), None
    if device.type == "cpu" and not source.quantization:
        config = load_config(source.base)
        if config.get_text_config().hidden_size >= LARGE:
            dtype = CPU_DTYPES[pick_cpu_dtype("auto", config)[0]]
    return load_model(source, device=device, dtype=dtype)


def load_config(base: str) -> Any:
    """Return the base's configuration (sizes, layers): a few kB, no weights."""
    with base_errors(base):
        return AutoConfig.from_pretrained(**pretrained_arguments(base))


def load_base(base: str, device: torch.device, dtype: torch.dtype, quantization: str = "") -> Any:
    """Return the base's weights in `dtype` on `device`, in evaluation mode, with left-padding-safe attention.

    quantization: "nf4" keeps the blocks' matrices in 4 bits and multiplies in `dtype`; "" keeps nothing so.
    """
    arguments = pretrained_arguments(base)
    if quantization:
        arguments |= loading_options(dtype, device)
    if "gguf_file" in arguments:
        # Unpacked to plain tensors: the Trainer refuses to train on GGUF's quantised blocks.
        arguments["quantization_config"] = GgufConfig(dequantize=True)
    with base_errors(base):
        # Without dtype= transformers loads what the file says, mostly bf16: 7 times slower on a CPU that has
        # no bf16 units, and no match for fp16 training on a GPU.
        model = AutoModelForCausalLM.from_pretrained(**arguments, dtype=dtype)
    model.set_attn_implementation(ROWS_SDPA)
    use_onednn(model)
    model.config._name_or_path = model.name_or_path = base  # for adapter_config.json; a GGUF file names none
    if quantization:
        keep_format(model)
    else:
        model = model.to(device)
    return model.eval()
