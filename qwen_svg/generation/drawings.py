"""Drawings as files: a name for each, SVG and PNG; opened with the system's viewer."""

import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.run_folder import OUTPUTS
from qwen_svg.generation.predictor import Drawing

DRAWINGS = OUTPUTS / "drawings"
NAME_LENGTH = 48  # characters
VIEWER_SECONDS = 2.0  # in which whatever opens files says that it cannot


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


def save_as(drawing: Drawing, name: str) -> list[Path]:
    """Write the drawing where somebody wants it: NAME.svg and NAME.png, or the one of the two that NAME ends in.

    In a folder it is named after its description. Raises UserError where there is no drawing, a file of that name, or
    no such place.
    """
    if drawing.svg is None:
        raise UserError("the last answer holds no drawing; there is nothing to save.")
    path = Path(name).expanduser()
    if path.is_dir():
        return save(drawing, path)
    contents = {".svg": drawing.svg.encode("utf-8")} | ({".png": drawing.png} if drawing.png else {})
    ending = path.suffix.lower()
    if ending in contents:
        files = {path: contents[ending]}
    elif re.fullmatch(r"\.[a-z]{3,4}", ending):
        raise UserError(f"drawings are saved as .svg and .png, not as {ending}; give `{path.stem}`, or one of the two.")
    else:
        files = {path.with_name(path.name + kind): content for kind, content in contents.items()}
    if taken := [file for file in files if file.exists()]:
        raise UserError(f"{taken[0]} exists; give another name.")
    try:
        for file, content in files.items():
            with file.open("xb") as out:
                out.write(content)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); give another name.") from None
    return list(files)


def open_with_viewer(path: Path) -> None:
    """Open a file with the program that the system has for it. Raises UserError where there is none."""
    if sys.platform == "win32":
        os.startfile(path)
        return
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        viewer = subprocess.Popen([opener, path], **quiet, start_new_session=True)  # Ctrl-C is not for it
        failed = viewer.wait(VIEWER_SECONDS) != 0
    except FileNotFoundError:
        raise UserError(f"{opener}, which opens files, is not installed; the drawing is {path}.") from None
    except subprocess.TimeoutExpired:  # it is the viewer itself, and open
        return
    if failed:
        raise UserError(f"{opener} knows no program for {path}; open it yourself.")


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
