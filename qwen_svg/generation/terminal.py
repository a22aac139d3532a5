"""Drawing for somebody who looks at a terminal: the reasoning as it is written, then the verdict and the files."""

import shutil
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.judge import in_words
from qwen_svg.generation.best_of_n import Attempt, DrawingPlan, Request, draw_each
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.drawings import save
from qwen_svg.generation.predictor import Change, Predictor, TextSoFar, Turn
from qwen_svg.generation.terminal_picture import Way, shown

OPENING, CLOSING = "<reasoning>", "</reasoning>"


def draw_one(
    predictor: Predictor,
    description: str,
    plan: DrawingPlan,
    before: Iterable[Turn] = (),
    change: Change | None = None,
) -> list[Attempt]:
    """Draw a description, or do it to `change`, as often as planned, and return the attempts, best first.

    Shows the reasoning meanwhile. Raises UserError where there is no room for it.
    """
    # The delay keeps the bar away until its first update.
    with tqdm(desc="drawing", unit=" tokens", delay=1e-9, leave=False, disable=None) as bar:
        watch = Reasoning(predictor.tokenizer, bar).watch if plan.n == 1 else lambda row: bar.update()
        with closing(draw_each(predictor, [Request("1", description, change=change)], plan, before, watch)) as requests:
            (request,) = requests
    if request.fault:
        raise UserError(request.fault)
    if plan.n > 1:
        print(printable(request.attempts[0].drawing.reasoning or ""))
    return request.attempts


class Reasoning:
    """Prints what stands between the tags of an answer's reasoning as it is written; a bar counts the other tokens."""

    def __init__(self, tokenizer: Any, bar: tqdm):
        self.tokenizer, self.bar, self.row = tokenizer, bar, None

    def watch(self, row: RowState) -> None:
        if row is not self.row:  # the first one, or a retry
            self.row, self.text = row, TextSoFar(self.tokenizer)
            self.answer, self.said, self.closed = "", 0, False
        self.answer += self.text.new(row.tokens)
        inside = "" if self.closed else self._inside()
        if len(inside) > self.said:
            if not self.said:
                self.bar.clear()
            print(printable(inside[self.said :]), end="", flush=True)
            self.said = len(inside)
        if self.said and (row.ended or CLOSING in self.answer) and not self.closed:
            print(flush=True)
            self.closed = True
        if self.closed or not self.said:
            self.bar.update(len(row.tokens) - self.bar.n)

    def _inside(self) -> str:
        """The reasoning so far, without what may be the beginning of its end: white space, half a tag."""
        inside, closed, _ = self.answer.partition(OPENING)[2].lstrip().partition(CLOSING)
        tag = inside.rfind("<", -len(CLOSING))
        return (inside[:tag] if tag >= 0 and not closed and not self.row.ended else inside).rstrip()


def show(attempt: Attempt, keep: bool = True) -> list[Path]:
    """Print the verdict; if the drawing is to be kept, write its files, print their paths and return them."""
    drawing = attempt.drawing
    facts = [in_words(drawing.verdict, drawing.png)]
    if not drawing.finished:
        facts.append("cut at the token limit")
    if attempt.tries > 1:
        facts.append(f"{attempt.tries} tries")
    if attempt.score is not None:
        facts.append(f"score {attempt.score:.3f}")
    facts.append(f"seed {attempt.seed}")
    facts.append(f"{drawing.tokens} tokens in {drawing.seconds:.1f} s")
    if not keep:
        print("  not kept:", " · ".join(facts))
        return []
    print("→", " · ".join(facts))
    paths = save(drawing)
    print(*(f"  {path}" for path in paths), sep="\n")
    return paths


def show_picture(png: bytes | None, way: Way) -> None:
    if png and way:
        sys.stdout.write(shown(png, way, columns=shutil.get_terminal_size().columns))
        sys.stdout.flush()


def printable(text: str) -> str:
    """Replace control characters: what a model writes must not steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
