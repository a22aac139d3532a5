"""Many pictures with captions on one sheet, to look at."""

import io
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap
from typing import Any

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
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (caption, picture) in enumerate(shown):
        x, y = MARGIN + i % columns * (CELL + MARGIN), MARGIN + i // columns * (CELL + CAPTION + MARGIN)
        sheet.paste(cell(picture, CELL), (x, y))
        draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline="#dddddd")
        lines = wrap(caption, 26, max_lines=3, placeholder=" …")
        draw.multiline_text((x, y + CELL + 3), "\n".join(lines), fill="#333333", font=font)
    save(sheet, path)


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
