"""report.html of a benchmark: its figures, and every drawing beside its reference."""

import html
from pathlib import Path

from PIL import Image

from qwen_svg.common.files import write_text
from qwen_svg.evaluation.card import Sample, interval, number
from qwen_svg.evaluation.page import data_uri, page
from qwen_svg.evaluation.profile_pictures import as_png


def write_card_report(path: Path, card: dict, samples: list[Sample], references: list[Image.Image | None]) -> None:
    """references: a picture for each sample, or None."""
    warnings = "".join(f"<p><b>{html.escape(text)}</b></p>" for text in card["warnings"])
    drawings = "\n".join(_section(*both) for both in zip(samples, references, strict=True))
    about = f"<p>{html.escape(card['protocol']['about'])}</p>"
    body = f"{about}{figure_table([card])}{warnings}<h2>Drawings ({card['n']})</h2>\n{drawings}"
    write_text(path, page(f"{card['model']} under {card['profile']}", body))


def figure_table(cards: list[dict]) -> str:
    """Return the figures of cards side by side, as HTML."""
    names = dict.fromkeys(name for card in cards for name in card["metrics"])
    head = "".join(f"<th>{html.escape(card['model'])}</th>" for card in cards)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(_cell(card, name) for card in cards)}</tr>" for name in names
    )
    return f"<table><tr><th></th>{head}</tr>{rows}</table>"


def _cell(card: dict, name: str) -> str:
    figure = card["metrics"].get(name)
    if figure is None:
        return f'<td class="interval">{html.escape(card["missing"].get(name, ""))}</td>'
    return f'<td>{number(figure["value"])} <span class="interval">{interval(figure)}</span></td>'


def _section(sample: Sample, reference: Image.Image | None) -> str:
    scores = " · ".join(f"{name} {number(v)}" for name, v in sample.scores.items() if v is not None)
    verdict = "good" if sample.judged.legal("prompt") and sample.judged.drawn else "bad"
    caption = f'<span class="{verdict}">{html.escape(sample.judged.summary())}</span><br>{html.escape(scores)}'
    answer = f"<details><summary>answer</summary><pre>{html.escape(sample.made.answer)}</pre></details>"
    drawn = f"<figure>{picture(sample.judged.png, sample.judged.why_not_drawn)}<figcaption>{caption}</figcaption>"
    beside = f"<figure>{picture(as_png(reference), '')}<figcaption>reference</figcaption></figure>" if reference else ""
    title = f"<h3>{html.escape(sample.prompt.text)}</h3>"
    return f"<section>{title}<div class='row'>{drawn}{answer}</figure>{beside}</div></section>"


def picture(png: bytes | None, instead: str) -> str:
    """Return a picture as HTML, or a box that says why there is none. png: None, or `instead` not "": the box."""
    if png and not instead:
        return f'<img alt="" src="{data_uri(png)}">'
    return f'<div class="none">{html.escape(instead)}</div>'
