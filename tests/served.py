"""serve.py's web application for tests: with a model that says what it is told, or as a process of its own."""

import json
import subprocess
import sys
import threading
from collections import deque
from contextlib import contextmanager
from functools import cache, partial
from types import SimpleNamespace

import httpx2

from qwen_svg.common.errors import UserError
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.engine import Answer
from qwen_svg.generation.predictor import Predictor
from qwen_svg.serving.app import make_app
from qwen_svg.serving.metrics import Metrics
from qwen_svg.serving.service import Limits, Service
from qwen_svg.serving.store import DrawingStore
from qwen_svg.serving.worker import Worker
from serve import listen
from tests.paths import ROOT
from tests.tiny import answer


class Script:
    """Stands in for the Predictor: every answer is `text`; step() waits for `gate` and may raise.

    hold_after: the steps after which the gate closes by itself.
    """

    def __init__(self, tokenizer, text: str = "", slots: int = 2):
        self.tokenizer, self.text, self.engine = tokenizer, text or answer(), self
        self.size, self.waiting, self.rows = slots, deque(), []
        self.gate, self.fault, self.hold_after = threading.Event(), None, None
        self.script = cache(tokenizer.encode)
        self.shared: list[int] = []  # rows of each step
        self.gate.set()
        self.drawing = partial(Predictor.drawing, self)

    def row(self, description, settings, before=(), change=None):
        if "too long" in description:
            raise UserError("the prompt is too long.")
        self.asked, self.change = (description, settings, before), change
        return RowState(self.tokenizer.encode(description), 10_000, 0.0, None)

    def answer(self, row):
        return Answer(self.tokenizer.decode(row.tokens), len(row.tokens), 0.1, True)

    @property
    def busy(self):
        return bool(self.rows or self.waiting)

    def run(self):
        while self.busy:
            yield self.step()

    def add(self, row):
        self.waiting.append(row)

    def drop(self, row):
        for place in (self.rows, self.waiting):
            if row in place:
                place.remove(row)

    def step(self):
        assert self.gate.wait(20)
        if self.fault:
            fault, self.fault = self.fault, None
            raise fault
        while self.waiting and len(self.rows) < self.size:
            self.rows.append(self.waiting.popleft())
        script = self.script(self.text)
        for row in self.rows:
            row.tokens.append(script[len(row.tokens)])
            row.ended = len(row.tokens) == len(script)
        self.shared.append(len(self.rows))
        if self.hold_after is not None and len(self.rows[0].tokens) == self.hold_after:
            self.gate.clear()
        advanced, self.rows = self.rows, [row for row in self.rows if not row.ended]
        return advanced


@contextmanager
def serving(predictor, waiting: int = 2, free: bool = False, token: str = "", kept: int = 10_000_000, **limits):
    """Serve in this process, on a free port of 127.0.0.1. Yields a client; .worker, .service and .url beside it."""
    import uvicorn

    worker = Worker(predictor, waiting, Metrics())
    worker.start()
    service = Service(worker, DrawingStore(kept), Limits(**limits), "tiny", free)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(make_app(service, token), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.start()
    try:
        with httpx2.Client(base_url=url, timeout=20) as client:
            yield SimpleNamespace(url=url, get=client.get, post=client.post, stream=client.stream,
                                  service=service, worker=worker)  # fmt: skip
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def process(*arguments: str):
    """Run serve.py; yields (process, url). It is killed at the end if it still runs."""
    command = [sys.executable, "serve.py", "--port", "0", *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in child.stdout:
            if line.startswith("serving on "):
                break
        yield child, line.split()[-1]
    finally:
        child.kill()
        child.communicate()


def events(response) -> list[tuple[str, dict]]:
    """Read a whole stream of events."""
    found, name = [], ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            found.append((name, json.loads(line[6:])))
    return found
