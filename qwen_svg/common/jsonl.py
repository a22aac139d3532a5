"""JSON lines: files that grow by whole records, also where a script was killed and goes on."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from qwen_svg.common.errors import UserError


def append_jsonl(path: Path, record: dict) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_jsonl(path: Path) -> list[dict]:
    """Read what `append_jsonl` wrote; a last line that a kill or a full disk has cut is left out."""
    *lines, _cut = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines]


def written_before(path: Path, *fields: str) -> Iterator[dict]:
    """Yield the records of an earlier run, then cut what a kill in the middle of a write left behind the last line.

    fields: by which the script knows its records, the one they begin with first; "id" alone is in many files. Raises
    UserError, and leaves the file as it is, where a line is not one of ours: then it is somebody else's file.
    """
    if not path.exists():
        return
    foreign = "is not a line that this script writes; give another OUTPUT, or mend or remove the line."
    whole = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            ended = line.endswith(b"\n")
            try:
                record = json.loads(line)
                ours = isinstance(record, dict) and record.keys() >= set(fields)
            except ValueError:
                opening = f'{{"{fields[0]}": '.encode()
                ours = not ended and line[: len(opening)] == opening[: len(line)]
            if not ours:
                raise UserError(f"{path}:{number} {foreign}")
            if not ended:
                break
            whole += len(line)
            yield record
    if path.stat().st_size > whole:
        os.truncate(path, whole)


def append_all(path: Path, records: list[dict]) -> None:
    """Write the records behind the others and hand them to the system: a kill from here on cannot take them back."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    with path.open("ab", buffering=0) as file:  # one write: records that belong together come together
        while text:  # a disk that gets full takes a part, and says so only at the next write
            text = text[file.write(text) :]
