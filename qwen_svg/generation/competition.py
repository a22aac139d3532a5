"""The public competition's interface ("Drawing with LLMs", Kaggle 2025): `Model().predict(prompt)` returns an SVG.

Whatever the prompt and the model: a drawing that the competition's own rule takes (svg_constraint's dialect "kaggle"),
of at most 10,000 bytes, in time. One that is not finished, or shows nothing, is replaced by a plain one.
"""

import time
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.generation.predictor import Drawing, Predictor, Settings
from svg_constraint import SVG_OPEN, check

SECONDS = 240.0  # for one drawing; the competition gave a submission 5 minutes for each
TRIES = 3  # drawings, the first greedy, until one shows something
TEMPERATURE = 0.7  # of the others
PLAIN = (
    f'{SVG_OPEN}<!-- a light blue ground --><rect x="0" y="0" width="256" height="256" fill="#dce6f0"/>'
    '<!-- a blue circle --><circle cx="128" cy="128" r="72" fill="#4a78a8"/></svg>'
)


class Model:
    def __init__(self, folder: str | Path, seconds: float = SECONDS):
        """folder: of a model, as `Predictor` takes it. seconds: that a drawing may take."""
        self.predictor, self.seconds = Predictor(str(folder), slots=1), seconds

    def predict(self, prompt: str) -> str:
        """Return a legal SVG for a description. Raises nothing."""
        until = time.monotonic() + self.seconds
        for attempt in range(TRIES):
            try:
                drawing = self._draw(str(prompt), Settings(TEMPERATURE * (attempt > 0), seed=attempt), until)
            except UserError:  # a description that has no room: no other seed would have it
                break
            if drawing is None:
                break
            if drawing.svg and drawing.drawn and check(drawing.svg, "kaggle").valid:
                return drawing.svg
        return PLAIN

    def _draw(self, prompt: str, settings: Settings, until: float) -> Drawing | None:
        """Return a drawing, or None when the time is over before it is done."""
        pieces = self.predictor.stream(prompt, settings)
        for piece in pieces:
            if isinstance(piece, Drawing):
                return piece
            if time.monotonic() > until:
                pieces.close()
                return None
        return None
