"""From prepared lines (corpus/dataset/record.py) to the data set: near-duplicates out, groups joined, counted.

The lines may come from one process or from a cluster's; the result is the same for the same lines in the same order.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from corpus.dataset.near_duplicates import SAME_HASH, find
from corpus.vectors import pairs_alike, read_vectors
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import atomic_write
from qwen_svg.svg.content_hash import content_hash

NEAR_DUPLICATE = "near-duplicate"
SHOWN = 24  # drawings on the contact sheet


@dataclass
class Counts:
    """What the data card says."""

    origins: Counter = field(default_factory=Counter)  # (source, licence) → drawings
    refused: Counter = field(default_factory=Counter)  # (source, reason) → drawings
    groups: Counter = field(default_factory=Counter)  # group → drawings
    examples: list[dict] = field(default_factory=list)  # SHOWN prepared lines, evenly picked
    written: int = 0  # samples: each drawing once, or once for each of its wordings


@dataclass(frozen=True)
class Compared:
    """Prepared drawings and what comparing them with each other told, for `write_samples`."""

    prepared: list[Path]
    kept: list[bool]  # for each drawing
    groups: list[str]  # for each drawing
    refused: Counter  # (source, reason) → drawings


def join(
    prepared: list[Path],
    output: Path,
    drop_near: bool,
    max_error: tuple[float, float],
    vectors: Path | None = None,
    same_vector: float = 1.0,
) -> Counts:
    """Write `output` from the prepared files, as `compare` and `write_samples` do."""
    return write_samples(compare(prepared, drop_near, max_error, vectors, same_vector), output)


def compare(
    prepared: list[Path],
    drop_near: bool,
    max_error: tuple[float, float],
    vectors: Path | None = None,
    same_vector: float = 1.0,
    same_hash: int = SAME_HASH,
) -> Compared:
    """Compare all drawings of the prepared files; keeps 1 kB a drawing in memory.

    vectors: a file that encoder.embed wrote; drawings in it with a cosine of `same_vector` or more are alike.
    same_hash: as `find` has it.
    """
    refused: Counter = Counter()
    fingerprints, groups, sources, hashes = bytearray(), [], [], []
    for line in _lines(prepared):
        if "refused" in line:
            refused[line["source"], line["refused"]] += 1
        else:
            fingerprints += base64.b64decode(line["fingerprint"])
            groups.append(line["record"]["group"])
            sources.append(line["record"]["source"])
            hashes.append(content_hash(line["record"]["svg_content"]))
    if not groups:
        raise UserError("no drawing passed; " + _most_common(refused))
    near = alike_by_vectors(vectors, hashes, same_vector) if vectors else ()
    found = find(fingerprints, groups, max_error, near, same_hash)
    kept = [not drop_near or repeats < 0 for repeats in found.duplicate_of]
    refused += Counter((source, NEAR_DUPLICATE) for source, keep in zip(sources, kept, strict=True) if not keep)
    return Compared(prepared, kept, found.groups, refused)


def alike_by_vectors(path: Path, hashes: list[str], similarity: float) -> Iterator[Any]:
    """Yield int64 (P, 2): pairs of indices into `hashes`, the smaller first, whose vectors in the file are alike."""
    content = read_vectors(path)
    row_of = {hash: row for row, hash in enumerate(content.hashes)}
    indices = np.asarray([i for i, hash in enumerate(hashes) if hash in row_of], dtype=np.int64)
    if not len(indices):
        raise UserError(
            f"VECTORS {path} has none of these {len(hashes)} drawings; make it from the data set as it was built, with "
            "`python -m encoder.embed --svg-column svg_content`."
        )
    rows = content.vectors[[row_of[hashes[i]] for i in indices]]
    for pairs, _ in pairs_alike(rows, similarity):
        yield indices[pairs]


def write_samples(compared: Compared, output: Path, wanted: Callable[[str], bool] = lambda source: True) -> Counts:
    """Write the drawings of the wanted sources, whole or not at all; each once, or once for each of its wordings."""
    counts = Counts(refused=Counter({key: n for key, n in compared.refused.items() if wanted(key[0])}))
    every = max(1, sum(compared.kept) // SHOWN)
    ids: Counter[str] = Counter()
    lines = (line for line in _lines(compared.prepared) if "record" in line)
    with atomic_write(output) as part, part.open("w", encoding="utf-8") as file:
        for line, keep, group in zip(lines, compared.kept, compared.groups, strict=True):
            if not keep or not wanted(line["record"]["source"]):
                continue
            record = line["record"] | {"group": group}
            ids[record["id"]] += 1
            if ids[record["id"]] > 1:  # two sources may number theirs alike; train.py takes an id once
                record["id"] += f"~{ids[record['id']]}"
            if sum(counts.origins.values()) % every == 0 and len(counts.examples) < SHOWN:
                counts.examples.append(line)
            counts.origins[record["source"], record["license"]] += 1
            counts.groups[group] += 1
            for sample in _in_words(record, line.get("wordings")):
                file.write(json.dumps(sample, ensure_ascii=False) + "\n")
                counts.written += 1
    return counts


def _in_words(record: dict, wordings: dict[str, str] | None) -> Iterator[dict]:
    """Yield a sample for each description by kind; the record itself where it has only its own."""
    if wordings is None:
        yield record
        return
    for kind, description in wordings.items():
        yield record | {"id": f"{record['id']}:{kind}", "description": description}


def _lines(paths: list[Path]) -> Iterator[dict]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _most_common(refused: Counter) -> str:
    reasons: Counter = Counter()
    for (_, reason), count in refused.items():
        reasons[reason] += count
    return ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3)) + "."
