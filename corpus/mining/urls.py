"""URLs from where they are listed, one after the other: a text file, or any table. Never all at once."""

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import rows, text_in


def read_urls(dataset: str, column: str, skip: int) -> Iterator[str]:
    """Yield what stands in the column (in a .txt file: on the line), from row `skip` on; "" for a bad row.

    Raises UserError for what cannot be read.
    """
    if dataset.removesuffix(".gz").endswith(".txt"):
        yield from islice(_lines(Path(dataset)), skip, None)
        return
    for row in islice(rows(dataset, column=column), skip, None):
        yield text_in(row, column)[0]


def _lines(path: Path) -> Iterator[str]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", errors="replace") as file:
            yield from (line.strip() for line in file)
    except (OSError, EOFError) as error:  # also a .gz that is none, or is cut
        raise UserError(f"DATASET {path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
