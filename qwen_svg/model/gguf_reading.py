"""Reading GGUF files without the waits that the library has: seconds at each start, however small the model."""

import struct
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np

# struct's letters for the scalar types of GGUF; 8 is a string (u64 length, UTF-8), 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
LONG = 64  # elements of an array; lists of tokens have tens of thousands


def first_fields(path: Path) -> dict[str, Any]:
    """Return the keys and values that stand before a GGUF file's first long array; {} for a file that is none.

    Short arrays (tags, languages) are lists. The package's GGUFReader makes an object of every token first: five
    seconds for a vocabulary of 150,000.
    """
    fields: dict[str, Any] = {}
    with path.open("rb") as file:

        def number(letter: str) -> Any:
            return struct.unpack("<" + letter, file.read(struct.calcsize("<" + letter)))[0]

        def text() -> str:
            return file.read(min(number("Q"), 65_536)).decode("utf-8", "replace")

        try:
            if file.read(4) != b"GGUF":
                return {}
            _version, _tensors, count = number("I"), number("Q"), number("Q")
            for _ in range(count):
                key, kind = text(), number("I")
                is_array = kind == gguf.GGUFValueType.ARRAY
                kind, length = (number("I"), number("Q")) if is_array else (kind, 1)
                if length > LONG or (kind not in SCALARS and kind != gguf.GGUFValueType.STRING):
                    break
                values = [number(SCALARS[kind]) if kind in SCALARS else text() for _ in range(length)]
                fields[key] = values if is_array else values[0]
        except struct.error:  # the file ends in the middle: whoever loads it will say so
            pass
    return fields


class _PlainReader(gguf.GGUFReader):
    """GGUFReader on a plain array. It cuts some million slices out of the file, and each slice of a memmap is dear."""

    def _get(self, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self.data, np.memmap):
            self.data = self.data.view(np.ndarray)  # the same pages of the file
        return super()._get(*args, **kwargs)


def hasten_reading() -> None:
    """Let transformers (5.23), which reads a file up to four times for one model, do it in a third of the time.

    It also makes the table of names anew for each module of the model; one is enough.
    """
    if gguf.GGUFReader is not _PlainReader:
        gguf.GGUFReader = _PlainReader
        gguf.get_tensor_name_map = cache(gguf.get_tensor_name_map)
