"""What people look at: gallery.png and report.html (one file, pictures inside, works offline)."""

import base64
import html
from pathlib import Path
from textwrap import wrap
from typing import Any

from qwen_svg.common.dataset import Sample
from qwen_svg.common.sheet import cell, save
from qwen_svg.evaluation.judge import Judgement
from qwen_svg.evaluation.ranking import RANKING
from svg_constraint import DIALECTS

TITLES = {
    "reference": "reference",
    "base": "before (base model)",
    "tuned": "after (fine-tuned)",
    "constrained": "after, held to the rules",
}
CELL, TEXT_WIDTH, MARGIN = 192, 220, 12  # pixels


def metric_rows(metrics: dict) -> list[tuple[str, list[str]]]:
    """Return (label, one text per column) for every figure, in the order people ask for them."""

    def row(label: str, text: str, *keys: str) -> tuple[str, list[str]]:
        values = []
        for figures in metrics.values():
            value: Any = figures
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            values.append("–" if value is None else text.format(value))
        return label, values

    return [
        row("cross-entropy (nats per token)", "{:.4f}", "cross_entropy"),
        row("perplexity", "{:.3f}", "perplexity"),
        row("cross-entropy (nats per character)", "{:.4f}", "nats_per_character"),
        row("has an <svg> section", "{:.1%}", "svg_accuracy"),
        row("has a <reasoning> section", "{:.1%}", "reasoning_accuracy"),
        *(row(f"legal in {dialect}", "{:.1%}", "constraint_accuracy", dialect) for dialect in DIALECTS),
        row("structural score (0 to 1)", "{:.3f}", "structural_score"),
        row("renders", "{:.1%}", "render_rate"),
        *(row(f"{name} (0 to 1)", "{:.3f}", "scores", name) for name in next(iter(metrics.values()))["scores"]),
        row("answers ended by themselves", "{:.1%}", "finished"),
        row("mean tokens per answer", "{:.0f}", "mean_tokens"),
        row("mean seconds per answer", "{:.2f}", "mean_seconds"),
        row("answers", "{}", "samples"),
        row("samples for cross-entropy", "{}", "cross_entropy_samples"),
    ]


def write_gallery(path: Path, samples: list[Sample], judged: dict[str, list[Judgement]], rows: int) -> None:
    """Draw a PNG: one row per sample (the last ones), description on the left, one column per model."""
    from PIL import Image, ImageDraw, ImageFont

    shown = list(range(max(0, len(samples) - rows), len(samples)))
    width = TEXT_WIDTH + (CELL + MARGIN) * len(judged) + 2 * MARGIN
    height = 36 + (CELL + MARGIN) * len(shown) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    bold, small = ImageFont.load_default(15), ImageFont.load_default(13)
    for column, name in enumerate(judged):
        x = MARGIN + TEXT_WIDTH + column * (CELL + MARGIN)
        draw.text((x, 10), TITLES[name], fill="#333333", font=bold)
        for row, i in enumerate(shown):
            y = 36 + row * (CELL + MARGIN)
            judgement = judged[name][i]
            if judgement.png:
                sheet.paste(cell(judgement.png, CELL), (x, y))
            else:
                reason = "no <svg> section" if judgement.svg is None else "does not render"
                draw.text((x + 12, y + CELL // 2 - 8), reason, fill="#999999", font=small)
            draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), outline="#dddddd")
    for row, i in enumerate(shown):
        y = 36 + row * (CELL + MARGIN)
        draw.multiline_text((MARGIN, y + 4), "\n".join(wrap(samples[i].description, 28)[:10]), fill="black", font=small)
    save(sheet, path)


def write_report(
    path: Path, run: Path, metrics: dict, samples: list[Sample], judged: dict[str, list[Judgement]]
) -> None:
    """Write the report. Model output enters the page as escaped text and as PNG only, never as markup."""
    loss = run / "loss.png"
    curve = f'<img class="curve" alt="loss over steps" src="{_data_uri(loss.read_bytes())}">' if loss.is_file() else ""
    ranking, title = run / "test" / RANKING, "<h2>Best and worst by score</h2>"
    ranked = f'{title}<img class="curve" alt="" src="{_data_uri(ranking.read_bytes())}">' if ranking.is_file() else ""
    page = _PAGE.format(
        title=html.escape(f"Qwen-SVG · {run.name}"),
        metrics=_metric_table(metrics),
        violations=_violation_table(metrics),
        curve=curve,
        ranked=ranked,
        count=len(samples),
        samples="\n".join(_sample(sample, i, judged) for i, sample in enumerate(samples)),
    )
    path.write_text(page, encoding="utf-8")


def _metric_table(metrics: dict) -> str:
    head = "".join(f"<th>{html.escape(TITLES[name])}</th>" for name in metrics)
    body = "".join(
        f"<tr><td>{html.escape(label)}</td>" + "".join(f"<td>{value}</td>" for value in values) + "</tr>"
        for label, values in metric_rows(metrics)
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _violation_table(metrics: dict) -> str:
    rules = sorted(
        {rule for figures in metrics.values() for rule in figures["violations"]},
        key=lambda rule: -max(figures["violations"].get(rule, 0) for figures in metrics.values()),
    )
    if not rules:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(TITLES[name])}</th>" for name in metrics)
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
            f'<img alt="{html.escape(TITLES[name])}" src="{_data_uri(judgement.png)}">'
            if judgement.png
            else '<div class="none">nothing to show</div>'
        )
        badge = "good" if judgement.legal("prompt") and judgement.png else "bad"
        cells.append(
            f'<figure>{picture}<figcaption>{html.escape(TITLES[name])}<br><span class="{badge}">'
            f"{html.escape(judgement.summary())}</span></figcaption>"
            f"<details><summary>answer</summary><pre>{html.escape(judgement.answer)}</pre></details></figure>"
        )
    return f"<section><h3>{html.escape(sample.description)}</h3><div class='row'>{''.join(cells)}</div></section>"


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ padding: .25rem .8rem; border-bottom: 1px solid #8884; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
.curve {{ max-width: 100%; background: white; }}
.row {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; width: 17rem; }}
figure img, .none {{ width: 16rem; height: 16rem; border: 1px solid #8884; background: white; }}
.none {{ display: grid; place-items: center; color: #777; }}
.good {{ color: #1a7f37; }} .bad {{ color: #c0392b; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }}
</style></head><body>
<h1>{title}</h1>
{metrics}
<h2>Training</h2>
{curve}
<h2>Answers that break a rule of the prompt</h2>
{violations}
{ranked}
<h2>Drawings ({count})</h2>
{samples}
</body></html>
"""
