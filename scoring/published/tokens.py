"""How long a drawing is, in tokens."""

from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from qwen_svg.common.hub import hub_reachable
from scoring.hub_model import unavailable
from scoring.published.seen import Seen


def svg_tokens(seen: Seen, *, model: str) -> list[float | None]:
    """Return the tokens of each SVG by a tokenizer, its special ones included; None where there is no SVG."""
    tokenizer = _tokenizer(model)
    return [float(len(tokenizer.encode(svg))) if svg else None for svg in seen.svgs]


@cache
def _tokenizer(model: str) -> Any:
    try:
        return AutoTokenizer.from_pretrained(model, local_files_only=Path(model).is_dir() or not hub_reachable())
    except Exception as error:  # the hub's and transformers' own
        raise unavailable(f"the tokenizer of {model}", error, f"`--weights {model}=FOLDER`") from None
