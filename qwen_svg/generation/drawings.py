"""Drawings as files: a name for each, SVG and PNG."""

import re
from itertools import count
from pathlib import Path

from qwen_svg.common.run_folder import OUTPUTS
from qwen_svg.generation.predictor import Drawing

DRAWINGS = OUTPUTS / "drawings"
NAME_LENGTH = 48  # characters


def save(drawing: Drawing, folder: Path = DRAWINGS) -> list[Path]:
    """Write the SVG, and the PNG if there is one, under a name that is free, and return their paths.

    Without an SVG the answer is kept as text, to be looked at. Nothing is ever overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = slug(drawing.description)
    if drawing.svg is None:
        return [_new(folder, name, {".txt": drawing.answer.encode("utf-8")})]
    files = {".svg": drawing.svg.encode("utf-8")} | ({".png": drawing.png} if drawing.png else {})
    first = _new(folder, name, files)
    return [first.with_suffix(kind) for kind in files]


def slug(description: str) -> str:
    """Return the description as the stem of a file name: letters and digits of any script, and hyphens."""
    words = re.sub(r"[\W_]+", "-", description.casefold()).strip("-")
    return words[:NAME_LENGTH].strip("-") or "drawing"


def _new(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write files of one stem, numbered so that none of them exists yet; return the first one's path."""
    for number in count(1):
        paths = [folder / f"{name}-{number}{kind}" for kind in files]
        if any((folder / f"{name}-{number}{kind}").exists() for kind in (".svg", ".png", ".txt")):
            continue
        try:
            with paths[0].open("xb") as file:  # another process may be faster
                file.write(files[paths[0].suffix])
        except FileExistsError:
            continue
        for path in paths[1:]:
            path.write_bytes(files[path.suffix])
        return paths[0]
    raise AssertionError("count() does not end")
