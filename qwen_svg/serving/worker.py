"""The one thread that owns the model: requests go in through a queue, text and drawings come back to their event loop.

Requests share the decoding steps: one that comes while others are drawn takes a free slot at the next step. What goes
wrong with one, in its prompt, its tokens, its text or its judging, is told to its reader alone.
"""

import asyncio
import queue
import threading
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from qwen_svg.common.errors import UserError
from qwen_svg.generation.decoder import GivenUp, RowState
from qwen_svg.generation.predictor import Change, Drawing, Predictor, Settings, TextSoFar, Turn
from qwen_svg.model.device import gpu_is_lost
from qwen_svg.serving.metrics import Metrics


class Full(Exception):
    """As many requests as may wait are waiting. retry_after: seconds until a place may be free."""

    def __init__(self, retry_after: int):
        self.retry_after = retry_after


class Closing(Exception):
    """The server is on its way out."""


class GPULost(Exception):
    """The GPU answers nothing more to this process."""


class Gone(Exception):
    """The client has left, so nobody reads this."""


class TimeUp(Exception):
    """The drawing took longer than a request may."""


class Broken(Exception):
    """The model failed; the traceback is in the server's log."""


Event = str | Drawing | Exception  # a piece of the answer; the end of it; why there is none


@dataclass(eq=False)
class Job:
    description: str
    settings: Settings
    before: tuple[Turn, ...]
    change: Change | None
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue  # of (this job, Event); one for all drawings of a request
    number: int = 0  # among these
    asked: float = field(default_factory=time.monotonic)
    text: TextSoFar | None = None
    row: RowState | None = None  # once the thread has taken it
    given_up: bool = False

    @property
    def prompt_tokens(self) -> int:
        return len(self.row.prompt) if self.row else 0

    @property
    def tokens(self) -> int:
        return len(self.row.tokens) if self.row else 0


class Worker(threading.Thread):
    """`submit`, `drop` and `close` are called on the event loop; everything else happens on the thread."""

    def __init__(self, predictor: Predictor, waiting: int, metrics: Metrics):
        """waiting: requests accepted beyond those in slots."""
        super().__init__(name="worker", daemon=True)
        self.predictor, self.metrics = predictor, metrics
        self.capacity = predictor.engine.size + waiting
        self.open: set[Job] = set()  # accepted and unanswered; the event loop's
        self.closing = self.gpu_lost = False
        self.jobs: dict = {}  # by row, in slots or waiting for one; the thread's
        self.inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.judges = ThreadPoolExecutor(1, "judge")  # nobody's drawing waits for another's picture
        self.mean_seconds = 10.0  # of a drawing, from acceptance to end; moves with each
        metrics.watch(lambda: len(self.open), lambda: len(self.jobs))

    # --- on the event loop ---

    def wait(self, places: int = 1) -> int:
        """Return in how many seconds there may be so many places; 0 = there are."""
        free = self.capacity - len(self.open)
        return 0 if free >= places else min(60, max(1, round(self.mean_seconds / 2)))

    def submit(
        self,
        description: str,
        settings: Iterable[Settings],
        before: Iterable[Turn] = (),
        change: Change | None = None,
    ) -> list[Job]:
        """Take a request: one drawing for each of `settings`, all of them or none. Raises Full, Closing and GPULost."""
        if self.closing:
            raise Closing
        if self.gpu_lost:
            raise GPULost
        loop, events, before = asyncio.get_running_loop(), asyncio.Queue(), tuple(before)
        jobs = [Job(description, one, before, change, loop, events, number) for number, one in enumerate(settings)]
        if wait := self.wait(len(jobs)):
            raise Full(wait)
        for job in jobs:
            self.open.add(job)
            self.inbox.put(("take", job))
        return jobs

    def drop(self, job: Job, reason: Exception | None = None) -> None:
        """Give an unanswered job up; its reader gets the reason. Nothing happens to one that has its answer."""
        if job in self.open:
            job.given_up = True
            if job.row:
                job.row.given_up = True  # ends the step that reads its prompt, if it is being read
            self.inbox.put(("drop", job))
            self._deliver(job, reason or Gone())

    def close(self, seconds: float) -> None:
        """Take no more; give up what is not finished by then."""
        self.closing = True
        asyncio.get_running_loop().call_later(seconds, self._give_all_up)

    def _give_all_up(self) -> None:
        for job in list(self.open):
            self.drop(job, Closing())

    def _deliver(self, job: Job, event: Event) -> None:
        if job not in self.open:
            return
        if not isinstance(event, str):
            self.open.discard(job)
            if isinstance(event, Drawing):
                seconds = time.monotonic() - job.asked
                self.mean_seconds += (seconds - self.mean_seconds) / 8
                self.metrics.drawn(event, seconds)
        job.events.put_nowait((job, event))

    # --- on the thread ---

    def run(self) -> None:
        engine = self.predictor.engine
        while True:
            try:
                self._receive(wait=True)
                for advanced in engine.run():
                    for row in advanced:
                        self._advance(row)
                    self._receive()
            except Exception as error:  # a bug, and nobody knows whose: the engine keeps what goes wrong to its rows
                for row, job in list(self.jobs.items()):
                    engine.drop(row)
                    self._fail(job, error)
                self.jobs.clear()

    def _receive(self, wait: bool = False) -> None:
        """Take what the event loop has sent. wait: until there is something to draw."""
        while not self.inbox.empty() or (wait and not self.predictor.engine.busy):
            verb, job = self.inbox.get()
            self._take(job) if verb == "take" else self._forget(job)

    def _take(self, job: Job) -> None:
        if job.given_up:
            return
        try:
            row = self.predictor.row(job.description, job.settings, job.before, job.change)
        except Exception as error:
            return self._fail(job, error)
        job.text, job.row = TextSoFar(self.predictor.tokenizer), row
        self.jobs[row] = job
        self.predictor.engine.add(row)

    def _forget(self, job: Job) -> None:
        if job.row and self.jobs.pop(job.row, None):
            self.predictor.engine.drop(job.row)

    def _advance(self, row: RowState) -> None:
        job = self.jobs[row]
        try:
            if row.error:
                raise row.error
            self._say(job, row)
        except Exception as error:
            self._forget(job)
            return self._fail(job, error)
        if row.ended:
            del self.jobs[row]
            self.judges.submit(self._judge, job, row)

    def _say(self, job: Job, row: RowState) -> None:
        """Tell the reader what the row's newest token says."""
        if len(row.tokens) == 1:
            self.metrics.first_token.observe(time.monotonic() - job.asked)
        self.metrics.tokens.inc()
        # A free answer is sent only when it has been checked.
        if not row.ended and not job.settings.free and (piece := job.text.new(row.tokens)):
            self._tell(job, piece)

    def _judge(self, job: Job, row: RowState) -> None:
        if job.given_up:
            return
        try:
            self._tell(job, self.predictor.drawing(job.description, row))
        except Exception as error:
            self._fail(job, error)

    def _fail(self, job: Job, error: Exception) -> None:
        """Tell the reader, and the log where it is nobody's fault but ours."""
        if not isinstance(error, UserError | GivenUp):
            traceback.print_exception(error)
            self.gpu_lost = self.gpu_lost or gpu_is_lost()
            error = Broken()
        self._tell(job, error)

    def _tell(self, job: Job, event: Event) -> None:
        with suppress(RuntimeError):  # the loop has been closed: the server is gone
            job.loop.call_soon_threadsafe(self._deliver, job, event)
