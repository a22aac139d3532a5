"""What people look at: samples.jsonl, gallery.png, report.html (one file, pictures inside, works offline), wandb."""

import html
import io
import json
from pathlib import Path
from typing import Any

import wandb
from PIL import Image, ImageDraw

from qwen_svg.common.dataset import Sample
from qwen_svg.common.files import write_text
from qwen_svg.common.run_folder import cut_short
from qwen_svg.common.sheet import cell, save, write
from qwen_svg.evaluation.judge import Judgement
from qwen_svg.evaluation.metrics import FEW, Cell, Column, flat, metric_rows
from qwen_svg.evaluation.page import data_uri, page
from qwen_svg.evaluation.ranking import RANKING

CELL, TEXT_WIDTH, MARGIN = 192, 220, 12  # pixels


def write_samples(path: Path, samples: list[Sample], columns: dict[str, Column]) -> None:
    """Write a line for each sample: what each column answered, and our verdict on it."""
    records = [
        {"id": sample.id, "description": sample.description}
        | ({} if sample.svg is None else {"svg": sample.svg, "task": sample.task})
        for sample in samples
    ]
    for name, column in columns.items():
        for i, record in enumerate(records):
            record[name] = column.judged[i].to_json()
            if column.answers:
                record[name] |= {"tokens": column.answers[i].tokens, "finished": column.answers[i].finished}
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def log_test(
    tracker: Any, metrics: dict, samples: list[Sample], judged: dict[str, list[Judgement]], folder: Path
) -> None:
    """Send a test to a wandb run: all figures as summary and as one table, some samples with the drawing of each column
    side by side, the gallery in `folder`.
    """
    figures = wandb.Table(columns=["figure", *metrics])
    for label, cells in metric_rows(metrics):
        figures.add_data(label, *(f"{one.value} {one.interval}".strip() for one in cells))
    table = wandb.Table(columns=["id", "description", *judged, "verdict", "reasoning", "svg"])
    for i, sample in enumerate(samples):
        tuned, row = judged["tuned"][i], [column[i].png for column in judged.values()]
        pictures = [wandb.Image(Image.open(io.BytesIO(png))) if png else None for png in row]
        table.add_data(sample.id, sample.description, *pictures, tuned.summary(), tuned.reasoning, tuned.svg)
    gallery = wandb.Image(str(folder / "gallery.png"))
    tracker.log({"test/figures": figures, "test/samples": table, "test/gallery": gallery})
    tracker.summary.update(flat(metrics))


def write_gallery(path: Path, samples: list[Sample], judged: dict[str, list[Judgement]], rows: int) -> None:
    """Draw a PNG: one row per sample (the last ones), description on the left, one column per model."""
    shown = list(range(max(0, len(samples) - rows), len(samples)))
    width = TEXT_WIDTH + (CELL + MARGIN) * len(judged) + 2 * MARGIN
    height = 36 + (CELL + MARGIN) * len(shown) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(judged):
        x = MARGIN + TEXT_WIDTH + column * (CELL + MARGIN)
        write(draw, (x, 10), name, 15, CELL, bold=True)
        for row, i in enumerate(shown):
            y = 36 + row * (CELL + MARGIN)
            judgement = judged[name][i]
            sheet.paste(cell(judgement.png, CELL), (x, y))
            write(draw, (x + 12, y + CELL // 2 - 8), judgement.why_not_drawn, 13, CELL - 24, fill="#999999")
            draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline="#dddddd")
    for row, i in enumerate(shown):
        y = 36 + row * (CELL + MARGIN)
        write(draw, (MARGIN, y + 4), samples[i].description, 13, TEXT_WIDTH - MARGIN, 10, fill="black")
    save(sheet, path)


def write_report(
    path: Path, run: Path, metrics: dict, samples: list[Sample], judged: dict[str, list[Judgement]]
) -> None:
    """Write the report: figures, loss curve, broken rules, best and worst, then every drawing."""
    loss, cut = run / "loss.png", cut_short(run)
    curve = f'<img class="curve" alt="loss over steps" src="{data_uri(loss.read_bytes())}">' if loss.is_file() else ""
    ranking, title = run / "test" / RANKING, "<h2>Best and worst by score</h2>"
    ranked = f'{title}<img class="curve" alt="" src="{data_uri(ranking.read_bytes())}">' if ranking.is_file() else ""
    body = _BODY.format(
        metrics=_metric_table(metrics) + (f"<p>{cut}.</p>" if cut else ""),
        violations=_violation_table(metrics),
        curve=curve,
        ranked=ranked,
        count=len(samples),
        samples="\n".join(_sample(sample, i, judged) for i, sample in enumerate(samples)),
    )
    write_text(path, page(f"Qwen-SVG · {run.name}", body))


def _metric_table(metrics: dict) -> str:
    rows = metric_rows(metrics)
    few = any(one.interval for _, cells in rows for one in cells)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in metrics)
    body = "".join(
        f"<tr><td>{html.escape(label)}</td>" + "".join(f"<td>{_figure(one, few)}</td>" for one in cells) + "</tr>"
        for label, cells in rows
    )
    note = f"<p>[low–high]: 95 % confidence interval of the share, in %, as there are fewer than {FEW} answers.</p>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>" + (note if few else "")


def _figure(one: Cell, few: bool) -> str:
    """few: leave room for an interval also where there is none, so that the figures stand below each other."""
    return one.value + (f' <span class="interval">{one.interval}</span>' if few else "")


def _violation_table(metrics: dict) -> str:
    rules = sorted(
        {rule for figures in metrics.values() for rule in figures["violations"]},
        key=lambda rule: -max(figures["violations"].get(rule, 0) for figures in metrics.values()),
    )
    if not rules:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in metrics)
    body = "".join(
        f"<tr><td><code>{html.escape(rule)}</code></td>"
        + "".join(f"<td>{figures['violations'].get(rule, 0) or '–'}</td>" for figures in metrics.values())
        + "</tr>"
        for rule in rules
    )
    return f"<table><tr><th>rule</th>{head}</tr>{body}</table>"


def _sample(sample: Sample, i: int, judged: dict[str, list[Judgement]]) -> str:
    cells = []
    for name, judgements in judged.items():
        judgement = judgements[i]
        picture = (
            f'<img alt="{html.escape(name)}" src="{data_uri(judgement.png)}">'
            if judgement.drawn
            else f'<div class="none">{html.escape(judgement.why_not_drawn)}</div>'
        )
        badge = "good" if judgement.legal("prompt") and judgement.drawn else "bad"
        cells.append(
            f'<figure>{picture}<figcaption>{html.escape(name)}<br><span class="{badge}">'
            f"{html.escape(judgement.summary())}</span>{_claims(judgement)}</figcaption>"
            f"<details><summary>answer</summary><pre>{html.escape(judgement.answer)}</pre></details></figure>"
        )
    return f"<section><h3>{html.escape(sample.description)}</h3><div class='row'>{''.join(cells)}</div></section>"


def _claims(judgement: Judgement) -> str:
    """ "7 of 8 claims hold, not: small blue square" """
    if not judgement.claims or not judgement.drawn:
        return ""
    broken = [claim for claim, holds in judgement.claims if not holds]
    named = f", not: {html.escape(', '.join(broken))}" if broken else ""
    return f"<br>{len(judgement.claims) - len(broken)} of {len(judgement.claims)} claims hold{named}"


_BODY = """{metrics}
<h2>Training</h2>
{curve}
<h2>Answers that break a rule of the prompt</h2>
{violations}
{ranked}
<h2>Drawings ({count})</h2>
{samples}
"""
