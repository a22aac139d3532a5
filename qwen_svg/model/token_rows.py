"""The rows of new tokens in an adapter's folder: put into a base for good, kept with an adapter, left out of a copy.

PEFT keeps them beside the base, as LoRA's factors, and copies the whole embeddings at every forward pass to put them
in. Who goes on from such an adapter, or draws with it by vLLM, has them in the base instead: then what is left of the
adapter is LoRA alone, and a model without it (a reference) has the rows too.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from qwen_svg.common.files import read_json, write_json
from qwen_svg.common.run_folder import ADAPTER
from qwen_svg.model.source import new_rows
from qwen_svg.model.svg_tokens import make_rows

CONFIG = "adapter_config.json"
INDICES = "trainable_token_indices"  # in it: ids by the name of a layer
BEFORE, BEHIND = "base_model.model.", ".token_adapter.trainable_tokens_delta"  # the name of a layer, in the file


def read_rows(adapter: Path) -> dict[str, torch.Tensor]:
    """Return the rows in an adapter's folder by their names there, each (new tokens, width); {} where it has none."""
    tensors = load_file(adapter / ADAPTER) if new_rows(adapter) else {}
    return {name: rows for name, rows in tensors.items() if name.endswith(BEHIND)}


def put_into_base(model: Any, adapter: Path) -> None:
    """Make the rows in an adapter's folder rows of the base, in its dtype."""
    make_rows(model, new_rows(adapter))
    for name, rows in read_rows(adapter).items():
        layer = name.removeprefix(BEFORE).removesuffix(BEHIND)
        weight = model.get_submodule(layer).weight
        with torch.no_grad():
            weight[read_json(adapter / CONFIG)[INDICES][layer]] = rows.to(weight)


def copy_rows(origin: Path, folder: Path) -> None:
    """Give the adapter in `folder` the rows of the one in `origin`, on whose base it was trained."""
    _write(folder, load_file(folder / ADAPTER) | read_rows(origin), read_json(origin / CONFIG)[INDICES])


def copy_without_rows(adapter: Path, folder: Path) -> Path:
    """Write an adapter's LoRA alone to `folder`, and return it."""
    write_json(folder / CONFIG, read_json(adapter / CONFIG))
    _write(folder, {n: t for n, t in load_file(adapter / ADAPTER).items() if not n.endswith(BEHIND)}, None)
    return folder


def _write(folder: Path, tensors: dict[str, torch.Tensor], indices: dict[str, list[int]] | None) -> None:
    save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {INDICES: indices})
