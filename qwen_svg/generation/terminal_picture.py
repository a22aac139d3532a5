"""A picture in the terminal: kitty's or iTerm2's way or in sixels, where the terminal has one, else in half blocks.

No package does these four: term-image has no sixels and wants a Pillow from 2023; textual-image has no iTerm2, asks the
terminal as it is imported, and may swallow a typed key. kitty and iTerm2 take the PNG as it is, so little is left.

Sources: sw.kovidgoyal.net/kitty/graphics-protocol, iterm2.com/documentation-images.html, and for sixels chapter 14 of
DEC's "VT330/VT340 Programmer Reference Manual" (EK-VT3XX-TP).
"""

import base64
import io
import os
import re
import select
import sys
import time
from collections.abc import Mapping
from itertools import groupby
from typing import Literal, TextIO

import numpy as np
from PIL import Image

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = None

Way = Literal["kitty", "iterm2", "sixel", "half blocks", ""]
ROWS = 20  # of the terminal that a picture is high; it is as wide: 40 columns. Sixels have a size of their own
SECONDS = 0.3  # to wait for the terminal's answer; over a slow line the picture is in half blocks
CHUNK = 4096  # characters of base64 in one of kitty's commands
ESC = "\x1b"
KITTY_QUESTION = f"{ESC}_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA{ESC}\\"
WHAT_ARE_YOU = f"{ESC}[c"  # primary device attributes: every terminal answers, after what was asked before
ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
SIXEL = b"4"  # among the attributes


def find_way(out: TextIO | None = None, env: Mapping[str, str] = os.environ) -> Way:
    """Return how pictures are shown on this output; "" where they are not: a pipe, a file, a plain terminal.

    The environment says it, or the terminal is asked, which takes SECONDS at most and takes nothing of what is typed.
    """
    out, kind = out or sys.stdout, env.get("TERM", "")
    if not out.isatty() or kind == "dumb" or (not kind and "WT_SESSION" not in env):
        return ""
    if not (within := "TMUX" in env or kind.startswith(("screen", "tmux"))):  # which inherit their terminal's variables
        program = env.get("TERM_PROGRAM", "")
        if "KITTY_WINDOW_ID" in env or program == "ghostty" or kind in ("xterm-kitty", "xterm-ghostty"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm", "mintty") or env.get("LC_TERMINAL") == "iTerm2":
            return "iterm2"
    silent = kind == "linux" or env.get("TERM_PROGRAM") == "Apple_Terminal"  # would print the question
    reply = b"" if silent else _ask(WHAT_ARE_YOU if within else KITTY_QUESTION + WHAT_ARE_YOU, out)
    if b"_Gi=31;OK" in reply:
        return "kitty"
    if (attributes := ATTRIBUTES.search(reply)) and SIXEL in attributes[1].split(b";")[1:]:
        return "sixel"
    return "half blocks" if _can_print("▀", out) else ""


def shown(png: bytes, way: Way, env: Mapping[str, str] = os.environ, columns: int = 80) -> str:
    """Return what a terminal of so many columns shows as this picture, with the end of a line after it."""
    rows = min(ROWS, columns // 2)
    match way:
        case "kitty":
            text = _kitty(png, rows)
        case "iterm2":
            text = _iterm2(png, rows)
        case "sixel":
            text = _sixel(_opened(png))
        case "half blocks":
            text = _half_blocks(
                _opened(png), rows, env.get("COLORTERM") in ("truecolor", "24bit") or "WT_SESSION" in env
            )
        case _:
            return ""
    return text + "\n"


# --- asking ---------------------------------------------------------------------------------------------------


def _ask(question: str, out: TextIO) -> bytes:
    """Return what the terminal answers up to its attributes; nothing where it does not, or somebody is typing."""
    if termios is None or not sys.stdin.isatty():
        return b""
    terminal, reply, end = sys.stdin.fileno(), b"", time.monotonic() + SECONDS
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)  # without waiting for the end of a line, and without showing it
        if select.select([terminal], [], [], 0)[0]:  # typed ahead: whoever reads next shall have it
            return b""
        out.write(question)
        out.flush()
        while not ATTRIBUTES.search(reply):
            if not select.select([terminal], [], [], max(0.0, end - time.monotonic()))[0]:
                break
            reply += os.read(terminal, 1)  # and nothing of what comes after
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
    return reply


def _can_print(text: str, out: TextIO) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


# --- the four ways --------------------------------------------------------------------------------------------


def _opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def _kitty(png: bytes, rows: int) -> str:
    """a=T: send and show; f=100: PNG; r: rows, the columns follow from the picture; q=2: answer nothing; m=1: more."""
    text = base64.b64encode(png).decode("ascii")
    chunks = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)]
    heads = [f"a=T,f=100,r={rows},q=2,"] + [""] * (len(chunks) - 1)
    more = [1] * (len(chunks) - 1) + [0]
    return "".join(f"{ESC}_G{head}m={m};{chunk}{ESC}\\" for head, m, chunk in zip(heads, more, chunks, strict=True))


def _iterm2(png: bytes, rows: int) -> str:
    text = base64.b64encode(png).decode("ascii")
    return f"{ESC}]1337;File=inline=1;size={len(png)};height={rows};preserveAspectRatio=1:{text}\a"


def _sixel(image: Image.Image) -> str:
    """Six rows make a band; in it each colour has a line of characters, whose six bits are the rows it paints."""
    flat = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    pixels, palette = np.asarray(flat), np.asarray(flat.getpalette()).reshape(-1, 3)
    used = np.unique(pixels)
    registers = "".join("#{};2;{};{};{}".format(i, *np.rint(palette[i] / 2.55).astype(int)) for i in used)
    bands = [_band(pixels[top : top + 6]) for top in range(0, image.height, 6)]
    return f'{ESC}P0;1q"1;1;{image.width};{image.height}{registers}{"-".join(bands)}{ESC}\\'


def _band(rows: np.ndarray) -> str:
    """rows: colour numbers, at most 6 × width."""
    bits = 1 << np.arange(len(rows))[:, None]
    lines = []
    for number in np.unique(rows):
        text = bytes(63 + np.sum(bits * (rows == number), axis=0, dtype=np.uint8)).decode("ascii")
        lines.append(f"#{number}" + re.sub(r"(.)\1{3,}", lambda run: f"!{len(run[0])}{run[1]}", text))
    return "$".join(lines)


def _half_blocks(image: Image.Image, rows: int, all_colours: bool) -> str:
    """Each character is two pixels, one above the other: the colour of ▀ and that behind it."""
    pixels = np.asarray(image.resize((2 * rows, 2 * rows), Image.Resampling.BOX)).astype(int)
    lines = []
    for above, below in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"38;{_colour(a, all_colours)};48;{_colour(b, all_colours)}" for a, b in zip(above, below, strict=True)
        )
        lines.append("".join(f"{ESC}[{code}m" + "▀" * len(list(run)) for code, run in groupby(cells)) + f"{ESC}[0m")
    return "\n".join(lines)


def _colour(rgb: np.ndarray, all_colours: bool) -> str:
    """Of the 256 colours, 16 to 231 are a cube with sides of 0, 95, 135, 175, 215, 255."""
    if all_colours:
        return "2;{};{};{}".format(*rgb)
    red, green, blue = (0 if v < 48 else 1 if v < 115 else (v - 35) // 40 for v in rgb.tolist())
    return f"5;{16 + 36 * red + 6 * green + blue}"
