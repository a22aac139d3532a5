"""The look of every plot in one place (matplotlib, drawn to files only)."""

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

from qwen_svg.common.jsonl import read_jsonl

matplotlib.use("Agg")


def figure_grid(rows: int, columns: int, size: tuple[float, float] = (5.2, 3.4)) -> tuple[Any, Any]:
    """Return (figure, axes) for a grid of plots, each `size` inches."""
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9})
    width, height = size
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained")


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_loss(metrics: Path, path: Path) -> None:
    """Draw training loss and validation cross-entropy over steps from a run's metrics.jsonl."""
    records = read_jsonl(metrics)
    figure, axis = figure_grid(1, 1, (7.0, 4.2))
    for key, label, style, above in (
        ("loss", "training loss (mean since the last point)", {"color": "#9bb7ef", "marker": "."}, True),
        ("eval_cross_entropy", "validation cross-entropy", {"color": "#d1495b", "marker": "o"}, False),
    ):
        points = [(record["step"], record[key]) for record in records if key in record]
        if points:
            axis.plot(*zip(*points, strict=True), label=label, **style)
            # Left of the point and within the axes; the two last values are often alike, so one stands below it.
            place = {"xytext": (0, 5 if above else -5), "va": "bottom" if above else "top", "ha": "right"}
            axis.annotate(f"{points[-1][1]:.3f}", points[-1], textcoords="offset points", **place)
    axis.margins(y=0.1)  # room for them
    axis.set_xlabel("step")
    axis.set_ylabel("nats per token")
    axis.grid(alpha=0.25)
    axis.legend()
    save(figure, path)
