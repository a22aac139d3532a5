"""/v1/chat/completions and /v1/models, in OpenAI's shapes: its clients work unchanged.

The last user message is the description; earlier ones, with the answers to them, are drawings it may refer to ("make
the sky darker"). System messages are left out: the model has learned without. Parameters that mean nothing here are
accepted and ignored.
"""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from qwen_svg.common.errors import UserError
from qwen_svg.generation.predictor import Drawing, Turn
from qwen_svg.serving.drawing_api import EVENT_STREAM, sse
from qwen_svg.serving.errors import described, responses
from qwen_svg.serving.service import Service
from qwen_svg.serving.worker import Job


class Part(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    include_usage: bool = False


class Chat(BaseModel):
    model: str = ""  # any: there is one
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None


def openai_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["OpenAI-compatible"])
    started = int(time.time())

    @router.post(
        "/v1/chat/completions",
        responses=responses(400, 401, 413, 421, 422, 429, 502, 503, 504) | {200: {"content": EVENT_STREAM}},
    )
    async def chat(asked: Chat, request: Request) -> dict[str, Any]:
        description, before = conversation(asked.messages)
        for said in (description, *(earlier for earlier, _ in before)):
            if len(said) > service.limits.description:
                raise UserError(f"a message is longer than {service.limits.description} characters.")
        tokens = asked.max_completion_tokens or asked.max_tokens or 0
        settings = service.settings(asked.temperature or 0.0, asked.seed or 0, tokens)
        job, events = await service.begin(request, description, settings, before)
        head = {"id": f"chatcmpl-{time.time_ns()}", "created": int(time.time()), "model": service.model}
        if asked.stream:
            usage = bool(asked.stream_options and asked.stream_options.include_usage)
            return StreamingResponse(as_chunks(service, job, events, head, usage), media_type="text/event-stream",
                                     headers={"Cache-Control": "no-store"})  # fmt: skip
        drawing = await service.end(events)
        message = {"role": "assistant", "content": drawing.answer}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(drawing)}
        return head | {"object": "chat.completion", "choices": [choice], "usage": usage_of(job, drawing)}

    @router.get("/v1/models", responses=responses(401, 421))
    async def models() -> dict[str, Any]:
        model = {"id": service.model, "object": "model", "created": started, "owned_by": "local"}
        return {"object": "list", "data": [model]}

    return router


def conversation(messages: list[Message]) -> tuple[str, list[Turn]]:
    """Return the description asked for now, and the turns before it. Raises UserError where it is no conversation."""
    turns: list[list[str]] = []
    for message in messages:
        if message.role == "user":
            if turns and len(turns[-1]) == 1:
                turns[-1][0] += "\n" + message.text
            else:
                turns.append([message.text])
        elif message.role == "assistant":
            if not turns or len(turns[-1]) == 2:
                raise UserError("an assistant's message must follow a user's.")
            turns[-1].append(message.text)
    if not turns or len(turns[-1]) == 2 or not turns[-1][0].strip():
        raise UserError("the last message must be a user's, and not empty.")
    *before, (description,) = turns
    return description, [(asked, answer) for asked, answer in before]


async def as_chunks(
    service: Service, job: Job, events: AsyncIterator, head: dict, with_usage: bool
) -> AsyncIterator[str]:
    head = head | {"object": "chat.completion.chunk"}

    def chunk(delta: dict, finish: str | None = None) -> str:
        return sse(head | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    try:
        yield chunk({"role": "assistant", "content": ""})
        said = 0
        async for event in events:
            text = event if isinstance(event, str) else event.answer[said:]
            said += len(text)
            if text:
                yield chunk({"content": text})
        yield chunk({}, finish_reason(event))
        if with_usage:
            yield sse(head | {"choices": [], "usage": usage_of(job, event)})
        yield "data: [DONE]\n\n"
    except Exception as error:
        yield sse(described(error, service.limits.seconds)[1])


def finish_reason(drawing: Drawing) -> str:
    return "stop" if drawing.finished else "length"


def usage_of(job: Job, drawing: Drawing) -> dict[str, int]:
    asked, answered = job.prompt_tokens, drawing.tokens
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
