"""The one thread that owns the model: requests go in through a queue, text and drawings come back to their event loop.

Requests share the decoding steps: one that comes while others are drawn takes a free slot at the next step.
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
from qwen_svg.generation.predictor import Drawing, Predictor, Settings, TextSoFar, Turn
from qwen_svg.serving.metrics import Metrics


class Full(Exception):
    """As many requests as may wait are waiting. retry_after: seconds until a place may be free."""

    def __init__(self, retry_after: int):
        self.retry_after = retry_after


class Closing(Exception):
    """The server is on its way out."""


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
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue = field(default_factory=asyncio.Queue)
    asked: float = field(default_factory=time.monotonic)
    text: TextSoFar | None = None
    prompt_tokens: int = 0


class Worker(threading.Thread):
    """`submit`, `drop` and `close` are called on the event loop; everything else happens on the thread."""

    def __init__(self, predictor: Predictor, waiting: int, metrics: Metrics):
        """waiting: requests accepted beyond those in slots."""
        super().__init__(name="worker", daemon=True)
        self.predictor, self.metrics = predictor, metrics
        self.capacity = predictor.engine.size + waiting
        self.open: set[Job] = set()  # accepted and unanswered; the event loop's
        self.closing = False
        self.jobs: dict = {}  # by row, in slots or waiting for one; the thread's
        self.inbox: queue.SimpleQueue = queue.SimpleQueue()
        self.judges = ThreadPoolExecutor(1, "judge")  # nobody's drawing waits for another's picture
        self.mean_seconds = 10.0  # of a drawing, from acceptance to end; moves with each
        metrics.watch(lambda: len(self.open), lambda: len(self.jobs))

    # --- on the event loop ---

    def wait(self) -> int:
        """Return in how many seconds there may be a place; 0 = there is one."""
        return min(60, max(1, round(self.mean_seconds / 2))) if len(self.open) >= self.capacity else 0

    def submit(self, description: str, settings: Settings, before: Iterable[Turn] = ()) -> Job:
        """Raises Full and Closing."""
        if self.closing:
            raise Closing
        if wait := self.wait():
            raise Full(wait)
        job = Job(description, settings, tuple(before), asyncio.get_running_loop())
        self.open.add(job)
        self.inbox.put(("take", job))
        return job

    def drop(self, job: Job, reason: Exception | None = None) -> None:
        """Give an unanswered job up; its reader gets the reason. Nothing happens to one that has its answer."""
        if job in self.open:
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
        job.events.put_nowait(event)

    # --- on the thread ---

    def run(self) -> None:
        engine = self.predictor.engine
        while True:
            self._receive(wait=True)
            try:
                for advanced in engine.run():
                    for row in advanced:
                        self._advance(row)
                    self._receive()
            except Exception:
                traceback.print_exc()
                for row, job in list(self.jobs.items()):
                    engine.drop(row)
                    self._tell(job, Broken())
                self.jobs.clear()

    def _receive(self, wait: bool = False) -> None:
        """Take what the event loop has sent. wait: until there is something to draw."""
        while not self.inbox.empty() or (wait and not self.predictor.engine.busy):
            verb, job = self.inbox.get()
            self._take(job) if verb == "take" else self._forget(job)

    def _take(self, job: Job) -> None:
        try:
            row = self.predictor.row(job.description, job.settings, job.before)
        except UserError as error:
            return self._tell(job, error)
        except Exception:  # a bug, but this job's alone
            traceback.print_exc()
            return self._tell(job, Broken())
        job.text, job.prompt_tokens = TextSoFar(self.predictor.tokenizer), len(row.prompt)
        self.jobs[row] = job
        self.predictor.engine.add(row)

    def _forget(self, job: Job) -> None:
        for row in [row for row, other in self.jobs.items() if other is job]:
            self.predictor.engine.drop(row)
            del self.jobs[row]

    def _advance(self, row) -> None:
        job = self.jobs[row]
        if len(row.tokens) == 1:
            self.metrics.first_token.observe(time.monotonic() - job.asked)
        self.metrics.tokens.inc()
        if row.ended:
            del self.jobs[row]
            self.judges.submit(self._judge, job, row)
        elif not job.settings.free and (piece := job.text.new(row.tokens)):
            self._tell(job, piece)  # a free answer is sent only when it has been checked

    def _judge(self, job: Job, row) -> None:
        try:
            self._tell(job, self.predictor.drawing(job.description, row))
        except Exception:
            traceback.print_exc()
            self._tell(job, Broken())

    def _tell(self, job: Job, event: Event) -> None:
        with suppress(RuntimeError):  # the loop has been closed: the server is gone
            job.loop.call_soon_threadsafe(self._deliver, job, event)
