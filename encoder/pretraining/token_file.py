"""The token ids of a whole corpus, on disk: made once by streaming through the data, used again by every later stage.

Two files and a note: tokens.bin (uint16 or uint32, one sequence after the other), ends.npy (int64, where each ends) and
about.json. In memory is what is asked for; a corpus of 12 billion tokens takes 24 GB of disk.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from qwen_svg.common.files import atomic_folder, read_json, write_json

ONE_IN = 50  # drawings for validation, by a hash of their text, until there are enough


class TokenFile:
    """Sequences by number; each begins with [CLS] and ends with [SEP]."""

    def __init__(self, folder: Path):
        about = read_json(folder / "about.json")
        self.fingerprint: str = about["fingerprint"]
        self.ends = np.load(folder / "ends.npy", mmap_mode="r")
        self.tokens = np.memmap(folder / "tokens.bin", dtype=about["dtype"], mode="r")
        self.valid = np.asarray(about["valid"], dtype=np.int64)  # numbers of the sequences for validation

    def __len__(self) -> int:
        return len(self.ends)

    def lengths(self) -> np.ndarray:
        """int64 (N,)"""
        return np.diff(self.ends, prepend=0)

    def train(self) -> np.ndarray:
        """Numbers of the sequences for training, int64."""
        return np.setdiff1d(np.arange(len(self)), self.valid, assume_unique=True)

    def sequence(self, number: int, limit: int) -> np.ndarray:
        """int64; one longer than `limit` is cut, and its last token is [SEP] all the same."""
        start, end = (self.ends[number - 1] if number else 0), self.ends[number]
        ids = self.tokens[start:end].astype(np.int64)
        return ids if len(ids) <= limit else np.append(ids[: limit - 1], ids[-1])


def token_file_name(data: str, files: list[str], column: str, validation: int, tokenizer: Any) -> str:
    """Return a name that changes with all that decides what the files hold."""
    stamps = [(str(Path(file).resolve()), Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in files]
    deciding = json.dumps([stamps or data, column, validation, tokenizer.backend_tokenizer.to_str()])
    return f"tokens-{hashlib.sha256(deciding.encode()).hexdigest()[:12]}"


def make(folder: Path, texts: Iterable[str], tokenizer: Any, validation: int) -> None:
    """Write the folder, whole or not at all. validation: sequences set aside, at most."""
    dtype = "uint16" if len(tokenizer) <= 2**16 else "uint32"
    with atomic_folder(folder) as part:
        ends, valid, digest = [0], [], hashlib.sha256()
        with (part / "tokens.bin").open("wb") as file:
            for text, ids in _encoded(texts, tokenizer):
                if len(valid) < validation and zlib.crc32(text.encode()) % ONE_IN == 0:
                    valid.append(len(ends) - 1)
                raw = np.asarray(ids, dtype=dtype).tobytes()
                digest.update(raw)
                file.write(raw)
                ends.append(ends[-1] + len(ids))
        if not valid and len(ends) > 2:  # a very small corpus
            valid = [len(ends) - 2]
        np.save(part / "ends.npy", np.asarray(ends[1:], dtype=np.int64))
        write_json(part / "about.json", {"dtype": dtype, "fingerprint": digest.hexdigest(), "valid": valid})


def _encoded(texts: Iterable[str], tokenizer: Any) -> Iterator[tuple[str, list[int]]]:
    texts = iter(texts)
    while some := list(islice(texts, 1000)):
        yield from zip(some, tokenizer(some)["input_ids"], strict=True)
