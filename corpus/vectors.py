"""Vectors of drawings in a file, and who is near whom: cosines by plain matrix products, exact, block by block."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet
from safetensors import safe_open
from safetensors.numpy import save

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.files import atomic_write

KINDS = (".npz", ".safetensors", ".parquet")
BLOCK, PART = 2048, 65_536  # vectors that are compared with so many others at a time: 0.5 GB of cosines


@dataclass(frozen=True)
class Vectors:
    """Of N drawings: their ids, content hashes (qwen_svg/svg/content_hash.py) of the texts, and vectors of length 1."""

    ids: list[str]
    hashes: list[str]
    vectors: np.ndarray  # float32 (N, H)
    model: str  # which model made them


def write_vectors(path: Path, content: Vectors) -> None:
    """Write the file, whole or not at all; its ending says which kind: .npz, .safetensors or .parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part, part.open("wb") as file:
        if path.suffix == ".npz":
            names = {"ids": content.ids, "hashes": content.hashes, "model": [content.model]}
            np.savez(file, vectors=content.vectors, **{name: np.asarray(x, dtype=str) for name, x in names.items()})
        elif path.suffix == ".safetensors":
            names = {"ids": json.dumps(content.ids), "hashes": json.dumps(content.hashes), "model": content.model}
            file.write(save({"vectors": np.ascontiguousarray(content.vectors)}, metadata=names))
        else:
            flat = pyarrow.array(content.vectors.reshape(-1))
            columns = {"vector": pyarrow.FixedSizeListArray.from_arrays(flat, content.vectors.shape[1])}
            table = pyarrow.table({"id": content.ids, "hash": content.hashes} | columns)
            parquet.write_table(table.replace_schema_metadata({"model": content.model}), file)


def read_vectors(path: Path) -> Vectors:
    """Read what `write_vectors` wrote. Raises UserError for anything else."""
    if path.suffix not in KINDS:
        raise UserError(f"{path}: vectors are kept in one of {', '.join(KINDS)}.")
    try:
        return _READERS[path.suffix](path)
    except Exception as error:  # three libraries, each with exceptions of its own
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise UserError(f"{path} holds no vectors that can be read ({reason}).") from None


def _read_npz(path: Path) -> Vectors:
    with np.load(path, allow_pickle=False) as arrays:
        return Vectors(arrays["ids"].tolist(), arrays["hashes"].tolist(), arrays["vectors"], str(arrays["model"][0]))


def _read_safetensors(path: Path) -> Vectors:
    with safe_open(path, "numpy") as file:
        names = file.metadata()
        return Vectors(
            json.loads(names["ids"]), json.loads(names["hashes"]), file.get_tensor("vectors"), names["model"]
        )


def _read_parquet(path: Path) -> Vectors:
    table = parquet.read_table(path)
    column = table.column("vector").combine_chunks()
    vectors = column.values.to_numpy().reshape(len(column), -1)
    model = table.schema.metadata[b"model"].decode()
    return Vectors(table.column("id").to_pylist(), table.column("hash").to_pylist(), vectors, model)


_READERS: dict[str, Any] = {".npz": _read_npz, ".safetensors": _read_safetensors, ".parquet": _read_parquet}


def nearest(vectors: np.ndarray, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, cosines) of the `count` vectors (N, H) nearest to `query` (H,), the nearest first."""
    cosines = vectors @ query
    best = np.argsort(-cosines, kind="stable")[:count]
    return best, cosines[best]


def pairs_alike(vectors: np.ndarray, similarity: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (pairs int64 (P, 2), the smaller index first, cosines (P,)) of all pairs with a cosine of `similarity`."""
    for start in range(0, len(vectors), BLOCK):
        for other in range(start, len(vectors), PART):
            cosines = vectors[start : start + BLOCK] @ vectors[other : other + PART].T
            i, j = np.nonzero(cosines >= similarity)
            pairs = np.stack([i + start, j + other], axis=1)
            later = pairs[:, 0] < pairs[:, 1]
            if later.any():
                yield pairs[later], cosines[i, j][later]
