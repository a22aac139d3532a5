"""From prepared lines (corpus/dataset/record.py) to the data set: near-duplicates out, groups joined, counted.

The lines may come from one process or from a cluster's; the result is the same for the same lines in the same order.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from corpus.dataset.near_duplicates import find
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import atomic_write
from qwen_svg.common.vectors import pairs_alike, read_vectors
from qwen_svg.svg.content_hash import content_hash

NEAR_DUPLICATE = "near-duplicate"
SHOWN = 24  # drawings on the contact sheet


@dataclass
class Counts:
    """What the data card says."""

    origins: Counter = field(default_factory=Counter)  # (source, licence) → samples
    refused: Counter = field(default_factory=Counter)  # (source, reason) → drawings
    groups: Counter = field(default_factory=Counter)  # group → samples
    examples: list[dict] = field(default_factory=list)  # SHOWN prepared lines, evenly picked
    written: int = 0


def join(
    prepared: list[Path],
    output: Path,
    drop_near: bool,
    max_error: tuple[float, float],
    vectors: Path | None = None,
    same_vector: float = 1.0,
) -> Counts:
    """Write `output` from the prepared files, whole or not at all. Reads them twice; keeps 1 kB a sample in memory.

    vectors: a file that encoder.embed wrote; drawings in it with a cosine of `same_vector` or more are alike.
    """
    counts = Counts()
    fingerprints, groups, sources, hashes = bytearray(), [], [], []
    for line in _lines(prepared):
        if "refused" in line:
            counts.refused[line["source"], line["refused"]] += 1
        else:
            fingerprints += base64.b64decode(line["fingerprint"])
            groups.append(line["record"]["group"])
            sources.append(line["record"]["source"])
            hashes.append(content_hash(line["record"]["svg_content"]))
    if not groups:
        raise UserError("no drawing passed; " + _most_common(counts.refused))
    near = alike_by_vectors(vectors, hashes, same_vector) if vectors else ()
    found = find(fingerprints, groups, max_error, near)
    kept = [not drop_near or repeats < 0 for repeats in found.duplicate_of]
    counts.refused += Counter((source, NEAR_DUPLICATE) for source, keep in zip(sources, kept, strict=True) if not keep)
    _write(output, (line for line in _lines(prepared) if "record" in line), kept, found.groups, counts)
    return counts


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


def _write(output: Path, lines: Iterable[dict], kept: list[bool], groups: list[str], counts: Counts) -> None:
    every = max(1, sum(kept) // SHOWN)
    ids: Counter[str] = Counter()
    with atomic_write(output) as part, part.open("w", encoding="utf-8") as file:
        for line, keep, group in zip(lines, kept, groups, strict=True):
            if not keep:
                continue
            record = line["record"] | {"group": group}
            ids[record["id"]] += 1
            if ids[record["id"]] > 1:  # two sources may number theirs alike; train.py takes an id once
                record["id"] += f"~{ids[record['id']]}"
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            counts.origins[record["source"], record["license"]] += 1
            counts.groups[group] += 1
            if counts.written % every == 0 and len(counts.examples) < SHOWN:
                counts.examples.append(line)
            counts.written += 1


def _lines(paths: list[Path]) -> Iterator[dict]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _most_common(refused: Counter) -> str:
    reasons: Counter = Counter()
    for (_, reason), count in refused.items():
        reasons[reason] += count
    return ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3)) + "."
