"""Learning-rate finder: five short trainings from the same fresh adapter, side by side in one figure.

Whole short trainings, with warm-up and decay, instead of one with a rising rate (Smith 2015, arXiv:1506.01186): each
curve is the beginning of what that rate would really do, and the validation set says where it got to.
"""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib

from qwen_svg.common.files import write_json
from qwen_svg.common.plots import figure_grid, save
from qwen_svg.training.checkpoints import SWEEP

FACTORS = tuple(10 ** (half / 2) for half in (-2, -1, 0, 1, 2))  # of LEARNING_RATE: a tenth to ten times


def sweep(model: Any, rate: float, folder: Path, train_at: Callable[[float, Path], list[dict]]) -> list[dict]:
    """Train at each rate around `rate`; write lr_sweep.json and lr_sweep.png, anew after each training.

    train_at(rate, folder of its own) returns the training's log: records with step and loss, or eval_cross_entropy.
    Returns a record for each rate: learning_rate, losses (by step) and validation_cross_entropy, in nats per token, and
    None where they were no number.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    fresh = [p.detach().clone() for p in trained]
    results: list[dict] = []
    for factor in FACTORS:
        for parameter, value in zip(trained, fresh, strict=True):
            parameter.data.copy_(value)
            parameter.grad = None
        name = f"{factor * rate:.1e}"
        print(f"training {len(results) + 1} of {len(FACTORS)}: learning rate {name}")
        (folder / name).mkdir()
        log = train_at(float(name), folder / name)
        losses = {record["step"]: _number(record["loss"]) for record in log if "loss" in record}
        at_end = [_number(record["eval_cross_entropy"]) for record in log if "eval_cross_entropy" in record]
        results.append(
            {
                "learning_rate": float(name),
                "losses": losses,
                "validation_cross_entropy": at_end[-1] if at_end and None not in losses.values() else None,
            }
        )
        write_json(folder / SWEEP, results)
        draw(results, folder / "lr_sweep.png")
    return results


def short_training(c: SimpleNamespace, rate: float) -> SimpleNamespace:
    """Return the constants of train.py for LR_SWEEP steps at one rate."""
    changes = {
        "LEARNING_RATE": rate,
        "LOGGING_STEPS": 1,
        "EVAL_STEPS": c.LR_SWEEP,
        "EARLY_STOPPING": 0,
        "MAX_MINUTES": 0,
        "DRAW_SAMPLES": 0,
        "REPORT_TO": "",
    }
    return SimpleNamespace(**vars(c) | changes)


def print_sweep(results: list[dict], folder: Path) -> None:
    print("\nlearning rate  last loss  validation cross-entropy")
    for result in results:
        figures = [*result["losses"].values()][-1], result["validation_cross_entropy"]
        print(f"{result['learning_rate']:>13.1e}  " + "  ".join("–" if f is None else f"{f:.4f}" for f in figures))
    if winner := best(results):
        rate = f"{winner['learning_rate']:.1e}"
        print(f"lowest at {rate}: `--learning-rate {rate}`")
        if winner in (results[0], results[-1]):
            print(f"that is the edge of what was tried: `--lr-sweep … --learning-rate {rate}` looks beyond it")
    print(f"figure: {folder}/lr_sweep.png")


def best(results: list[dict]) -> dict | None:
    """Return the record with the lowest validation cross-entropy; None where no training came to a number."""
    ended = [result for result in results if result["validation_cross_entropy"] is not None]
    return min(ended, key=lambda result: result["validation_cross_entropy"], default=None)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def draw(results: list[dict], path: Path) -> None:
    """Left: loss against step, a curve for each rate. Right: the end's validation cross-entropy against the rate."""
    figure, (left, right) = figure_grid(1, 2, (5.6, 4.0))
    colours = matplotlib.colormaps["viridis"]([i / len(FACTORS) for i in range(len(FACTORS))])
    for result, colour in zip(results, colours, strict=False):
        points = [(step, loss) for step, loss in result["losses"].items() if loss is not None]
        left.plot(*zip(*points, strict=True), color=colour, label=f"{result['learning_rate']:.1e}")
    firsts = [loss for result in results if (loss := next(iter(result["losses"].values()))) is not None]
    if firsts:  # what has exploded leaves the picture: the others are what one wants to see
        left.set_ylim(top=min(left.get_ylim()[1], 1.5 * max(firsts)))
    left.set(xlabel="step", ylabel="training loss (nats per token)", title="five learning rates")
    left.legend(title="learning rate")
    ended = [r for r in results if r["validation_cross_entropy"] is not None]
    rates, values = [r["learning_rate"] for r in ended], [r["validation_cross_entropy"] for r in ended]
    right.plot(rates, values, color="#d1495b", marker="o")
    if winner := best(results):
        spot = winner["learning_rate"], winner["validation_cross_entropy"]
        right.annotate(
            f"{spot[1]:.3f} at {spot[0]:.1e}", spot, xytext=(0, -16), textcoords="offset points", ha="center"
        )
    right.set_xscale("log")
    right.margins(x=0.15, y=0.2)
    right.set(xlabel="learning rate", ylabel="validation cross-entropy at the end")
    for axis in (left, right):
        axis.grid(alpha=0.25)
    save(figure, path)
