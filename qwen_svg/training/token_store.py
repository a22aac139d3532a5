"""Token ids of a whole data file, on disk: a training set of any size takes little memory.

The ids lie in one unnamed file among the system's temporary files (TMPDIR), mapped into memory: what is used is there,
the rest can be dropped at any time.
"""

import tempfile
from collections.abc import Iterable, Sequence

import numpy as np

from qwen_svg.common.tokens import FILLER, Encoded


class TokenStore:
    """Encoded samples, appended one after the other and read back by number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives, and is gone, with the store
        self._ids: list[str] = []
        self._ends: list[int] = [0]  # of each prompt and each answer in turn, in tokens

    def append(self, row: Encoded) -> int:
        """Store a row; return its number."""
        for tokens in (row.prompt, row.answer):
            self._file.write(np.asarray(tokens, dtype=np.uint32).tobytes())
            self._ends.append(self._ends[-1] + len(tokens))
        self._ids.append(row.id)
        return len(self._ids) - 1

    def rows(self, numbers: Iterable[int]) -> "StoredRows":
        """Return the rows of these numbers, in this order. To be called when all is appended."""
        self._file.flush()
        tokens = np.memmap(self._file, dtype=np.uint32, mode="r")
        return StoredRows(tokens, self._ids, np.asarray(self._ends), np.asarray(list(numbers), dtype=np.int64))


class StoredRows(Sequence[Encoded]):
    """Encoded samples whose token ids are read when asked for; None is the index of a `FILLER`.

    lengths: prompt + answer of each, in tokens, known without reading.
    """

    def __init__(self, tokens: np.ndarray, ids: list[str], ends: np.ndarray, numbers: np.ndarray):
        self._tokens, self._ids, self._ends, self._numbers = tokens, ids, ends, numbers
        self.lengths = (ends[2 * numbers + 2] - ends[2 * numbers]).tolist()

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int | slice | None) -> "Encoded | list[Encoded]":
        if index is None:
            return FILLER
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = self._numbers[index]
        start, middle, end = self._ends[2 * number : 2 * number + 3]
        return Encoded(self._ids[number], self._tokens[start:middle].tolist(), self._tokens[middle:end].tolist())

    def longest(self, count: int) -> list[Encoded]:
        return [self[int(i)] for i in np.argsort(self.lengths, kind="stable")[-count:]]
