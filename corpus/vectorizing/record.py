"""A picture's drawing as a record of a .jsonl, or why there is none."""

from collections.abc import Callable
from functools import cache
from typing import Any

from corpus.optimization.refusal import Refused
from corpus.vectorizing.limits import Limits
from corpus.vectorizing.methods import vectorized
from corpus.vectorizing.search import Budget
from qwen_svg.common.tokens import token_ids


def drawn_or_reason(read: Callable[[], Any], limits: Limits, method: str) -> tuple[dict, str]:
    """Return (record, "") or ({}, why not). Whatever a picture holds, the batch goes on.

    The record: svg, similarity, bytes and, with a tokenizer, tokens. read: returns the picture, uint8 (S, S, 3).
    """
    try:
        return _drawn(read(), limits, method), ""
    except Refused as refusal:
        return {}, str(refusal)
    except Exception as error:  # a bug of ours or of a library: counted under its name, not hidden
        return {}, f"error: {type(error).__name__}"


def _drawn(rgb: Any, limits: Limits, method: str) -> dict:
    count = token_counter(limits.tokenizer) if limits.tokenizer else None
    best = vectorized(rgb, Budget(limits.max_bytes, limits.max_tokens, count), method)
    size = {"bytes": len(best.svg.encode("utf-8")) + 1} | ({"tokens": count(best.svg)} if count else {})
    return {"svg": best.svg, "similarity": round(best.similarity, 4), **size}


@cache
def token_counter(tokenizer: str) -> Callable[[str], int]:
    """Return what counts the tokens of a text; loaded once in each process. Raises UserError where it cannot be."""
    from qwen_svg.model.tokenizer import load_tokenizer  # torch and transformers: seconds, for those who count tokens

    loaded = load_tokenizer(tokenizer)
    return lambda text: len(token_ids(loaded, [text])[0])
