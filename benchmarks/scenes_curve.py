"""Claims that hold against minutes of training: each checkpoint of a run draws the same descriptions."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.drawn import drawn
from qwen_svg.common.dataset import Sample
from qwen_svg.common.files import write_json
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.common.run_folder import Run

DRAWN = 24  # descriptions of combinations that training had, and as many that it had not: the first of the test part


def curve(run: Run, samples: list[Sample], figures: Callable[[list[Sample], list[str]], dict]) -> list[dict]:
    """Return, and write to the run's folder, {"step", "minutes", …figures} for each checkpoint.

    samples: of the test part. figures: of samples and the answers to them.
    """
    kinds = [[s for s in samples if bool(unseen_kind(s.group)) == unseen] for unseen in (False, True)]
    asked = [sample for kind in kinds for sample in kind[:DRAWN]]
    minutes = {record["step"]: record["minutes"] for record in read_jsonl(run.folder / "metrics.jsonl")}
    checkpoints = {int(path.name.split("-")[1]): path for path in run.folder.glob("checkpoint-*")}
    found = []
    for step, path in sorted(checkpoints.items()):
        made = figures(asked, drawn(str(path), asked, progress=f"step {step}"))
        found.append({"step": step, "minutes": interpolated(minutes, step), **made})
        print(found[-1], flush=True)
    write_json(run.folder / "curve.json", found)
    draw(run, found)
    return found


def interpolated(minutes: dict[int, float], step: int) -> float:
    return round(float(np.interp(step, list(minutes), list(minutes.values()))), 2)


def draw(run: Run, found: list[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for name, label in (
        ("claims", "trained combinations"),
        ("claims_unseen", "unseen combinations"),
        ("legal", "legal"),
    ):
        if found[0][name] is None:  # the test part has no such combination
            continue
        axes.plot([point["minutes"] for point in found], [100 * point[name] for point in found], "o-", label=label)
    axes.set(xlabel="minutes of training", ylabel="%", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(run.folder / "curve.png", dpi=120)
    plt.close(figure)
