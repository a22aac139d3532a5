"""Many pictures with captions on one sheet, to look at; captions in every script that a font here has."""

import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont, ImageOps

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import atomic_write

CELL, CAPTION, MARGIN, COLUMNS = 160, 52, 10, 6  # pixels; pictures to a row


def write_sheet(path: Path, pictures: Iterable[tuple[str, Any]], columns: int = COLUMNS) -> None:
    """Write a PNG of captioned pictures, row by row. pictures: (caption, what `cell` takes); at least one."""
    shown = list(pictures)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    size = (MARGIN + columns * (CELL + MARGIN), MARGIN + rows * (CELL + CAPTION + MARGIN))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for i, (caption, picture) in enumerate(shown):
        x, y = MARGIN + i % columns * (CELL + MARGIN), MARGIN + i // columns * (CELL + CAPTION + MARGIN)
        sheet.paste(cell(picture, CELL), (x, y))
        draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline="#dddddd")
        write(draw, (x, y + CELL + 3), caption, 12, CELL, 3)
    save(sheet, path)


def write(
    draw: Any, corner: tuple[int, int], text: str, size: int, width: int, lines: int = 1, bold: bool = False,
    fill: str = "#333333",
) -> None:  # fmt: skip
    """Write a text from its upper left corner on, within `width` pixels and so many lines; what has no room is cut."""
    font = font_for(text, size, bold)
    draw.multiline_text(corner, "\n".join(fitted(text, font, width, lines)), fill=fill, font=font, spacing=1)


def fitted(text: str, font: Any, width: int, most: int) -> list[str]:
    """Return at most `most` lines of at most `width` pixels; a word that is wider is broken, the end may be " …"."""
    lines, line = [], ""
    for word in text.split():
        while True:
            longer = f"{line} {word}".strip()
            if font.getlength(longer) <= width:
                line = longer
                break
            if line:
                lines.append(line)
                line = ""
                continue
            end = next(n for n in range(len(word), 0, -1) if n == 1 or font.getlength(word[:n]) <= width)
            lines.append(word[:end])
            if not (word := word[end:]):
                break
    lines += [line] if line else []
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and font.getlength(f"{last} …") > width:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()} …"]


@cache
def font_for(text: str, size: int, bold: bool = False) -> Any:
    """Return DejaVu, or a font of this machine that has what it lacks of a text: Noto's before others'.

    Where none has it all, DejaVu draws boxes, and a note says which font would help.
    """
    ours = Path(matplotlib.get_data_path(), "fonts/ttf", f"DejaVuSans{'-Bold' * bold}.ttf")
    wanted = {ord(character) for character in text if not character.isspace()}
    if missing := wanted - _characters(ours):
        for path in _fonts_here():
            if wanted <= _characters(path):
                return ImageFont.truetype(path, size)
        _say_missing(chr(min(missing)))
    return ImageFont.truetype(ours, size)


@cache
def _fonts_here() -> list[Path]:
    paths = map(Path, font_manager.findSystemFonts())
    return sorted(paths, key=lambda path: ("Noto" not in path.name, "Regular" not in path.name, path.name))


@cache
def _characters(path: Path) -> frozenset[int]:
    """Return the code points that a font has; none of a file that is no such font."""
    try:
        return frozenset(TTFont(path, fontNumber=0, lazy=True).getBestCmap() or ())
    except Exception:  # fontTools raises what it likes on bitmap fonts and broken files
        return frozenset()


@cache
def _say_missing(character: str) -> None:
    print(f"note: no font here has {character!r}: it is a box in pictures; Noto has it (on Debian fonts-noto-cjk)")


def cell(picture: Any, size: int) -> Any:
    """Return a PIL image (RGB, size × size): the picture as large as it fits, centred on white.

    picture: PNG bytes, a PIL image, or None where there is nothing.
    """
    canvas = Image.new("RGB", (size, size), "white")
    if picture:
        image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
        image = ImageOps.contain(image.convert("RGB"), (size, size))
        canvas.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return canvas


def save(sheet: Any, path: Path) -> None:
    """Write a PIL image as PNG, whole or not at all."""
    with atomic_write(path) as part:
        sheet.save(part, "png", optimize=True)


def sheet_beside(output: Path) -> Path:
    """Return where the sheet of OUTPUT's pictures goes. Raises UserError where something of somebody else's lies."""
    sheet = output.with_suffix(".png")
    if sheet.exists() and not output.exists():
        raise UserError(f"{sheet}, where the pictures would go, exists; give another OUTPUT.")
    return sheet
