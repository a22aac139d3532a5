"""A base's tokenizer."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from qwen_svg.model.source import base_errors, pretrained_arguments


def load_tokenizer(base: str) -> Any:
    """Return the base's tokenizer, set to pad on the left. Raises UserError where it cannot be loaded."""
    file = Path(base).expanduser()
    if file.suffix == ".gguf" and (file.parent / "tokenizer.json").is_file():
        base = str(file.parent)  # model/export.py's: transformers (5.23) leaves new tokens with a space out of the file
    with base_errors(base):
        tokenizer = AutoTokenizer.from_pretrained(**pretrained_arguments(base))
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
