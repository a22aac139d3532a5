"""Sheets of pictures: each in its place, none out of shape, and nobody else's file in the way."""

import io
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from qwen_svg.common import sheet as sheet_module
from qwen_svg.common.errors import UserError
from qwen_svg.common.sheet import cell, fitted, font_for, save, sheet_beside, write_sheet


def png(size: tuple[int, int], colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "png")
    return file.getvalue()


def test_a_sheet_shows_every_picture_and_what_is_missing(tmp_path):
    pictures = [("red", png((9, 9), "red")), ("nothing", None), ("blue", Image.new("RGBA", (300, 300), "blue"))]
    write_sheet(tmp_path / "s.png", pictures * 3)
    sheet = Image.open(tmp_path / "s.png").convert("RGB")
    middles = [sheet.getpixel((10 + 80 + i % 6 * 170, 10 + 80 + i // 6 * 222)) for i in range(9)]
    assert middles == [(255, 0, 0), (255, 255, 255), (0, 0, 255)] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["s.png"]


@pytest.mark.parametrize(("size", "beside"), [((40, 20), (50, 5)), ((200, 400), (5, 50))])
def test_a_picture_that_is_no_square_keeps_its_shape(size, beside):
    found = cell(png(size, "red"), 100)
    assert found.size == (100, 100)
    assert found.getpixel((50, 50)) == (255, 0, 0) and found.getpixel(beside) == (255, 255, 255)


def test_a_sheet_that_cannot_be_written_leaves_the_old_one(tmp_path):
    save(Image.new("RGB", (2, 2), "red"), tmp_path / "s.png")
    with pytest.raises(OSError):
        save(Image.new("HSV", (2, 2)), tmp_path / "s.png")  # a mode that PNG does not have
    assert Image.open(tmp_path / "s.png").getpixel((0, 0)) == (255, 0, 0)


def test_a_picture_that_was_there_before_the_output_is_not_written_over(tmp_path):
    sheet_beside(tmp_path / "o.jsonl")
    (tmp_path / "o.png").write_text("mine")
    with pytest.raises(UserError, match=r"o\.png, where the pictures would go, exists"):
        sheet_beside(tmp_path / "o.jsonl")
    (tmp_path / "o.jsonl").touch()
    assert sheet_beside(tmp_path / "o.jsonl") == tmp_path / "o.png"


@pytest.mark.parametrize("text", ["a fox", "a long description of a fox " * 9, "x" * 300, "красная лиса αλεπού", ""])
@pytest.mark.parametrize("size", [11, 15])
def test_captions_never_leave_their_place(text, size):
    font = font_for(text, size)
    lines = fitted(text, font, 160, 3)
    assert len(lines) <= 3 and all(font.getlength(line) <= 160 for line in lines)
    whole = "".join(text.split())
    assert "".join("".join(lines).split()) == whole or (
        lines[-1].endswith(" …") and whole.startswith(lines[0].split()[0])
    )


def test_greek_and_cyrillic_are_drawn_and_what_no_font_has_is_said(monkeypatch, capsys):
    boxes = font_for("\uffff", 12).getmask("\uffff")
    for character in "лλéß→":
        assert bytes(font_for(character, 12).getmask(character)) != bytes(boxes)
    capsys.readouterr()
    monkeypatch.setattr(sheet_module, "_fonts_here", list)
    font_for("火狐 and 狐", 12)
    font_for("火狐 again", 12)
    assert capsys.readouterr().out.count("no font here has") == 1
    had = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    monkeypatch.setattr(
        sheet_module, "_characters", lambda path: {ord(c) for c in "火"} if path == had.parent else set()
    )
    monkeypatch.setattr(sheet_module, "_fonts_here", lambda: [had.parent])
    monkeypatch.setattr("PIL.ImageFont.truetype", lambda path, size: path)
    assert font_for("火", 13) == had.parent
