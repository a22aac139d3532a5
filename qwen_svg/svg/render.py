"""SVG text to pixels, with resvg or CairoSVG. What is rendered may come from a model or a stranger.

So it is read with expat first, which sees the names they will see, whatever prefix hides them; and drawn in a process
of its own (`qwen_svg/svg/render_worker.py`) under a time limit.
"""

import atexit
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal
from xml.parsers import expat

import numpy as np
from PIL import Image

from qwen_svg.svg.render_worker import read_frame, write_frame

TIME_LIMIT = 5.0  # seconds for one drawing; an honest one takes milliseconds
SPECK = 1 / 4096  # of the pixels, 16 of 256 × 256; a circle of radius 1, which closes many an answer, has about 5
_READS_FILES = {"image", "feImage"}  # resvg opens the file they name


def png_bytes(
    svg: str,
    size: int = 256,
    transparent: bool = False,
    seconds: float | None = None,
    renderer: Literal["resvg", "cairosvg"] = "resvg",
) -> bytes:
    """Return the drawing as PNG, fitted into size × size pixels, on white unless `transparent`.

    renderer: "cairosvg", the one of most published figures, where it is installed; its picture has size × size pixels
    whatever the drawing's shape. Raises ValueError when it cannot be rendered, or not within `seconds` (None =
    TIME_LIMIT), or asks for other files.
    """
    _refuse_files(svg)
    options = {"renderer": renderer, "svg_string": svg, "width": size, "height": size, "transparent": transparent}
    answer = _ask(options, TIME_LIMIT if seconds is None else seconds)
    if answer[:1] != b"P":
        raise ValueError(f"{renderer} cannot render the SVG ({answer[1:].decode('utf-8')})")
    return answer[1:]


def render_rgb(svg: str, size: int = 256, seconds: float | None = None) -> Any:
    """Return the drawing, centred on white, as a uint8 array (size, size, 3); ValueError as `png_bytes`."""
    return np.asarray(on_white(png_bytes(svg, size, seconds=seconds), size))


def on_white(png: bytes, size: int) -> Any:
    """Return a drawing that fills size pixels one way, centred on white, as a PIL image (RGB, size × size)."""
    with Image.open(io.BytesIO(png)) as image:
        if image.size == (size, size):
            return image.convert("RGB")
        canvas = Image.new("RGB", (size, size), "white")
        canvas.paste(image.convert("RGB"), ((size - image.width) // 2, (size - image.height) // 2))
    return canvas


def is_blank(png: bytes | None) -> bool:
    """Is there no picture, or one of a single colour?"""
    return not png or is_one_colour(Image.open(io.BytesIO(png)).convert("RGB"))


def is_one_colour(image: Image.Image) -> bool:
    """Is an RGB picture all one colour but for a speck that nobody would see?"""
    pixels = image.width * image.height
    most = max(count for count, _ in image.getcolors(pixels))
    return pixels - most < SPECK * pixels


def picture_difference(a: Any, b: Any, tile: int = 16) -> tuple[float, float]:
    """Return (mean absolute error, that of the worst tile) of two uint8 arrays (S, S, 3), both in [0, 1].

    tile: its side in pixels, at most 257. A fourth channel may be there, the same in both.
    """
    error = np.maximum(a, b) - np.minimum(a, b)  # bytes all along: a fifth of the time
    rows = error.reshape(len(error) // tile, tile, -1).sum(axis=1, dtype=np.uint16)
    tiles = rows.reshape(len(rows), -1, a.shape[2] * tile).sum(axis=2, dtype=np.uint32) / (3 * 255 * tile * tile)
    return float(tiles.mean()), float(tiles.max())


def _refuse_files(svg: str) -> None:
    """Raise ValueError for text that is not XML, declares entities, or holds elements that read files."""

    def start(name: str, _attributes: dict) -> None:
        if name.rpartition(" ")[2] in _READS_FILES:
            raise ValueError("the SVG refers to images, which are not rendered")

    def entity(*_declaration: Any) -> None:
        raise ValueError("the SVG declares entities, which are not rendered")

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = start
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(svg.encode("utf-8"), True)  # a lone surrogate is a ValueError
    except expat.ExpatError as error:
        raise ValueError(f"the SVG is not well-formed ({error})") from None


_lock = threading.Lock()
_worker: subprocess.Popen | None = None


def _ask(options: dict, seconds: float) -> bytes:
    """Send one drawing to the worker and return its answer; a worker that dies or dawdles is replaced."""
    global _worker
    with _lock:
        if _worker is None:
            path = Path(__file__).with_name("render_worker.py")
            _worker = subprocess.Popen(
                [sys.executable, "-I", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        worker = _worker
        alarm = threading.Timer(seconds, worker.kill)
        alarm.start()
        try:
            write_frame(worker.stdin, json.dumps(options).encode())
            answer = read_frame(worker.stdout)
        except BrokenPipeError:
            answer = None
        finally:
            alarm.cancel()
        if answer is None:
            _stop()
            raise ValueError(f"{options['renderer']} crashed on the SVG or took over {seconds:g} s")
        return answer


@atexit.register
def _stop() -> None:
    global _worker
    if _worker is not None:
        _worker.kill()
        _worker.communicate()
        _worker = None


def _forget() -> None:
    """In a forked child the worker is the parent's: two processes must not talk into one pipe."""
    global _worker, _lock
    _worker, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
