"""Pictures in the terminal: what is sent, read back to the picture; and how it is found what a terminal can show."""

import base64
import io
import os
import pty
import re
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from qwen_svg.generation.terminal_picture import CHUNK, KITTY_QUESTION, ROWS, WHAT_ARE_YOU, find_way, shown
from qwen_svg.svg.render import png_bytes
from svg_constraint import SVG_OPEN

DRAWING = f"""{SVG_OPEN}
<rect x="0" y="0" width="256" height="150" fill="skyblue"/>
<circle cx="200" cy="50" r="30" fill="gold" stroke="orange" stroke-width="7"/>
<path d="M0 256 C60 100 120 100 256 256 z" fill="#1f4037"/>
</svg>"""


@pytest.fixture(scope="module")
def png():
    return png_bytes(DRAWING)


def pixels(picture: bytes | Image.Image) -> np.ndarray:
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    return np.asarray(image.convert("RGB")).astype(int)


# --- what is sent ---------------------------------------------------------------------------------------------


def from_kitty(text: str) -> tuple[dict, bytes]:
    """Return the keys of the first command and the bytes of all."""
    found = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in found) + "\n" == text
    keys = [dict(pair.split("=") for pair in keys.split(",")) for keys, _ in found]
    assert [one["m"] for one in keys] == ["1"] * (len(keys) - 1) + ["0"]
    assert all(len(data) <= CHUNK for _, data in found) and all(len(data) % 4 == 0 for _, data in found)
    return keys[0], base64.b64decode("".join(data for _, data in found))


def from_sixel(text: str) -> np.ndarray:
    """Read sixels as a terminal does (DEC STD 070), for the commands " # ! $ - and characters of six pixels."""
    body = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)([^\x1b]*)\x1b\\\n', text)
    canvas = np.full((int(body[2]), int(body[1]), 3), -1)
    colours, colour, x, y = {}, None, 0, 0
    for number, paint, count, char in re.findall(r"#(\d+)((?:;\d+){4})?|(?:!(\d+))?([$\-?-~])", body[3]):
        if number:
            colour = int(number)
            if paint:
                kind, *rgb = map(int, paint[1:].split(";"))
                assert kind == 2 and max(rgb) <= 100
                colours[colour] = np.rint(np.array(rgb) * 2.55)
        elif char in "$-":
            x, y = 0, y + 6 * (char == "-")
        else:
            for row in range(6):
                if (ord(char) - 63) >> row & 1:
                    canvas[y + row, x : x + int(count or 1)] = colours[colour]
            x += int(count or 1)
    return canvas


def from_half_blocks(text: str) -> np.ndarray:
    """Return rows × columns × (above, below) as a picture, its colours as they are named: [r, g, b] or [number]."""
    above, below, rows = None, None, []
    for line in text.removesuffix("\n").split("\n"):
        cells = []
        for codes, blocks in re.findall(r"\x1b\[([\d;]*)m|(▀)", line):
            if blocks:
                cells.append((above, below))
            elif found := re.fullmatch(r"38;[25];([\d;]+);48;[25];([\d;]+)", codes):
                above, below = ([int(n) for n in part.split(";")] for part in found.groups())
        assert line.endswith("\x1b[0m")
        rows += [[one[side] for one in cells] for side in (0, 1)]
    return np.array(rows)


def test_kitty_gets_the_png_in_chunks(png):
    large = png_bytes(DRAWING, 1024)
    for picture in (png, large):
        keys, data = from_kitty(shown(picture, "kitty"))
        assert data == picture and keys | {"m": "0"} == {"a": "T", "f": "100", "r": str(ROWS), "q": "2", "m": "0"}
    assert shown(large, "kitty").count("\x1b_G") > 2


def test_iterm2_gets_the_png(png):
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\a\n", shown(png, "iterm2"))
    assert base64.b64decode(found[2]) == png
    assert found[1].split(";") == ["inline=1", f"size={len(png)}", f"height={ROWS}", "preserveAspectRatio=1"]


def test_sixels_paint_every_pixel_in_its_colour(png):
    assert len(np.unique(pixels(png).reshape(-1, 3), axis=0)) > 64
    assert np.abs(from_sixel(shown(png, "sixel")) - pixels(png)).max() <= 1  # a register is in per cent: 1.3 of 255


def test_sixels_of_a_height_that_six_does_not_divide():
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]] * 7 + [[[0, 255, 0]] * 2], np.uint8))
    file = io.BytesIO()
    image.save(file, "png")
    assert np.abs(from_sixel(shown(file.getvalue(), "sixel")) - pixels(image)).max() <= 1


def test_half_blocks_are_two_pixels_each(png):
    wanted = pixels(Image.open(io.BytesIO(png)).convert("RGB").resize((2 * ROWS, 2 * ROWS), Image.Resampling.BOX))
    text = shown(png, "half blocks", {"COLORTERM": "truecolor"})
    assert np.array_equal(from_half_blocks(text), wanted)
    assert len(text.splitlines()) == ROWS
    narrow = from_half_blocks(shown(png, "half blocks", {"COLORTERM": "truecolor"}, columns=21))
    assert narrow.shape == (20, 20, 3)


