"""What reinforcement has done, for people: the reward curves and the model card."""

from pathlib import Path
from types import SimpleNamespace

from common.run_folder import read_json, read_jsonl
from reinforce.rewards import REWARDS

COLOURS = ("#5b8def", "#e0a030", "#d1495b", "#4c9f70", "#8d6cab")


def reward_records(metrics: Path) -> list[dict]:
    return [record for record in read_jsonl(metrics) if "reward" in record]


def first_and_last(records: list[dict], key: str = "reward") -> tuple[float, float]:
    """Return the mean over the first and over the last quarter of the records: a single step is noise."""
    quarter = max(1, len(records) // 4)
    values = [record[key] for record in records]
    return sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter


def draw_rewards(metrics: Path, path: Path) -> None:
    """Draw the reward, its parts, and the distance from the start, over steps, from a run's metrics.jsonl."""
    from common.plots import figure_grid, save

    records = reward_records(metrics)
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
    for axis in axes:
        axis.set_xlabel("step")
        axis.grid(alpha=0.25)
    for axis in axes[:2]:
        axis.set_ylim(0, 1.05)
        axis.legend(fontsize=8)
    save(figure, path)


def write_card(folder: Path, c: SimpleNamespace, base: str, before: float, after: float, steps: int) -> None:
    facts = read_json(folder / "environment.json")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    weights = ", ".join(f"{name} {getattr(c, 'WEIGHT_' + name.upper()):g}" for name in REWARDS)
    (folder / "README.md").write_text(
        f"""---
base_model: {base}
library_name: peft
pipeline_tag: text-generation
tags: [svg, lora, grpo]
---

# {folder.name}: a LoRA adapter that draws, trained on the scores of its drawings

Answers a description with a short reasoning and an SVG of 256 × 256. Made by Qwen-SVG's `reinforce/train_grpo.py`.

| | |
|---|---|
| base model | {base} |
| began as | {c.RUN_DIR} |
| rewards | {weights}; likeness is {c.LIKENESS}, legal is {c.DIALECT} |
| steps | {steps} of {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION} drawings, {c.GENERATIONS} of each description |
| learning rate, KL | {c.LEARNING_RATE:g}, beta {c.BETA:g} |
| mean reward, 0 to 1 | {before:.3f} over the first quarter of the steps, {after:.3f} over the last |
| data | {facts["data"]["path"]} (sha256 {facts["data"]["sha256"][:16]}…), the training split of {c.RUN_DIR} |
| trained on | {facts["device"]}, {facts["dtype"]} |
| made with | {packages} |

![rewards](rewards.png)

The licences of the base model and of the training data apply to this adapter too. All constants of the run
are in `grpo.yml`; `python evaluate_test.py --run-dir {folder}` scores it.
""",
        encoding="utf-8",
    )
