"""Scores by llama.cpp, for .gguf files on a CPU: computed from the weights as they lie in the file, and an adapter's.

A row is a sequence of llama.cpp's. What a prompt has in common with the one read last is copied, and only the rest is
read: nearly nothing of the second of several drawings of one description, half of a conversation that goes on.
"""

import torch

from qwen_svg.generation.decoder import GivenUp, RowState
from qwen_svg.generation.llama_cpp import Aborted, Context, Weights

STEP_LIMIT = 256  # on two cores so many tokens of a model of 135 million weights take a second or two
CELLS = 1792  # tokens that a row may have; a longer one is let in when it is alone, to a larger store


class LlamaCppDecoder:
    """See `Decoder`."""

    def __init__(self, weights: Weights, size: int):
        """size: rows at once."""
        self.weights, self.size, self.vocabulary = weights, size, weights.vocabulary
        self.sequences: dict[RowState, int] = {}
        self.reading: dict[RowState, int] = {}  # tokens that have been read
        self.kept: list[int] = []  # the prompt read last; its sequence is the one behind the rows'
        self.context: Context | None = None

    @property
    def step_limit(self) -> int:
        return STEP_LIMIT

    def unread(self, row: RowState) -> int:
        return len(row.prompt) - self._in_common(row)

    def has_room(self, rows: list[RowState]) -> bool:
        return self._needed(rows) <= self._cells() or not self.sequences

    def read(self, rows: list[RowState]) -> torch.Tensor | None:
        if not self.reading:
            self._begin(rows)
        left = max(len(row.prompt) - self.reading[row] for row in rows)
        piece = max(1, self.step_limit // len(rows))
        tokens, positions, sequences, scored = [], [], [], []
        for row in rows:  # as if padded on the left: all prompts end in the same piece
            first, end = self.reading[row], len(row.prompt) - max(0, left - piece)
            tokens += row.prompt[first:end]
            positions += range(first, end)
            sequences += [self.sequences[row]] * len(range(first, end))
            scored += [place == len(row.prompt) - 1 for place in range(first, end)]
            self.reading[row] = max(first, end)
        try:
            scores = self.context.decode(
                tokens, positions, sequences, scored, lambda: all(row.given_up for row in rows)
            )
        except Aborted:
            raise GivenUp from None
        return torch.from_numpy(scores) if left <= piece else None

    def admit(self, rows: list[RowState]) -> None:
        self.kept = rows[-1].prompt
        self.context.copy(self.sequences[rows[-1]], self.size, len(self.kept))
        self.reading = {}

    def write(self, rows: list[RowState]) -> torch.Tensor:
        positions = [len(row.prompt) + len(row.tokens) - 1 for row in rows]
        sequences = [self.sequences[row] for row in rows]
        newest = [row.tokens[-1] for row in rows]
        return torch.from_numpy(self.context.decode(newest, positions, sequences, [True] * len(rows)))

    def drop(self, row: RowState) -> None:
        self.reading.pop(row, None)
        if (sequence := self.sequences.pop(row, None)) is not None:
            self.context.remove(sequence)

    def _begin(self, rows: list[RowState]) -> None:
        """Give sequences to rows, which begin with what they have in common with the prompt read last."""
        if not self.context or self._needed(rows) > self.context.cells:  # nobody else is there then: see `has_room`
            self.kept, self.context = [], None  # first, so that there is never one beside the other
            cells, batch = max(CELLS, self._needed(rows)), max(self.step_limit, self.size)
            self.context = Context(self.weights, self.size + 1, cells, batch, torch.get_num_threads())
        free = iter(sorted({*range(self.size)} - {*self.sequences.values()}))
        for row in rows:
            self.sequences[row], self.reading[row] = next(free), self._in_common(row)
            if self.reading[row]:
                self.context.copy(self.size, self.sequences[row], self.reading[row])

    def _cells(self) -> int:
        return self.context.cells if self.context else CELLS

    def _needed(self, rows: list[RowState]) -> int:
        """The tokens that the longest of these may come to have."""
        return max(len(row.prompt) + row.limit for row in rows)

    def _in_common(self, row: RowState) -> int:
        """The tokens that a prompt begins with as the one read last does; its own last one is always read."""
        pairs = zip(row.prompt[:-1], self.kept, strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(row.prompt) - 1, len(self.kept)))
