"""How long samples are, in tokens, part by part."""

from pathlib import Path
from typing import Any

import numpy as np

from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.plots import figure_grid, save
from qwen_svg.common.tokens import encode, text_ids

PARTS = ("prompt", "reasoning", "svg", "answer", "total")


def measure(tokenizer: Any, samples: list, prompt_form: str) -> dict[str, list[int]]:
    """Return the token counts of each part of each sample; `total` = prompt + answer + end-of-turn token.

    `answer` is more than `reasoning` + `svg`: it has the white space between them and the end-of-turn token.
    """
    encoded = encode(tokenizer, samples, prompt_form)
    found = [extract_reasoning(sample.answer) for sample in samples]
    reasoning = [f"<reasoning>{text}</reasoning>" for text in found if text]
    svg = [text for sample in samples if (text := extract_svg(sample.answer))]
    return {
        "prompt": [len(row.prompt) for row in encoded],
        "reasoning": [len(ids) for ids in text_ids(tokenizer, reasoning)],
        "svg": [len(ids) for ids in text_ids(tokenizer, svg)],
        "answer": [len(row.answer) for row in encoded],
        "total": [row.length for row in encoded],
    }


def draw(lengths: dict[str, list[int]], limit: int, path: Path) -> None:
    """Draw one histogram each for prompt, reasoning, SVG and total, with percentiles and the limit."""
    figure, axes = figure_grid(2, 2)
    for part, axis in zip(("prompt", "reasoning", "svg", "total"), axes.flat, strict=True):
        draw_part(axis, part, lengths[part], limit if part == "total" else None)
    save(figure, path)


def draw_part(axis: Any, part: str, values: list[int], limit: int | None) -> None:
    axis.hist(values, bins=min(60, max(values) - min(values) + 1), color="#5b8def")
    top = axis.get_ylim()[1] * 1.3  # room for the labels above the bars
    axis.set_ylim(0, top)
    label = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # readable where lines cross it
    for i, percentile in enumerate((50, 90, 99)):
        value = float(np.percentile(values, percentile))
        axis.axvline(value, color="#888888", linewidth=0.8, linestyle=":")
        axis.annotate(f"p{percentile} {value:.0f}", (value, top * (0.97 - 0.07 * i)), fontsize=8, va="top",
                      xytext=(3, 0), textcoords="offset points", bbox=label)  # fmt: skip
    if limit is not None:
        over = sum(value > limit for value in values)
        axis.axvline(limit, color="#d1495b", linewidth=1.5)
        axis.annotate(f"limit {limit}: {over} over", (limit, top * 0.72), color="#d1495b", fontsize=9,
                      xytext=(4, 0), textcoords="offset points")  # fmt: skip
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_title(f"{part} (n = {len(values)})")
    axis.set_xlabel("tokens")
    axis.set_ylabel("samples")
