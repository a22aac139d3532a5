"""Drawing a description more than once: several seeds to choose from, and other seeds where an answer is illegal."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from qwen_svg.common.errors import UserError
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.predictor import Change, Drawing, Predictor, Settings, Turn


@dataclass(frozen=True)
class DrawingPlan:
    """How often a description is drawn. Seeds: settings.seed and those that follow."""

    settings: Settings
    n: int = 1  # drawings
    retries: int = 0  # of each, with other seeds, while free answers are illegal
    score: Callable[[list[Drawing]], list[float]] | None = None  # of all drawings of a description; larger is better
    scored_by: str = ""  # its name

    @property
    def sensible_retries(self) -> int:
        """A greedy answer is the same with every seed, and a constrained one is legal."""
        return self.retries if self.settings.free and self.settings.temperature > 0 else 0


@dataclass(frozen=True)
class Attempt:
    seed: int
    tries: int  # with the seeds before it, whose answers were illegal
    drawing: Drawing
    score: float | None = None  # where the plan has one

    @property
    def rank(self) -> tuple:
        """Larger is better: legal, renders, drawn (not blank), score, structural score."""
        made = self.drawing
        structure = made.verdict.score if made.verdict else 0.0
        return made.legal, bool(made.png), made.drawn, self.score or 0.0, structure


@dataclass
class Request:
    """A description and what has been drawn for it."""

    id: str
    description: str
    attempts: list[Attempt] = field(default_factory=list)  # in the end: best first, seeds in order where alike
    fault: str = ""  # why it cannot be drawn
    change: Change | None = None  # what the description is done to; None: it is drawn


def draw_each(
    predictor: Predictor,
    requests: Iterable[Request],
    plan: DrawingPlan,
    before: Iterable[Turn] = (),
    watch: Callable[[RowState], None] = lambda row: None,
) -> Iterator[Request]:
    """Yield each request when all its attempts are made; many are drawn side by side, and few wait at a time.

    watch: called with each row that has got a token. Closing the iterator gives up what is being drawn.
    """
    engine, queue = predictor.engine, iter(requests)
    running: dict[RowState, tuple[Request, int, Attempt | None]] = {}

    def begin(request: Request, seed: int, earlier: Attempt | None = None) -> None:
        row = predictor.row(request.description, replace(plan.settings, seed=seed), before, request.change)
        running[row] = request, seed, earlier
        engine.add(row)

    def refill() -> Iterator[Request]:
        """Let as many requests in as may wait; yield those that cannot be drawn."""
        while len(engine.waiting) < engine.size and (request := next(queue, None)):
            try:
                for k in range(plan.n):
                    begin(request, plan.settings.seed + k)
            except UserError as error:  # the first of them fails or none does
                request.fault = str(error)
                yield request

    def end(row: RowState) -> Request | None:
        """Take an ended row as an attempt; return its request if that was the last one."""
        request, seed, earlier = running.pop(row)
        attempt = Attempt(seed, earlier.tries + 1 if earlier else 1, predictor.drawing(request.description, row))
        if earlier and earlier.rank > attempt.rank:
            attempt = replace(earlier, tries=attempt.tries)
        if not attempt.drawing.legal and attempt.tries <= plan.sensible_retries:
            begin(request, seed + plan.n, attempt)
            return None
        request.attempts.append(attempt)
        if len(request.attempts) < plan.n:
            return None
        request.attempts = _ranked(request.attempts, plan)
        return request

    try:
        yield from refill()
        for advanced in engine.run():
            for row in advanced:
                watch(row)
                if row.ended and (done := end(row)):
                    yield done
            yield from refill()
    finally:
        for row in running:
            engine.drop(row)


def _ranked(attempts: list[Attempt], plan: DrawingPlan) -> list[Attempt]:
    """Score the attempts where the plan says how, and return them best first, seeds in order where alike."""
    if plan.score:
        scores = plan.score([one.drawing for one in attempts])
        attempts = [replace(one, score=score) for one, score in zip(attempts, scores, strict=True)]
    by_seed = sorted(attempts, key=lambda one: one.seed)
    return sorted(by_seed, key=lambda one: one.rank, reverse=True)
