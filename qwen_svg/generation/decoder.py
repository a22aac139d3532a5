"""What the decode loop (engine.py) asks of whatever computes the scores of next tokens."""

from dataclasses import dataclass, field
from typing import Protocol

import torch

from qwen_svg.generation.constrained import GrammarConstraint


@dataclass(eq=False)
class RowState:
    """A prompt and the answer it has so far."""

    prompt: list[int]
    limit: int  # tokens of the answer
    temperature: float  # below sampling.py's GREEDY_BELOW: greedy
    sampler: torch.Generator
    constraint: GrammarConstraint | None = None  # None = free
    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False
    error: Exception | None = None  # why it has ended without an answer
    given_up: bool = False  # nobody wants the answer: ends the reading of its prompt at once. Any thread may set it


class GivenUp(Exception):
    """Nobody waits any more for what is being computed."""


class Decoder(Protocol):
    """Holds what a model remembers of each row, from the reading of its prompt until it is dropped."""

    vocabulary: int  # width of the scores, V; may exceed the tokenizer's

    @property
    def step_limit(self) -> int:
        """Tokens of prompts that are read in one step. The other rows wait as long."""

    def unread(self, row: RowState) -> int:
        """Return how many tokens of a prompt are to be read."""

    def has_room(self, rows: list[RowState]) -> bool:
        """May these be let in beside those that are there? A single one always may, once nobody is there."""

    def read(self, rows: list[RowState]) -> torch.Tensor | None:
        """Read a piece of these prompts side by side; return the scores (rows, V) behind them, or None = not yet.

        Called with the same rows, less those dropped meanwhile, until it returns scores; then comes `admit`. Raises
        GivenUp when all of them have been given up by another thread.
        """

    def admit(self, rows: list[RowState]) -> None:
        """Let rows whose prompts have been read join the others. When this fails, all that was remembered is lost."""

    def write(self, rows: list[RowState]) -> torch.Tensor:
        """Run the newest token of every row that was let in; return the scores (rows, V) of the next one."""

    def drop(self, row: RowState) -> None:
        """Forget a row, read or being read. Nothing happens to one that is not known."""
