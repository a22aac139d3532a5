"""The process that draws: SVG in, PNG out, over pipes; `qwen_svg/svg/render.py` starts it, and again when it has died.

resvg trusts its input more than we do: some SVGs abort it, overflow its stack or keep it busy for days. Here they take
only this process with them. A frame is 4 bytes of length (big endian) and a JSON text, or for a PNG the bytes.
"""

import json
import struct
import sys
from contextlib import suppress
from typing import BinaryIO

MAX_MEMORY = 2 * 1024**3  # bytes of address space; an honest drawing takes 40 MB


def main() -> None:
    _limit_memory()
    import resvg_py

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while (frame := read_frame(requests)) is not None:  # dpi: without it, lengths in mm or in are 0
        options = json.loads(frame)
        try:
            picture = bytes(resvg_py.svg_to_bytes(skip_system_fonts=True, dpi=96.0, **options))
        except BaseException as error:  # resvg's panics do not derive from Exception
            write_frame(answers, b"E" + str(error).encode("utf-8", "replace"))
        else:
            write_frame(answers, b"P" + picture)


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
