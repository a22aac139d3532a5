"""What the routes share: limits, the worker, the kept drawings, and following one request to its end."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from fastapi import Request

from qwen_svg.generation.predictor import Drawing, Settings, Turn
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
class Service:
    worker: Worker
    store: DrawingStore
    limits: Limits
    model: str  # its name, as clients see it
    free: bool = False  # answers not constrained; illegal ones are refused

    def settings(self, temperature: float, seed: int, max_tokens: int) -> Settings:
        return Settings(temperature, seed, min(max_tokens or self.limits.tokens, self.limits.tokens), self.free)

    async def begin(
        self, request: Request, description: str, settings: Settings, before: Iterable[Turn] = ()
    ) -> tuple[Job, AsyncIterator[str | Drawing]]:
        """Return an accepted job and its events, the first of which is there: until then it may still be refused.

        Raises Full, Closing, UserError (no room for the prompt), TimeUp.
        """
        job = self.worker.submit(description, settings, before)
        events = self._follow(job, request)
        first = await anext(events)

        async def all_events() -> AsyncIterator[str | Drawing]:
            async with aclosing(events):
                yield first
                async for event in events:
                    yield event

        return job, all_events()

    async def end(self, events: AsyncIterator[str | Drawing]) -> Drawing:
        async for event in events:
            drawing = event
        return drawing

    async def _follow(self, job: Job, request: Request) -> AsyncIterator[str | Drawing]:
        """Yield pieces of text, then the drawing. The job is given up when the client leaves or the time is up."""
        timer = job.loop.call_later(self.limits.seconds, self.worker.drop, job, TimeUp())
        watcher = asyncio.create_task(self._drop_when_gone(job, request))
        try:
            event: str | Drawing | Exception = ""
            while not isinstance(event, Drawing):
                event = await job.events.get()
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, Drawing) and not (event.legal and event.png):
                    raise IllegalDrawing(event.verdict.to_json()["violations"] if event.verdict else [])
                if isinstance(event, Drawing) and self.free:  # what stands around the two has not been checked
                    event = replace(event, answer=f"<reasoning>{event.reasoning}</reasoning>\n\n{event.svg}")
                yield event
        finally:
            timer.cancel()
            watcher.cancel()
            self.worker.drop(job)

    async def _drop_when_gone(self, job: Job, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.worker.drop(job, Gone())