def test_where_there_are_256_colours_the_nearest_is_taken(png):
    wanted = pixels(Image.open(io.BytesIO(png)).convert("RGB").resize((2 * ROWS, 2 * ROWS), Image.Resampling.BOX))
    numbers = from_half_blocks(shown(png, "half blocks", {})) - 16
    steps = np.array([0, 95, 135, 175, 215, 255])
    seen = steps[np.concatenate([numbers // 36, numbers // 6 % 6, numbers % 6], axis=2)]
    nearest = steps[np.abs(wanted[..., None] - steps).argmin(axis=3)]
    assert np.abs(seen - wanted).max() <= 48 and np.array_equal(np.abs(seen - wanted), np.abs(nearest - wanted))


# --- what a terminal can show ---------------------------------------------------------------------------------


class Pseudo:
    """A pseudo-terminal that is standard input and output, and answers as told. What it was sent is in `read`."""

    def __init__(self, monkeypatch, answers: dict[str, bytes], encoding: str = "utf-8"):
        self.main, side = pty.openpty()
        self.out = open(side, "w", encoding=encoding)  # noqa: SIM115
        self.stdin = os.fdopen(os.dup(side))
        monkeypatch.setattr(sys, "stdin", self.stdin)
        self.answers, self.read = answers, ""
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self) -> None:
        while True:
            try:
                self.read += os.read(self.main, 4096).decode()
            except OSError:
                return
            for question in list(self.answers):
                if question in self.read:
                    os.write(self.main, self.answers.pop(question))


@pytest.mark.parametrize(
    ("env", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "half blocks"),
        ({"TERM": "linux"}, "half blocks"),
        ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, ""),
        ({}, ""),
    ],
)
def test_the_environment_says_it_and_the_terminal_is_not_asked(monkeypatch, env, way):
    terminal = Pseudo(monkeypatch, {})
    assert find_way(terminal.out, env) == way and terminal.read == ""


@pytest.mark.parametrize(
    ("answer", "way"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", "kitty"),
        (b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?62;4;22c", "sixel"),
        (b"\x1b[?64;1;2;4;6c", "sixel"),
        (b"\x1b[?4;14c", "half blocks"),  # the first number is what it is: a VT132
        (b"\x1b[?1;2c", "half blocks"),
    ],
)
def test_a_terminal_is_asked_and_what_is_typed_meanwhile_stays(monkeypatch, answer, way):
    terminal = Pseudo(monkeypatch, {KITTY_QUESTION + WHAT_ARE_YOU: answer + b"a fox\n"})
    assert find_way(terminal.out, {"TERM": "xterm-256color"}) == way
    assert terminal.stdin.readline() == "a fox\n"


def test_in_tmux_the_variables_are_the_outer_terminals(monkeypatch):
    env = {"TERM": "tmux-256color", "TMUX": "/tmp/a,1,0", "KITTY_WINDOW_ID": "1", "LC_TERMINAL": "iTerm2"}
    terminal = Pseudo(monkeypatch, {WHAT_ARE_YOU: b"\x1b[?1;2;4c"})
    assert find_way(terminal.out, env) == "sixel" and terminal.read == WHAT_ARE_YOU
    assert find_way(Pseudo(monkeypatch, {WHAT_ARE_YOU: b"\x1b[?1;2c"}).out, env) == "half blocks"


def test_a_terminal_that_does_not_answer_costs_a_third_of_a_second(monkeypatch):
    terminal, begun = Pseudo(monkeypatch, {}), time.monotonic()
    assert find_way(terminal.out, {"TERM": "xterm"}) == "half blocks" and 0.3 <= time.monotonic() - begun < 1


def test_whoever_has_typed_ahead_is_not_robbed(monkeypatch):
    terminal = Pseudo(monkeypatch, {WHAT_ARE_YOU: b"\x1b[?62;4c"})
    os.write(terminal.main, b"a f")  # no whole line yet
    assert find_way(terminal.out, {"TERM": "xterm"}) == "half blocks" and WHAT_ARE_YOU not in terminal.read
    os.write(terminal.main, b"ox\n")
    assert terminal.stdin.readline() == "a fox\n"


def test_where_blocks_cannot_be_printed_there_is_no_picture(monkeypatch, png):
    terminal = Pseudo(monkeypatch, {WHAT_ARE_YOU: b"\x1b[?1;2c"}, encoding="latin-1")
    assert find_way(terminal.out, {"TERM": "xterm"}) == "" and shown(png, "") == ""


def test_a_pipe_gets_no_picture_and_no_question(tmp_path):
    with (tmp_path / "out").open("w+", encoding="utf-8") as out:
        assert find_way(out, {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}) == ""
        assert out.tell() == 0
