"""A LoRA adapter around a base: a fresh one, one to go on training, one to draw with."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.model.recompute import recompute_cheap_inputs
from qwen_svg.model.source import new_rows
from qwen_svg.model.svg_tokens import make_rows
from qwen_svg.model.token_rows import copy_rows, put_into_base

# peft's word for all linear layers of the blocks. The output layer stays frozen: it is huge, and often tied.
ALL_LINEAR = "all-linear"


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
    """Return `model` with the adapter saved in folder `adapter`, to be trained on. Raises what `with_adapter` does.

    Rows of new tokens stay as they are: the base has them, and they are saved with the adapter again.
    """
    adapter = Path(adapter)
    model = _to_train(with_adapter(model, adapter, is_trainable=True))
    if new_rows(adapter):
        save = model.save_pretrained

        def save_with_rows(folder: str, **options: Any) -> None:
            save(folder, **options)
            copy_rows(adapter, Path(folder))

        model.save_pretrained = save_with_rows
    return model


def _to_train(model: Any) -> Any:
    recompute_cheap_inputs(model)
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

    is_trainable: rows of new tokens are put into the weights, where no step has to copy them. Raises UserError when
    the folder holds no usable adapter for this base.
    """
    adapter = Path(adapter)
    make_rows(model, new_rows(adapter))
    try:
        config = PeftConfig.from_pretrained(str(adapter))
        if is_trainable:
            put_into_base(model, adapter)
            config.trainable_token_indices = None
        options = {"config": config, "is_trainable": is_trainable, "torch_device": "cpu"}
        return PeftModel.from_pretrained(model, str(adapter), **options).eval()
    except Exception as error:  # peft raises a different type for each thing that can be wrong with the files
        raise UserError(
            f"the adapter in {adapter} cannot be loaded ({one_line(error, 200)}); train again, or copy "
            "adapter_model.safetensors and adapter_config.json from a complete checkpoint-* folder."
        ) from None
