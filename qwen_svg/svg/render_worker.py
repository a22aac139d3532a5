"""The process that draws: SVG in, PNG out, over pipes; `qwen_svg/svg/render.py` starts it, and again when it has died.

resvg and CairoSVG trust their input more than we do: some SVGs abort them, overflow a stack or keep them busy for days.
Here they take only this process with them. A frame is 4 bytes of length (big endian) and a JSON text, or for a PNG the
bytes.
"""

import json
import struct
import sys
from contextlib import suppress
from typing import Any, BinaryIO

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


def resvg(**options: Any) -> bytes:
    import resvg_py

    # dpi: without it, lengths in mm or in are 0
    return bytes(resvg_py.svg_to_bytes(skip_system_fonts=True, dpi=96.0, **options))


def cairosvg(svg_string: str, width: int, height: int, background: str) -> bytes:
    """As its svg2png, which would fetch what an address names."""
    from cairosvg.surface import PNGSurface

    def refuse(url: str, kind: str) -> bytes:
        raise ValueError(f"the SVG refers to {url}, which is not fetched")

    return PNGSurface.convert(
        svg_string.encode("utf-8"), background_color=background, output_width=width, output_height=height,
        url_fetcher=refuse,
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
