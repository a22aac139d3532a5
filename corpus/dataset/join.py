"""From prepared lines (corpus/dataset/record.py) to the data set: near-duplicates out, groups joined, counted.

The lines may come from one process or from a cluster's; the result is the same for the same lines in the same order.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import UserError
from corpus.dataset.near_duplicates import find

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


def join(prepared: list[Path], output: Path, drop_near: bool, max_error: tuple[float, float]) -> Counts:
    """Write `output` from the prepared files, whole or not at all. Reads them twice; keeps 1 kB a sample in memory."""
    counts = Counts()
    fingerprints, groups, sources = bytearray(), [], []
    for line in _lines(prepared):
        if "refused" in line:
            counts.refused[line["source"], line["refused"]] += 1
        else:
            fingerprints += base64.b64decode(line["fingerprint"])
            groups.append(line["record"]["group"])
            sources.append(line["record"]["source"])
    if not groups:
        raise UserError("no drawing passed; " + _most_common(counts.refused))
    found = find(fingerprints, groups, max_error)
    kept = [not drop_near or repeats < 0 for repeats in found.duplicate_of]
    counts.refused += Counter((source, NEAR_DUPLICATE) for source, keep in zip(sources, kept, strict=True) if not keep)
    _write(output, (line for line in _lines(prepared) if "record" in line), kept, found.groups, counts)
    return counts


def _write(output: Path, lines: Iterable[dict], kept: list[bool], groups: list[str], counts: Counts) -> None:
    every = max(1, sum(kept) // SHOWN)
    part = output.with_name(output.name + ".part")
    ids: Counter[str] = Counter()
    with part.open("w", encoding="utf-8") as file:
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
    part.replace(output)


def _lines(paths: list[Path]) -> Iterator[dict]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _most_common(refused: Counter) -> str:
    reasons: Counter = Counter()
    for (_, reason), count in refused.items():
        reasons[reason] += count
    return ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3)) + "."
