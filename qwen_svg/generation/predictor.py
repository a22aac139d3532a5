"""Loaded once, it draws: what generate.py and serve.py call."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import prompt_ids
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.engine import Engine, rows_for
from qwen_svg.generation.llama_cpp import Weights
from qwen_svg.generation.pick_engine import EngineName, pick_engine
from qwen_svg.model.load import load_to_draw
from qwen_svg.model.source import ModelSource, find_source
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.svg.render import is_blank
from svg_constraint import DIALECTS, Verdict, check

Turn = tuple[str, str]  # a description and the answer to it
CHARACTERS = 16  # for each token that a prompt may have: more are not tokenised. Words have 5, drawings 3


class Change(NamedTuple):
    """What a description is to be done to: a drawing that is changed ("edit"), or a broken one ("repair")."""

    svg: str
    task: str = "edit"

    def checked(self) -> "Change":
        """Raises UserError for an edit of what is no legal drawing: a repair comes first."""
        if self.task == "edit":
            verdicts = [check(self.svg, dialect) for dialect in DIALECTS]
            if not any(verdict.valid for verdict in verdicts):
                fault = verdicts[0].violations[0]
                raise UserError(
                    f"the SVG to be changed is not legal (line {fault.line}: {fault.message}); have it repaired first."
                )
        return self


@dataclass(frozen=True)
class Settings:
    """How one drawing is asked for."""

    temperature: float = 0.0  # 0 = greedy, and so is what is below 0.001
    seed: int = 0
    max_new: int = 0  # tokens of the answer; 0 = all that there is room for
    free: bool = False  # not constrained by the grammar: what the model says by itself


@dataclass(frozen=True)
class Drawing:
    """An answer, taken apart and judged."""

    description: str
    answer: str  # as the model wrote it
    reasoning: str | None
    svg: str | None
    png: bytes | None  # 256 × 256; None when there is nothing to draw or it cannot be drawn
    verdict: Verdict | None  # in the prompt dialect; None without an SVG
    tokens: int
    seconds: float  # this drawing's share of the steps it took part in
    finished: bool  # ended by itself; False = cut at the token limit

    @property
    def legal(self) -> bool:
        return bool(self.verdict and self.verdict.valid)

    @property
    def drawn(self) -> bool:
        """Does it render, and show anything?"""
        return not is_blank(self.png)


class Predictor:
    """A model with its prompt and its limits. Not to be shared between threads: one drives `engine`, others ask it."""

    def __init__(
        self,
        source: str | ModelSource,
        slots: int = 8,
        max_prompt: int | None = None,
        engine: EngineName = "auto",
    ):
        """source: a run, by name or folder; the folder of an adapter or of a merged model; a hub id; a .gguf file.
        slots: drawings that are made side by side. max_prompt: tokens of a conversation; None = all that the model has
        positions for. engine: what computes. Raises UserError where `source` is none of these, or `engine` cannot run
        it.
        """
        source = find_source(source) if isinstance(source, str) else source
        if pick_engine(engine, source) == "llama.cpp":
            model, self.tokenizer = Weights(Path(source.base), source.adapter), load_tokenizer(source.base)
            self.positions = model.positions
        else:
            loaded = load_to_draw(source)
            model, self.tokenizer = loaded.model, loaded.tokenizer
            self.positions = model.config.max_position_embeddings
        self.prompt_form, self.max_total, self.edits = source.prompt_form, source.max_length, source.edits
        self.max_prompt = min(max_prompt or self.positions, self.positions)
        self.engine = Engine(model, self.tokenizer, slots)

    def row(
        self,
        description: str,
        settings: Settings = Settings(),
        before: Iterable[Turn] = (),
        change: Change | None = None,
    ) -> RowState:
        """Return what `engine.add` takes. before: the turns of a conversation, whose last drawing is to be changed.

        change: what the description is done to, whatever was said before. A model that has learned edits is asked
        for one of the conversation's last drawing; others are given the conversation. Raises UserError when the prompt
        is too long or leaves too little room.
        """
        before = list(before)
        if self.edits and not change and (svg := last_drawing(before)):
            change = Change(svg)
        if change:
            before = []
        length = (
            len(description) + sum(len(said) for turn in before for said in turn) + len(change.svg if change else "")
        )
        if length > (limit := CHARACTERS * self.max_prompt):
            raise UserError(f"the prompt is {length} characters long, and may be {limit}; shorten it.")
        alone = prompt_ids(self.tokenizer, description, self.prompt_form)
        room = min(self.max_total, self.positions) - len(alone)  # of every answer, however long the conversation
        if room < 1:
            raise UserError(
                f"the prompt takes {len(alone)} tokens of {len(alone) + room} that it shares with the answer; shorten "
                "the description."
            )
        prompt, limit = alone, min(self.max_prompt, self.positions - room)
        if before or change:
            prompt = prompt_ids(self.tokenizer, description, self.prompt_form, before, *(change or ()))
        if len(prompt) > limit and before:
            raise UserError(
                f"the conversation takes {len(prompt)} tokens, and may take {limit}; leave its oldest turns out, or "
                "begin anew."
            )
        if len(prompt) > limit and change:
            raise UserError(
                f"the drawing and what to do with it take {len(prompt)} tokens, and may take {limit}; simplify it, or "
                "begin with another."
            )
        total = len(prompt) + room
        (row,) = rows_for([prompt], total, settings.max_new or total, settings.temperature, settings.seed)
        if not settings.free:
            self.engine.constrain([row])
        return row

    def drawing(self, description: str, row: RowState) -> Drawing:
        """Return what a row has become, ended or not."""
        answer = self.engine.answer(row)
        judged = judge(answer.text)
        return Drawing(
            description, answer.text, judged.reasoning, judged.svg, judged.png, judged.verdicts["prompt"],
            answer.tokens, answer.seconds, answer.finished,
        )  # fmt: skip

    def draw(
        self,
        description: str,
        settings: Settings = Settings(),
        before: Iterable[Turn] = (),
        change: Change | None = None,
    ) -> Drawing:
        (drawing,) = self.draw_all([(description, settings)], before, change)
        return drawing

    def draw_all(
        self, asked: list[tuple[str, Settings]], before: Iterable[Turn] = (), change: Change | None = None
    ) -> list[Drawing]:
        """Draw side by side, as many at once as there are slots; return the drawings in the order asked."""
        rows = [self.row(description, settings, before, change) for description, settings in asked]
        for _ in self.engine.run(rows):
            pass
        return [self.drawing(description, row) for (description, _), row in zip(asked, rows, strict=True)]

    def stream(
        self, description: str, settings: Settings = Settings(), before: Iterable[Turn] = ()
    ) -> Iterator[str | Drawing]:
        """Yield the answer as it is written, piece by piece, and the drawing last. Closing it gives the row up."""
        row, text = self.row(description, settings, before), TextSoFar(self.tokenizer)
        try:
            for _ in self.engine.run([row]):
                if piece := text.new(row.tokens):
                    yield piece
                if row.ended:  # others may go on
                    break
        finally:
            self.engine.drop(row)
        yield self.drawing(description, row)


def last_drawing(turns: list[Turn]) -> str | None:
    """Return the SVG of the last answer in a conversation that has one."""
    return next((svg for _, answer in reversed(turns) if (svg := extract_svg(answer))), None)


class TextSoFar:
    """The text of a growing list of tokens, in pieces; a character whose tokens are not all there is held back."""

    def __init__(self, tokenizer: Any):
        self.tokenizer, self.said = tokenizer, 0

    def new(self, tokens: list[int]) -> str:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        end = len(text) - text.endswith("\ufffd")
        piece, self.said = text[self.said : end], max(self.said, end)
        return piece
