"""Loading a base model, its tokenizer and its LoRA adapter: from the hub, a local folder or a .gguf file."""

import os
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from qwen_svg.common.errors import UserError
from qwen_svg.common.hub import hub_reachable
from qwen_svg.model.attention import ROWS_SDPA
from qwen_svg.model.onednn import quicken
from qwen_svg.model.recompute import make_lean

# peft's word for all linear layers of the blocks. The output layer stays frozen: it is huge, and often tied.
ALL_LINEAR = "all-linear"


def load_tokenizer(base: str) -> Any:
    """Return the base's tokenizer, set to pad on the left.

    Raises UserError when the base cannot be had.
    """
    file = Path(base).expanduser()
    if file.suffix == ".gguf" and (file.parent / "tokenizer.json").is_file():
        base = str(
            file.parent
        )  # from qwen_svg.model.export: transformers (5.23) leaves new tokens with a space out of the file
    with _base_errors(base):
        tokenizer = AutoTokenizer.from_pretrained(**_source(base))
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(base: str) -> Any:
    """Return the base's configuration (sizes, layers): a few kB, no weights."""
    with _base_errors(base):
        return AutoConfig.from_pretrained(**_source(base))


def load_base(base: str, device: torch.device, dtype: torch.dtype, quantization: str = "") -> Any:
    """Return the base's weights in `dtype` on `device`, in evaluation mode, with left-padding-safe attention.

    quantization: "nf4" keeps the blocks' matrices in 4 bits and multiplies in `dtype`; "" keeps nothing so.
    """
    source = _source(base)
    if quantization:
        from qwen_svg.model.quantization import loading_options

        source |= loading_options(dtype, device)
    if "gguf_file" in source:
        from transformers import GgufConfig

        # Unpacked to plain tensors: the Trainer refuses to train on GGUF's quantised blocks.
        source["quantization_config"] = GgufConfig(dequantize=True)
    with _base_errors(base):
        # Without dtype= transformers loads what the file says, mostly bf16: 7 times slower on a CPU that has
        # no bf16 units, and no match for fp16 training on a GPU.
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=dtype)
    model.set_attn_implementation(ROWS_SDPA)
    quicken(model)
    model.config._name_or_path = model.name_or_path = base  # for adapter_config.json; a GGUF file names none
    if quantization:
        from qwen_svg.model.quantization import keep_format

        keep_format(model)
    else:
        model = model.to(device)
    return model.eval()


def add_adapter(
    model: Any,
    rank: int,
    alpha: int,
    dropout: float,
    targets: Sequence[str] = (ALL_LINEAR,),
    rslora: bool = False,
    new_tokens: Sequence[int] = (),
) -> Any:
    """Wrap the base in a fresh LoRA adapter; its weights are fp32 whatever the base's dtype.

    targets: names of linear layers. rslora: the update is scaled by alpha / sqrt(rank) instead of alpha / rank
    (Kalajdzievski 2023). new_tokens: ids whose rows of the embeddings, and of an untied output layer, are trained too.
    Raises UserError for targets that the base has not got.
    """
    from peft import LoraConfig, get_peft_model

    _refuse_unknown(targets, model)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=ALL_LINEAR if ALL_LINEAR in targets else list(targets),
        use_rslora=rslora,
        trainable_token_indices={name: list(new_tokens) for name in _embedding_names(model)} if new_tokens else None,
    )
    return _to_train(get_peft_model(model, config))


def train_adapter(model: Any, adapter: str | Path) -> Any:
    """Return `model` with the adapter saved in folder `adapter`, to be trained on. Raises what `with_adapter` does."""
    return _to_train(with_adapter(model, adapter, is_trainable=True))


def _to_train(model: Any) -> Any:
    make_lean(model)
    # Only the trained adapter is ever saved; peft would ask the hub, at each save, whether the vocabulary has grown.
    model.save_pretrained = partial(
        model.save_pretrained, save_embedding_layers=False, selected_adapters=[model.active_adapter]
    )
    # An fp16 adapter would fail in the GradScaler ("Attempting to unscale FP16 gradients").
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
    return model


def _refuse_unknown(targets: Sequence[str], model: Any) -> None:
    """peft passes over a name that fits nothing, as long as another one fits."""
    head = model.get_output_embeddings()
    linear = (n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head)
    known = [ALL_LINEAR, *dict.fromkeys(name.rpartition(".")[2] for name in linear)]
    if unknown := [name for name in targets if name not in known]:
        raise UserError(f"LORA_TARGETS: this base's blocks have no layer {unknown[0]!r}; there are {', '.join(known)}.")


def _embedding_names(model: Any) -> list[str]:
    """The module names of the embeddings and of the output layer; peft finds out whether they are tied."""
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    return [name for name, module in model.named_modules() if any(module is layer for layer in layers)]


def merge_adapter(model: Any, adapter: str | Path) -> Any:
    """Return `model` with the adapter saved in folder `adapter` added into its weights (faster to run).

    A 4-bit base keeps it beside its weights: rounded again to 4 bits, the sum would not be what was trained.
    Raises what `with_adapter` does.
    """
    model = with_adapter(model, adapter)
    return model if is_quantized(model) else model.merge_and_unload().eval()


def is_quantized(model: Any) -> bool:
    return getattr(model, "is_loaded_in_4bit", False)


def with_adapter(model: Any, adapter: str | Path, is_trainable: bool = False) -> Any:
    """Return `model` with the adapter saved in folder `adapter` beside its weights.

    Raises UserError when the folder holds no usable adapter for this base.
    """
    from peft import PeftModel

    from qwen_svg.model.svg_tokens import make_rows, new_rows

    make_rows(model, new_rows(Path(adapter)))
    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=is_trainable, torch_device="cpu").eval()
    except Exception as error:  # peft raises a different type for each thing that can be wrong with the files
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the adapter in {adapter} cannot be loaded ({reason}); train again, or copy "
            "adapter_model.safetensors and adapter_config.json from a complete checkpoint-* folder."
        ) from None


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


# --- where a base comes from --------------------------------------------------------------------------------


def _source(base: str) -> dict[str, Any]:
    """Turn the BASE_MODEL constant into arguments of `from_pretrained`."""
    path = Path(base).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UserError(
                f"base model file {base} does not exist; give another in its place, or get the small one with "
                "`make model`."
            )
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    if path.is_dir():
        return {"pretrained_model_name_or_path": str(path)}
    if base.startswith((".", "/", "~")) or base.count("/") != 1:
        raise UserError(
            f"base model folder {base} does not exist; give a folder, a .gguf file or a hub id (owner/name) in its "
            "place."
        )
    if not hub_reachable():
        # Straight to the cache: the hub client would retry for the better part of a minute.
        return {"pretrained_model_name_or_path": base, "local_files_only": True}
    return {"pretrained_model_name_or_path": base}


@contextmanager
def _base_errors(base: str):
    """Turn the many ways a base can be missing or broken into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0][:160]
        raise UserError(
            f"base model {base} cannot be had ({type(error).__name__}: {reason}). Three ways out: connect this "
            "machine to the hub (`hf auth login` for gated models); give a local folder or .gguf file in its place "
            "(`--base-model` to train, `--model` to draw); or take the small model that `make model` fetches."
        ) from None
