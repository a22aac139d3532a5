"""How a collection grows: what was found and kept over the pages seen, and where duplicates will lead."""

from pathlib import Path

import numpy as np

from qwen_svg.common.plots import figure_grid, save

AHEAD = 10  # times the SVGs found so far: how far the curve is drawn on
MONTH = 30 * 86_400  # seconds


def heaps(found: np.ndarray, kept: np.ndarray) -> tuple[float, float]:
    """Fit Heaps' law kept = k · found^beta and return (k, beta).

    Least squares in logarithms over the later part of the curve (found ≥ a tenth of the last): its slope is what is
    drawn on. The points lie evenly on a logarithmic axis, so none needs a weight.
    """
    later = found >= max(found[-1] / 10, 1)
    if np.unique(found[later]).size < 2:
        return float(kept[-1] / max(found[-1], 1)), 1.0
    beta, log_k = np.polyfit(np.log(found[later]), np.log(np.maximum(kept[later], 1)), 1)
    return float(np.exp(log_k)), float(min(beta, 1.0))


def draw_growth(points: list[tuple[int, int, int, float]], path: Path) -> dict[str, float]:
    """Draw growth.png from (pages, found, kept, seconds) and return the figures of the fit."""
    pages, found, kept, seconds = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    k, beta = heaps(found, kept)
    month = found[-1] * MONTH / seconds[-1]
    figures = {"heaps_k": k, "heaps_beta": beta, "kept_in_a_month": float(min(k * month**beta, month))}
    kept_then = float(f"{figures['kept_in_a_month']:.2g}")
    figure, (over_pages, over_found) = figure_grid(1, 2)
    over_pages.plot(pages, found, color="#9bb7ef", label=f"found: {found[-1]:,.0f}")
    over_pages.plot(pages, kept, color="#2a4b8d", label=f"kept, each text once: {kept[-1]:,.0f}")
    over_pages.set_xlabel("pages seen")
    over_pages.set_ylabel("SVGs")
    on = np.geomspace(max(found[-1] / 10, 1), max(found[-1], 1) * AHEAD, 50)
    over_found.plot(found, kept, color="#2a4b8d", label="seen")
    over_found.plot(on, k * on**beta, "--", color="#d1495b", label=f"Heaps' law: {k:.3g} · found^{beta:.3f}")
    over_found.plot(on, on, ":", color="#999999", label="no duplicates")
    over_found.set_xscale("log")
    over_found.set_yscale("log")
    over_found.set_xlabel("SVGs found")
    over_found.set_ylabel("SVGs kept")
    over_found.set_title(f"a month at this pace: {float(f'{month:.2g}'):,.0f} found, {kept_then:,.0f} kept", fontsize=9)
    for axis in (over_pages, over_found):
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    save(figure, path)
    return figures
