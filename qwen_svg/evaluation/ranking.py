"""A picture of the best and the worst drawings by each score, with what they were to show in the corner."""

from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from qwen_svg.common.dataset import Sample
from qwen_svg.common.sheet import cell, save
from qwen_svg.evaluation.judge import Judgement

RANKING = "ranking.png"
SHOWN = 10  # best, and worst
CELL, INSET, CAPTION, HEAD, MARGIN = 132, 44, 48, 26, 8  # pixels


def write_ranking(path: Path, samples: list[Sample], drawings: list[Judgement], references: list[Judgement]) -> None:
    """Write a PNG of two rows for each score: the ten best (half of them where there are fewer), and the ten worst."""
    rows = []
    for name in drawings[0].scores:
        order = sorted(range(len(drawings)), key=lambda i: -drawings[i].scores[name])
        shown = min(SHOWN, max(1, len(order) // 2))
        rows += [(f"{name}: best", name, order[:shown]), (f"{name}: worst", name, order[-shown:])]
    height = HEAD + CELL + CAPTION
    sheet = Image.new("RGB", (MARGIN + shown * (CELL + MARGIN), MARGIN + len(rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    bold, small = ImageFont.load_default(15), ImageFont.load_default(11)
    for row, (title, name, numbers) in enumerate(rows):
        top = MARGIN + row * height
        draw.text((MARGIN, top), title, fill="#333333", font=bold)
        for column, i in enumerate(numbers):
            x, y = MARGIN + column * (CELL + MARGIN), top + HEAD
            for judgement, size in ((drawings[i], CELL), (references[i], INSET)):
                corner = (x + CELL - size, y + CELL - size)
                if judgement.renders:
                    sheet.paste(cell(judgement.png, size), corner)
                if size == CELL:
                    draw.text((x + 12, y + 40), judgement.why_not_drawn, fill="#999999", font=small)
                draw.rectangle((*corner, x + CELL - 1, y + CELL - 1), outline="#bbbbbb")
            text = [f"{drawings[i].scores[name]:.3f}", *wrap(samples[i].description, 21, max_lines=2, placeholder=" …")]
            draw.multiline_text((x, y + CELL + 2), "\n".join(text), fill="#333333", font=small, spacing=1)
    save(sheet, path)
