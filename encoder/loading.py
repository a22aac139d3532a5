"""An encoder and its tokenizer from a folder, or one sentence that says why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from encoder.outline import READINGS
from qwen_svg.common.errors import UserError, one_line


def load_tokenizer(folder: str) -> Any:
    """Return the fast tokenizer in `folder`; it must have [CLS], [SEP], [PAD] and [MASK]."""
    if not Path(folder).is_dir():
        raise UserError(f"there is no tokenizer in {folder}; make one with `python -m encoder.train_tokenizer`.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise UserError(f"the tokenizer in {folder} cannot be loaded ({one_line(error)}).") from None
    missing = [n for n in ("cls_token", "sep_token", "pad_token", "mask_token") if getattr(tokenizer, n) is None]
    if missing:
        raise UserError(f"the tokenizer in {folder} has no {', '.join(missing)}; an encoder needs them.")
    return tokenizer


def reading_of(tokenizer: Any) -> Callable[[str], str]:
    """Return the function from a drawing's full text to what the tokenizer was trained on."""
    return READINGS[tokenizer.init_kwargs.get("reading", "full")]


def from_folder(model_class: Any, folder: str, **changes: Any) -> Any:
    """Return the model saved in `folder`, with these changes to its configuration."""
    if not (Path(folder) / "config.json").is_file():
        raise UserError(f"{folder} holds no model (config.json); give the folder of a run that has ended.")
    try:
        return model_class.from_pretrained(folder, **changes)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"the model in {folder} cannot be loaded ({one_line(error)}).") from None


def special_ids(tokenizer: Any) -> dict[str, int]:
    """Return the arguments of ModernBertConfig that name a tokenizer's special tokens: [CLS] begins, [SEP] ends."""
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    return {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": begin, "cls_token_id": begin,
            "eos_token_id": end, "sep_token_id": end}  # fmt: skip
