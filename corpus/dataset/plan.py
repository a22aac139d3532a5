"""What is to be prepared, piece by piece, and where each piece is kept: the same for one process and for a cluster."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from corpus.dataset.explain import Asking, explained
from corpus.dataset.record import Rules, build_all
from corpus.sources import Columns, Drawing, drawings, pieces, read_captions
from qwen_svg.common.files import atomic_write
from qwen_svg.common.tables import HUB


@dataclass(frozen=True)
class BuildPlan:
    """Pieces are sources, a pattern's files each one; a piece that is prepared is not prepared again."""

    pieces: tuple[str, ...]
    columns: Columns
    captions: str  # a pattern, "" for none
    limit: int  # drawings of each source; 0 = all
    rules: Rules
    asking: Asking | None  # None: reasoning and comments come from geometry
    folder: Path

    def path(self, piece: int) -> Path:
        return self.folder / f"{piece:05d}.jsonl"

    def paths(self) -> list[Path]:
        return [self.path(piece) for piece in range(len(self.pieces))]

    def missing(self) -> list[int]:
        return [piece for piece, path in enumerate(self.paths()) if not path.exists()]

    def drawings(self, some: Iterable[int]) -> Iterator[tuple[int, Drawing]]:
        """Yield (piece, drawing), in order."""
        captions = read_captions(self.captions) if self.captions else {}
        for piece in some:
            for drawing in islice(drawings(self.pieces[piece], self.columns, captions), self.limit or None):
                yield piece, drawing

    def lines(self, found: Iterable[tuple[int, Drawing]], processes: int) -> Iterator[tuple[int, dict]]:
        """Yield (piece, line) for (piece, drawing), in order."""
        made = build_all(found, self.rules, processes)
        if self.asking is None:
            return made
        return explained(made, self.asking, self.rules, self.folder)

    def write(self, some: Iterable[int], lines: Iterable[tuple[int, dict]]) -> None:
        """Write the lines of each piece, which come in the order of the pieces; a file appears whole or not at all."""
        lines = iter(lines)
        piece_of_line, line = next(lines, (-1, {}))
        for piece in some:
            with atomic_write(self.path(piece)) as part, part.open("w", encoding="utf-8") as file:
                while piece_of_line == piece:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    piece_of_line, line = next(lines, (-1, {}))


def plan(
    sources: str, columns: Columns, captions: str, limit: int, rules: Rules, asking: Asking | None, output: Path
) -> BuildPlan:
    """Return the plan, with a folder beside `output` named by all that decides what will be in it."""
    found = tuple(pieces(sources))
    read = [*found, *([captions] if captions else [])]
    stamps = [_stamp(Path(path)) for path in read if not path.startswith(HUB)]
    deciding = json.dumps([found, asdict(columns), captions, limit, asdict(rules), asking and asdict(asking), stamps])
    name = f"{output.name}.prepared-{hashlib.sha256(deciding.encode()).hexdigest()[:8]}"
    return BuildPlan(found, columns, captions, limit, rules, asking, output.with_name(name))


def _stamp(path: Path) -> list:
    return [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []
