"""A JSONL file that a script goes on writing after it was killed: whole lines stay, a half one at the end is cut."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from common.errors import UserError


def written_before(path: Path, field: str) -> Iterator[dict]:
    """Yield the records of an earlier run, then cut what a kill in the middle of a write left behind the last line.

    field: the first one of each record. Raises UserError, and leaves the file as it is, where a line is not one of
    ours: then it is somebody else's file.
    """
    if not path.exists():
        return
    foreign = "is not a line that this script writes; give another OUTPUT, or mend or remove the line."
    whole = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                opening = f'{{"{field}": '.encode()
                if line[: len(opening)] != opening[: len(line)]:
                    raise UserError(f"{path}:{number} {foreign}")
                break
            try:
                record = json.loads(line)
                record[field]
            except (ValueError, KeyError, TypeError, IndexError):
                raise UserError(f"{path}:{number} {foreign}") from None
            whole += len(line)
            yield record
    os.truncate(path, whole)


def append(path: Path, records: list[dict]) -> None:
    """Write the records behind the others and hand them to the system: a kill from here on cannot take them back."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with path.open("ab", buffering=0) as file:  # one write: records that belong together come together
        file.write(text.encode())
