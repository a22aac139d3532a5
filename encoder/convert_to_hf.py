"""A ModernBERT checkpoint as its authors' code writes it (Composer, FlexBERT) → a folder that Hugging Face loads.

Reads   CONFIG, the .yaml the model was trained with; CHECKPOINT, Composer's .pt (or the tensors alone, also as
        .safetensors); TOKENIZER, a folder.
Writes  OUTPUT: config.json and model.safetensors of a ModernBertForMaskedLM, and the tokenizer with --save-tokenizer.

    python -m encoder.convert_to_hf --config path/to/config.yaml --checkpoint path/to/latest-rank0.pt \\
        --tokenizer path/to/tokenizer --output path/to/save --save-tokenizer

Every tensor is accounted for: one that is missing, left over or of another size is an error, and so is a setting that
Hugging Face's ModernBERT has not.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, one_line, run
from qwen_svg.common.files import refuse_existing

CONFIG: str = ""  # training configuration (.yaml), or its model_config alone (.yaml, .json)
CHECKPOINT: str = ""  # .pt that Composer wrote, or .safetensors
TOKENIZER: str = ""  # folder of the tokenizer it was trained with
OUTPUT: str = ""  # folder; never written over
SAVE_TOKENIZER: bool = False  # put the tokenizer into OUTPUT too


def check_constants(c: SimpleNamespace) -> None:
    for name in ("CONFIG", "CHECKPOINT", "TOKENIZER", "OUTPUT"):
        if not getattr(c, name):
            raise UserError(f"{name} is not given; name it with `--{name.lower()} PATH`.")
    for name in ("CONFIG", "CHECKPOINT"):
        if not Path(getattr(c, name)).is_file():
            raise UserError(f"{name} {getattr(c, name)} does not exist.")
    refuse_existing("OUTPUT", c.OUTPUT)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import pickle

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import ModernBertConfig, ModernBertForMaskedLM

from encoder.conversion.flexbert import account, config_arguments, renamed
from encoder.loading import load_tokenizer, special_ids
from qwen_svg.common.files import apply_umask


def main(c: SimpleNamespace) -> None:
    tokenizer = load_tokenizer(c.TOKENIZER)
    flex, max_length = read_config(Path(c.CONFIG))
    model = convert(flex, max_length, read_state(Path(c.CHECKPOINT)), tokenizer)
    model.save_pretrained(c.OUTPUT)
    if c.SAVE_TOKENIZER:
        tokenizer.model_max_length = max_length
        tokenizer.save_pretrained(c.OUTPUT)
    apply_umask(Path(c.OUTPUT))
    total = sum(p.numel() for p in model.parameters())
    print(f"{c.OUTPUT}: {len(model.state_dict())} tensors, {total:,} parameters, sequences of {max_length:,} tokens")


def read_config(path: Path) -> tuple[dict[str, Any], int]:
    """Return (FlexBERT's model configuration, the longest sequence in tokens)."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"CONFIG {path} cannot be read ({one_line(error)}).") from None
    if not isinstance(content, dict):
        raise UserError(f"CONFIG {path} is not a mapping of settings.")
    model = content.get("model")
    flex = model.get("model_config") if isinstance(model, dict) else content
    if not isinstance(flex, dict):
        raise UserError(f"CONFIG {path}: `model` has no `model_config`.")
    length = content.get("max_seq_len", flex.get("max_position_embeddings", 1024))
    if not isinstance(length, int):
        raise UserError(f"CONFIG {path}: max_seq_len is {length!r}; write the number of tokens.")
    return flex, length


def read_state(path: Path) -> dict[str, Any]:
    """Return the model's tensors by FlexBERT's names. No code in the file is run."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise UserError(f"CHECKPOINT {path} cannot be read ({error}).") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"CHECKPOINT {path} cannot be read as tensors ({one_line(error, 120)}); where it holds other objects too, "
            "save its ['state']['model'] alone."
        ) from None
    for name in ("state", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not content or not all(torch.is_tensor(x) for x in content.values()):
        raise UserError(f"CHECKPOINT {path} holds no tensors by name, neither at its top nor in ['state']['model'].")
    return content


def convert(flex: dict[str, Any], max_length: int, state: dict[str, Any], tokenizer: Any) -> ModernBertForMaskedLM:
    """Return the model of these tensors."""
    arguments = config_arguments(flex, max_length)
    state = renamed(state)
    embedding = state.get("model.embeddings.tok_embeddings.weight")
    if embedding is None:
        raise UserError("CHECKPOINT has no token embeddings (bert.embeddings.tok_embeddings.weight).")
    if len(embedding) < len(tokenizer):
        raise UserError(f"TOKENIZER has {len(tokenizer):,} tokens, and the model {len(embedding):,}: another one's.")
    config = ModernBertConfig(vocab_size=len(embedding), **special_ids(tokenizer), **arguments)
    with torch.device("meta"):
        model = ModernBertForMaskedLM(config)
    account(state, model.state_dict(), config.tie_word_embeddings)
    if config.tie_word_embeddings:
        state["decoder.weight"] = embedding
    model = ModernBertForMaskedLM(config)
    model.load_state_dict(state)
    return model.eval()


if __name__ == "__main__":
    run(main, c)
