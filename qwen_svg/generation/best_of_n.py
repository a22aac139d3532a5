"""Drawing a description more than once: several seeds to choose from, and other seeds where an answer is illegal."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from qwen_svg.common.errors import UserError
from qwen_svg.generation.engine import Row
from qwen_svg.generation.predictor import Drawing, Predictor, Settings, Turn
from qwen_svg.svg.render import is_blank


@dataclass(frozen=True)
class Plan:
    """How often a description is drawn. Seeds: settings.seed and those that follow."""

    settings: Settings
    n: int = 1  # drawings
    retries: int = 0  # of each, with other seeds, while free answers are illegal
    score: Callable[[list[Drawing]], list[float]] | None = None  # of all drawings of a description; larger is better
    scored_by: str = ""  # its name

    @property
    def sensible_retries(self) -> int:
        """A greedy answer is the same with every seed, and one that is held to the grammar is legal."""
        return self.retries if self.settings.free and self.settings.temperature > 0 else 0


@dataclass(frozen=True)
class Attempt:
    seed: int
    tries: int  # with the seeds before it, whose answers were illegal
    drawing: Drawing
    score: float | None = None  # where the plan has one

    @property
    def rank(self) -> tuple:
        """Larger is better: legal, renders, shows something, score, structural score."""
        made = self.drawing
        structure = made.verdict.score if made.verdict else 0.0
        return made.legal, bool(made.png), not is_blank(made.png), self.score or 0.0, structure


@dataclass
class Wish:
    """A description and what has been drawn for it."""

    id: str
    description: str
    attempts: list[Attempt] = field(default_factory=list)  # in the end: best first, seeds in order where alike
    fault: str = ""  # why it cannot be drawn


def draw_each(
    predictor: Predictor,
    wishes: Iterable[Wish],
    plan: Plan,
    before: Iterable[Turn] = (),
    watch: Callable[[Row], None] = lambda row: None,
) -> Iterator[Wish]:
    """Yield each wish when all its attempts are made; many are drawn side by side, and few wait at a time.

    watch: called with each row that has got a token. Closing the iterator gives up what is being drawn.
    """
    slots, queue = predictor.slots, iter(wishes)
    running: dict[Row, tuple[Wish, int, Attempt | None]] = {}

    def begin(wish: Wish, seed: int, earlier: Attempt | None = None) -> None:
        row = predictor.row(wish.description, replace(plan.settings, seed=seed), before)
        running[row] = wish, seed, earlier
        slots.add(row)

    def end(row: Row) -> Wish | None:
        wish, seed, earlier = running.pop(row)
        attempt = Attempt(seed, earlier.tries + 1 if earlier else 1, predictor.drawing(wish.description, row))
        if earlier and earlier.rank > attempt.rank:
            attempt = replace(earlier, tries=attempt.tries)
        if not attempt.drawing.legal and attempt.tries <= plan.sensible_retries:
            begin(wish, seed + plan.n, attempt)
            return None
        wish.attempts.append(attempt)
        if len(wish.attempts) < plan.n:
            return None
        if plan.score:
            scores = plan.score([one.drawing for one in wish.attempts])
            wish.attempts = [replace(one, score=score) for one, score in zip(wish.attempts, scores, strict=True)]
        wish.attempts.sort(key=lambda one: one.seed)
        wish.attempts.sort(key=lambda one: one.rank, reverse=True)
        return wish

    try:
        while True:
            while len(slots.waiting) < slots.size and (wish := next(queue, None)):
                try:
                    for k in range(plan.n):
                        begin(wish, plan.settings.seed + k)
                except UserError as error:  # the first of them fails or none does
                    wish.fault = str(error)
                    yield wish
            if not running:
                return
            for row in slots.step():
                watch(row)
                if row.ended and (done := end(row)):
                    yield done
    finally:
        for row in running:
            slots.drop(row)
