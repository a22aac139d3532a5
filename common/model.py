"""Loading a base model, its tokenizer and its LoRA adapter: from the hub, a local folder or a .gguf file."""

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from common.attention import ROWS_SDPA
from common.errors import UserError
from common.hub import hub_reachable
from common.lean import make_lean
from common.matmul import quicken

# All linear layers of a Llama/Qwen block. The head stays frozen: it is tied to the embedding and huge.
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load_tokenizer(base: str) -> Any:
    """Return the base's tokenizer, set to pad on the left.

    Raises UserError when the base cannot be had.
    """
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


def load_base(base: str, device: torch.device, dtype: torch.dtype) -> Any:
    """Return the base's weights in `dtype` on `device`, in evaluation mode, with left-padding-safe attention."""
    source = _source(base)
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
    return model.to(device).eval()


def add_adapter(model: Any, rank: int, alpha: int, dropout: float) -> Any:
    """Wrap the base in a fresh LoRA adapter; its weights are fp32 whatever the base's dtype."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM", r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=LORA_TARGETS
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


def merge_adapter(model: Any, adapter: str | Path) -> Any:
    """Return `model` with the adapter saved in folder `adapter` added into its weights (faster to run).

    Raises what `with_adapter` does.
    """
    return with_adapter(model, adapter).merge_and_unload().eval()


def with_adapter(model: Any, adapter: str | Path, is_trainable: bool = False) -> Any:
    """Return `model` with the adapter saved in folder `adapter` beside its weights.

    Raises UserError when the folder holds no usable adapter for this base.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=is_trainable, torch_device="cpu").eval()
    except Exception as error:  # peft raises a different type for each thing that can be wrong with the files
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"the adapter in {adapter} cannot be loaded ({reason}); train again, or copy "
            "adapter_model.safetensors and adapter_config.json from a complete checkpoint-* folder."
        ) from None


def pick_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_dtype(device: torch.device, fp16: bool) -> torch.dtype:
    """fp16 where it is asked for and the device is a GPU; fp32 otherwise (a CPU gains nothing from halves)."""
    return torch.float16 if fp16 and device.type == "cuda" else torch.float32


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
