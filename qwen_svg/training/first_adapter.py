"""Going on from an adapter that there is, on other data: a second training, not the same one resumed."""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import read_json
from qwen_svg.model.find import find_model
from qwen_svg.model.source import new_rows

SHAPE = {  # of train.py → of peft's adapter_config.json
    "LORA_RANK": "r",
    "LORA_ALPHA": "lora_alpha",
    "LORA_RANK_STABILISED": "use_rslora",
    "LORA_DROPOUT": "lora_dropout",
    "LORA_TARGETS": "target_modules",
}


def take_shape(c: SimpleNamespace) -> None:
    """Make ADAPTER a folder, and LORA_RANK and its kin what they are in it; say which were others.

    Raises UserError where it is no adapter, or one with new tokens.
    """
    folder = Path(find_model(c.ADAPTER, "ADAPTER"))
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"ADAPTER {c.ADAPTER} has no {path.name}; give a run, or the folder of a LoRA adapter.")
    if new_rows(folder) or c.SVG_TOKENS:
        raise UserError(f"ADAPTER {c.ADAPTER}: new tokens (SVG_TOKENS) are for fresh adapters; leave one of them out.")
    config = read_json(path)
    config["target_modules"].sort()  # peft writes a set
    changed = {name: config[key] for name, key in SHAPE.items() if getattr(c, name) != config[key]}
    print(f"beginning with {folder}: " + (", ".join(f"{n} is {v}" for n, v in changed.items()) or "as LORA_… say"))
    vars(c).update(changed, ADAPTER=str(folder))
