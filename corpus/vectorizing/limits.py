"""What a drawing may take, as the constants of corpus.vectorize and corpus.imagine say. Light: for their checks."""

from types import SimpleNamespace
from typing import NamedTuple

from qwen_svg.common.errors import UserError


class Limits(NamedTuple):
    """The constants of these names."""

    max_bytes: int
    max_tokens: int
    tokenizer: str


def limits_of(c: SimpleNamespace) -> Limits:
    """Raises UserError for MAX_TOKENS without a TOKENIZER."""
    if c.MAX_TOKENS and not c.TOKENIZER:
        raise UserError("MAX_TOKENS needs a TOKENIZER that counts them (`--tokenizer Qwen/Qwen2.5-1.5B-Instruct`).")
    return Limits(c.MAX_BYTES, c.MAX_TOKENS, c.TOKENIZER)


def refuse_larger(sizes: list[int], c: SimpleNamespace) -> None:
    """Raise UserError where drawings of an earlier run, of these sizes in bytes, are over the budget of this one."""
    if over := sum(size > c.MAX_BYTES for size in sizes):
        raise UserError(f"OUTPUT {c.OUTPUT} holds {over} drawings of more than MAX_BYTES {c.MAX_BYTES}; give another.")
