"""What reinforcement has done, for people: the curves and the model card."""

import math
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.files import read_json, write_text
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.plots import figure_grid, save
from reinforce.rewards import REWARDS

COLOURS = ("#5b8def", "#e0a030", "#d1495b", "#4c9f70", "#8d6cab")


def records_with(key: str, metrics: Path) -> list[dict]:
    """Return the records of a run's metrics.jsonl that have this figure."""
    return [record for record in read_jsonl(metrics) if key in record]


def first_and_last(records: list[dict], key: str) -> tuple[float, float]:
    """Return the mean over the first and over the last quarter of the records: a single step is noise."""
    quarter = max(1, len(records) // 4)
    values = [record[key] for record in records]
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


def draw_rewards(metrics: Path, path: Path) -> None:
    """Draw the reward, its parts, and the distance from the start, over steps, from a run's metrics.jsonl."""
    records = records_with("reward", metrics)
    steps = [record["step"] for record in records]
    figure, axes = figure_grid(1, 3)
    mean = [record["reward"] for record in records]
    spread = [record["reward_std"] for record in records]
    axes[0].fill_between(
        steps,
        [m - s for m, s in zip(mean, spread, strict=True)],
        [m + s for m, s in zip(mean, spread, strict=True)],
        color="#5b8def",
        alpha=0.2,
        label="± standard deviation",
    )
    axes[0].plot(steps, mean, color="#5b8def", label="mean")
    axes[0].set_title("reward")
    for name, colour in zip(REWARDS, COLOURS, strict=True):
        axes[1].plot(steps, [record[f"rewards/{name}/mean"] for record in records], color=colour, label=name)
    axes[1].set_title("its parts, before weighting")
    axes[2].plot(steps, [record.get("kl", 0.0) for record in records], color="#d1495b", label="KL")
    axes[2].set_title("KL to the start (nats per token)")
    for axis in axes[:2]:
        axis.set_ylim(0, 1.05)
        axis.legend(fontsize=8)
    _save(figure, axes, path)


def draw_preferences(metrics: Path, path: Path) -> None:
    """Draw the loss, the rewards of the chosen and rejected answers, and how often the former is larger, over steps."""
    records = records_with("rewards/margins", metrics)
    steps = [record["step"] for record in records]
    figure, axes = figure_grid(1, 3)
    axes[0].plot(steps, [record["loss"] for record in records], color=COLOURS[0])
    axes[0].axhline(math.log(2), color="#888888", linestyle=":", label="ln 2, where it begins")
    axes[0].set_title("loss")
    for key, name, colour in (
        ("rewards/chosen", "of chosen", COLOURS[3]),
        ("rewards/rejected", "of rejected", COLOURS[2]),
        ("rewards/margins", "margin", COLOURS[0]),
    ):
        axes[1].plot(steps, [record[key] for record in records], color=colour, label=name)
    axes[1].set_title("reward: beta × log-ratio to the start")
    axes[2].plot(steps, [record["rewards/accuracies"] for record in records], color=COLOURS[3])
    axes[2].set_title("share of pairs with a margin above 0")
    axes[2].set_ylim(-0.05, 1.05)
    for axis in axes[:2]:
        axis.legend(fontsize=8)
    _save(figure, axes, path)


def _save(figure: Any, axes: Any, path: Path) -> None:
    for axis in axes:
        axis.set_xlabel("step")
        axis.grid(alpha=0.25)
    save(figure, path)


def write_card(
    folder: Path, c: SimpleNamespace, base: str, method: str, trained_on: str, figures: dict[str, str], picture: str
) -> None:
    """Write README.md. figures: rows of its table that only this method has. picture: its curves, in the folder."""
    facts = read_json(folder / "environment.json")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    rows = "\n".join(f"| {name} | {text} |" for name, text in figures.items())
    write_text(
        folder / "README.md",
        f"""---
base_model: {base}
library_name: peft
pipeline_tag: text-generation
tags: [svg, lora, {method}]
---

# {folder.name}: a LoRA adapter that draws, trained on {trained_on}

Answers a description with a short reasoning and an SVG of 256 × 256. Made by Qwen-SVG's `reinforce/train_{method}.py`.

| | |
|---|---|
| base model | {base} |
| began as | {c.MODEL} |
{rows}
| data of {c.MODEL} | {facts["data"]["path"]} (sha256 {facts["data"]["sha256"][:16]}…); nothing of its test split |
| trained on | {facts["device"]}, {facts["dtype"]} |
| made with | {packages} |

![{Path(picture).stem}]({picture})

The licences of the base model and of the training data apply to this adapter too. All constants of the run
are in `{method}.yml`; `python evaluate_test.py --model {quote(folder.name)}` scores it.
""",
    )
