"""Figures of a training, as they lie on the page."""

import json

import matplotlib.pyplot as plt
import pytest

from qwen_svg.common import plots


@pytest.mark.parametrize("ends", [(0.010, 0.009), (0.009, 0.010), (1.5, 0.2)])
def test_the_last_values_lie_apart_and_within_the_axes(tmp_path, monkeypatch, ends):
    """The quickstart ends with two that are nearly alike, beside the right edge."""
    loss, validation = ends
    records = [{"step": 0, "eval_cross_entropy": 1.755}, {"step": 1, "loss": 1.845}]
    records += [{"step": 120, "loss": loss}, {"step": 121, "eval_cross_entropy": validation}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(figure))
    plots.draw_loss(tmp_path / "metrics.jsonl", tmp_path / "loss.png")
    (figure,) = drawn
    figure.canvas.draw()
    (axis,) = figure.axes
    first, second = (text.get_window_extent() for text in axis.texts)
    assert [text.get_text() for text in axis.texts] == [f"{loss:.3f}", f"{validation:.3f}"]
    assert not first.overlaps(second)
    for box in (first, second):
        assert axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1 and axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1
    plt.close(figure)
