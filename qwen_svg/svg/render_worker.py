"""The process that draws: SVG in, PNG out, over pipes; `qwen_svg/svg/render.py` starts it, and again when it has died.

resvg and CairoSVG trust their input more than we do: some SVGs abort them, overflow a stack or keep them busy for days.
Here they take only this process with them. A frame is 4 bytes of length (big endian) and a JSON text, or for a PNG the
bytes.
"""

import json
import re
import struct
import sys
from contextlib import suppress
from typing import BinaryIO

WHITE = (255, 255, 255, 255)
_ROOT = re.compile(r"<(?:[\w.-]+:)?svg\b[^>]*>")
_SIDE = re.compile(r"\s(width|height)\s*=")
MAX_MEMORY = 2 * 1024**3  # bytes of address space; an honest drawing takes 40 MB


def main() -> None:
    _limit_memory()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while (frame := read_frame(requests)) is not None:
        options = json.loads(frame)
        try:
            picture = RENDERERS[options.pop("renderer")](**options)
        except BaseException as error:  # resvg's panics do not derive from Exception
            write_frame(answers, b"E" + str(error).encode("utf-8", "replace"))
        else:
            write_frame(answers, b"P" + picture)


def resvg(svg_string: str, width: int, height: int, transparent: bool) -> bytes:
    """Fitted into width × height, as resvg's own program does it: sizes are rounded up to whole pixels.

    By the package resvg, which takes a third of the time that resvg-py takes for the same PNG, to the last byte. It
    brings resvg 0.47; what 0.48 reads in another way is left to resvg-py. The reader knows English.
    """
    if _has_one_side(svg_string):
        import resvg_py

        options = {"languages": ["en"]} | ({} if transparent else {"background": "#ffffff"})
        # dpi: without it, lengths in mm or in are 0
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg_string, width=width, height=height, skip_system_fonts=True, dpi=96.0, **options
            )
        )
    from resvg import render, usvg

    try:
        tree = usvg.Tree.from_str(svg_string, usvg.Options.default())
    except BaseException as error:  # it panics: "called … on an `Err` value: InvalidSize"
        raise ValueError(str(error).rpartition("value: ")[2]) from None
    own_width, own_height = tree.int_size()
    fitted_width = -(-height * own_width // own_height)
    if fitted_width < width:
        width = fitted_width
    else:
        height = -(-width * own_height // own_width)
    scale = (width / own_width, 0, 0, 0, height / own_height, 0)  # x = a x + b y + c, y = d x + e y + f
    return render(tree, scale, bg_size=(width, height), bg_color=None if transparent else WHITE)


def _has_one_side(svg: str) -> bool:
    """Has it a width and no height, or the other way round? Then the other one follows from the viewBox."""
    root = _ROOT.search(svg)
    return bool(root) and len({*_SIDE.findall(root[0])}) == 1


def cairosvg(svg_string: str, width: int, height: int, transparent: bool) -> bytes:
    """As its svg2png, which would fetch what an address names."""
    from cairosvg.surface import PNGSurface

    def refuse(url: str, kind: str) -> bytes:
        raise ValueError(f"the SVG refers to {url}, which is not fetched")

    return PNGSurface.convert(
        svg_string.encode("utf-8"), background_color=None if transparent else "white",
        output_width=width, output_height=height, url_fetcher=refuse,
    )  # fmt: skip


RENDERERS = {"resvg": resvg, "cairosvg": cairosvg}


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame's bytes; None when the other side is gone."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    (length,) = struct.unpack(">I", header)
    data = stream.read(length)
    return data if len(data) == length else None


def write_frame(stream: BinaryIO, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    with suppress(ValueError):  # macOS has the name, and takes no limit
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
