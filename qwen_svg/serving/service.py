"""What the routes share: limits, the worker, the kept drawings, and following one request to its end."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from fastapi import Request

from qwen_svg.generation.predictor import Change, Drawing, Settings, Turn
from qwen_svg.serving.errors import IllegalDrawing
from qwen_svg.serving.store import DrawingStore
from qwen_svg.serving.worker import Gone, Job, TimeUp, Worker


@dataclass(frozen=True)
class Limits:
    body: int = 65_536  # bytes
    description: int = 2000  # characters
    tokens: int = 1560  # of an answer
    seconds: float = 120.0  # a request, its waiting included


@dataclass(frozen=True)
class Stopped:
    """An answer that has ended before one of the strings its reader has named; the rest is not drawn."""

    answer: str
    tokens: int
    finished: bool = True


Events = AsyncIterator[tuple[Job, str | Drawing | Stopped]]


class StopStrings:
    """Reads an answer in pieces, and holds back what may be the beginning of a string that ends it."""

    def __init__(self, strings: Sequence[str]):
        self.strings, self.text, self.said = strings, "", 0
        self.end: int | None = None  # where the text ends, once one of them has come

    def read(self, piece: str) -> str:
        """Return what may be told now."""
        self.text += piece
        self.end = self.find(self.text, self.said)
        end = len(self.text) - self._held() if self.end is None else self.end
        piece, self.said = self.text[self.said : end], end
        return piece

    def find(self, text: str, start: int = 0) -> int | None:
        """Return where the first of the strings begins in a text, None where there is none."""
        return min((place for string in self.strings if (place := text.find(string, start)) >= 0), default=None)

    def _held(self) -> int:
        """The length of the longest end of the text with which one of the strings begins."""
        tail = self.text[self.said :]
        lengths = (n for string in self.strings for n in range(1, len(string)) if tail.endswith(string[:n]))
        return max(lengths, default=0)


@dataclass(frozen=True)
class Service:
    worker: Worker
    store: DrawingStore
    limits: Limits
    model: str  # its name, as clients see it
    free: bool = False  # answers not constrained; illegal ones are refused

    @property
    def slots(self) -> int:
        return self.worker.predictor.engine.size

    def settings(self, temperature: float, seed: int | None, max_tokens: int) -> Settings:
        """seed: None = any, another with each request; greedy answers need none. max_tokens: 0 = as many as allowed."""
        if seed is None:
            seed = secrets.randbelow(2**31) if temperature > 0 else 0
        return Settings(temperature, seed, min(max_tokens or self.limits.tokens, self.limits.tokens), self.free)

    async def begin(
        self,
        request: Request,
        description: str,
        settings: list[Settings],
        before: Iterable[Turn] = (),
        stop: Sequence[str] = (),
        change: Change | None = None,
    ) -> tuple[list[Job], Events]:
        """Return accepted jobs, one for each of `settings`, and what comes of them: pieces of text, then its end.

        The first event is there: until then a request may still be refused. stop: strings before which an answer ends.
        Raises Full, Closing, UserError (no room for the prompt), TimeUp.
        """
        jobs = self.worker.submit(description, settings, before, change)
        events = self._follow(jobs, request, stop)
        first = await anext(events)

        async def all_events() -> Events:
            async with aclosing(events):
                yield first
                async for event in events:
                    yield event

        return jobs, all_events()

    async def end(self, events: Events) -> list[Drawing | Stopped]:
        """Return the ends, in the order of the jobs."""
        ends = {job.number: event async for job, event in events if not isinstance(event, str)}
        return [ends[number] for number in sorted(ends)]

    async def _follow(self, jobs: list[Job], request: Request, stop: Sequence[str]) -> Events:
        """Yield what comes of the jobs. All are given up when the client leaves, the time is up or one has failed."""

        def drop_all(reason: Exception) -> None:
            for job in jobs:
                self.worker.drop(job, reason)

        async def drop_when_gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            drop_all(Gone())

        timer = jobs[0].loop.call_later(self.limits.seconds, drop_all, TimeUp())
        watcher = asyncio.create_task(drop_when_gone())
        running = {job: StopStrings(stop) for job in jobs}
        try:
            while running:
                job, event = await jobs[0].events.get()
                if job not in running:  # has been stopped
                    continue
                if isinstance(event, Exception):
                    raise event
                event = self._seen(job, event, running[job])
                if not isinstance(event, str):
                    del running[job]
                    self.worker.drop(job)
                yield job, event
        finally:
            timer.cancel()
            watcher.cancel()
            drop_all(Gone())

    def _seen(self, job: Job, event: str | Drawing, stop: StopStrings) -> str | Drawing | Stopped:
        """Return an event as clients may see it. Raises IllegalDrawing."""
        if isinstance(event, str):
            piece = stop.read(event)
            return piece if stop.end is None else Stopped(stop.text[: stop.end], job.tokens)
        if not (event.legal and event.png):
            raise IllegalDrawing(event.verdict.to_json()["violations"] if event.verdict else [])
        if self.free:  # what stands around the two has not been checked
            event = replace(event, answer=f"<reasoning>{event.reasoning}</reasoning>\n\n{event.svg}")
        end = stop.find(event.answer)
        return event if end is None else Stopped(event.answer[:end], event.tokens)
