"""A picture of the best and the worst drawings by each score, with what they were to show in the corner."""

from pathlib import Path

from PIL import Image, ImageDraw

from qwen_svg.common.dataset import Sample
from qwen_svg.common.sheet import cell, save, write
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
        none = drawings[order[0]].scores[name] <= 0
        best = f"tuned, {name}: none above 0" if none else f"tuned, by {name}: best"
        rows += [(best, name, order[:shown]), (f"tuned, by {name}: worst", name, order[-shown:])]
    height = HEAD + CELL + CAPTION
    sheet = Image.new("RGB", (MARGIN + shown * (CELL + MARGIN), MARGIN + len(rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (title, name, numbers) in enumerate(rows):
        top = MARGIN + row * height
        write(draw, (MARGIN, top), title, 15, sheet.width - 2 * MARGIN, bold=True)
        for column, i in enumerate(numbers):
            x, y = MARGIN + column * (CELL + MARGIN), top + HEAD
            for judgement, size in ((drawings[i], CELL), (references[i], INSET)):
                corner = (x + CELL - size, y + CELL - size)
                if judgement.renders:
                    sheet.paste(cell(judgement.png, size), corner)
                if size == CELL:
                    write(draw, (x + 12, y + 40), judgement.why_not_drawn, 11, CELL - 24, fill="#999999")
                draw.rectangle((*corner, x + CELL - 1, y + CELL - 1), outline="#bbbbbb")
            write(draw, (x, y + CELL + 2), f"{drawings[i].scores[name]:.3f}", 11, CELL)
            write(draw, (x, y + CELL + 16), samples[i].description, 11, CELL, 2)
    save(sheet, path)
