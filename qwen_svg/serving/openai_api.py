"""/v1/chat/completions and /v1/models, in OpenAI's shapes: its clients work unchanged.

The last user message is the description; earlier ones, with the answers to them, are drawings it may refer to ("make
the sky darker"). A model that has learned edits is asked for one of the last drawing alone. System and tool messages
are left out: the model has learned without. What would change the form of an answer, and cannot, is refused by name;
what else means nothing here is ignored. docs/serving.md has the table.
"""

import time
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from qwen_svg.common.errors import UserError
from qwen_svg.generation.predictor import Drawing, Turn
from qwen_svg.serving.drawing_api import EVENT_STREAM, sse
from qwen_svg.serving.errors import Refused, described, responses
from qwen_svg.serving.service import Events, Service, Stopped
from qwen_svg.serving.worker import Job

# Parameters that cannot be obeyed, with the values that ask for nothing: none given, and these.
UNSUPPORTED: dict[str, tuple] = {
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "web_search_options": (),
}
# What /docs offers to try.
EXAMPLES = {
    "draw": {"summary": "a drawing", "value": {"messages": [{"role": "user", "content": "a red heart"}]}},
    "varied": {
        "summary": "one that can be repeated, a little varied, in pieces",
        "value": {
            "messages": [{"role": "user", "content": "a red heart"}], "temperature": 0.7, "seed": 7, "stream": True,
        },
    },
}  # fmt: skip


class Part(BaseModel):
    type: str
    text: str | None = None


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Raises Refused where a part is something else."""
        if not isinstance(self.content, list):
            return self.content or ""
        for part in self.content:
            if part.type not in ("text", "refusal"):
                raise Refused(f"content of type {part.type[:40]} cannot be read; text can", "messages", status=422)
        return "".join(part.text or "" for part in self.content)


class StreamOptions(BaseModel):
    include_usage: bool | None = False


Stop = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
WholeNumber = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Chat(BaseModel):
    model: str | None = ""  # any: there is one
    messages: Annotated[list[Message], Field(min_length=1, max_length=200)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    seed: WholeNumber | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    response_format: Any = None
    modalities: Any = None
    audio: Any = None
    web_search_options: Any = None

    def refuse_unsupported(self) -> None:
        for name, nothing in UNSUPPORTED.items():
            if (value := getattr(self, name)) is not None and value not in nothing:
                raise Refused(f"{name} is not supported: this server answers with one text, a drawing", name)

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


def openai_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["OpenAI-compatible"])
    started = int(time.time())
    model = {"id": service.model, "object": "model", "created": started, "owned_by": "local"}

    @router.post(
        "/v1/chat/completions",
        responses=responses(400, 401, 413, 421, 422, 429, 502, 503, 504) | {200: {"content": EVENT_STREAM}},
    )
    async def chat(asked: Annotated[Chat, Body(openapi_examples=EXAMPLES)], request: Request) -> dict[str, Any]:
        """Draw, in the shape of a chat. `seed` is in the answer too: choice i has been drawn with seed + i."""
        asked.refuse_unsupported()
        description, before = conversation(asked.messages)
        if any(len(said) > service.limits.description for said in (description, *(earlier for earlier, _ in before))):
            raise UserError(f"a description is longer than {service.limits.description} characters.")
        if (n := asked.n or 1) > service.slots:
            raise Refused(f"n may be at most {service.slots}, which are drawn side by side", "n", "invalid_value")
        tokens = asked.max_completion_tokens or asked.max_tokens or 0
        first = service.settings(asked.temperature or 0.0, asked.seed, tokens)
        settings = [replace(first, seed=first.seed + i) for i in range(n)]
        jobs, events = await service.begin(request, description, settings, before, asked.stops)
        head = {"id": f"chatcmpl-{time.time_ns()}", "created": int(time.time()), "model": service.model}
        head["seed"] = first.seed
        if asked.stream:
            usage = bool(asked.stream_options and asked.stream_options.include_usage)
            return StreamingResponse(as_chunks(service, jobs, events, head, usage), media_type="text/event-stream",
                                     headers={"Cache-Control": "no-store"})  # fmt: skip
        ends = await service.end(events)
        return head | {"object": "chat.completion", "choices": choices(ends), "usage": usage_of(jobs, ends)}

    @router.get("/v1/models", responses=responses(401, 421))
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/v1/models/{id:path}", responses=responses(401, 404, 421))
    async def one_model(id: str) -> dict[str, Any]:
        if id != service.model:
            raise Refused(f"there is no model {id[:100]}, only {service.model}", "model", "model_not_found", 404)
        return model

    return router


def conversation(messages: list[Message]) -> tuple[str, list[Turn]]:
    """Return the description asked for now, and the turns before it. Raises UserError where it is no conversation.

    Messages of a kind that follow each other are one; an assistant's without words (a call of a tool) is none.
    """
    turns: list[list[str]] = []
    for message in messages:
        if message.role == "user":
            if turns and len(turns[-1]) == 1:
                turns[-1][0] += "\n" + message.text
            else:
                turns.append([message.text])
        elif message.role == "assistant" and (text := message.text):
            if not turns:
                raise UserError("an assistant's message must follow a user's.")
            if len(turns[-1]) == 1:
                turns[-1].append(text)
            else:
                turns[-1][1] += "\n" + text
    if not turns or len(turns[-1]) == 2 or not turns[-1][0].strip():
        raise UserError("the last message must be a user's, and not empty.")
    *before, (description,) = turns
    return description, [(asked, answer) for asked, answer in before]


async def as_chunks(service: Service, jobs: list[Job], events: Events, head: dict, with_usage: bool):
    """Yield a stream of chunks, those of several choices as they come."""
    head = head | {"object": "chat.completion.chunk"}

    def chunk(number: int, delta: dict, finish: str | None = None) -> str:
        choice = {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse(head | {"choices": [choice]})

    try:
        for job in jobs:
            yield chunk(job.number, {"role": "assistant", "content": ""})
        said, ends = [0] * len(jobs), []
        async for job, event in events:
            text = event if isinstance(event, str) else event.answer[said[job.number] :]
            said[job.number] += len(text)
            if text:
                yield chunk(job.number, {"content": text})
            if not isinstance(event, str):
                yield chunk(job.number, {}, finish_reason(event))
                ends.append(event)
        if with_usage:
            yield sse(head | {"choices": [], "usage": usage_of(jobs, ends)})
        yield "data: [DONE]\n\n"
    except Exception as error:
        yield sse(described(error, service.limits.seconds)[1])


def choices(ends: list[Drawing | Stopped]) -> list[dict[str, Any]]:
    return [
        {
            "index": number,
            "message": {"role": "assistant", "content": end.answer},
            "logprobs": None,
            "finish_reason": finish_reason(end),
        }
        for number, end in enumerate(ends)
    ]


def finish_reason(end: Drawing | Stopped) -> str:
    return "stop" if end.finished else "length"


def usage_of(jobs: list[Job], ends: list[Drawing | Stopped]) -> dict[str, int]:
    """The prompt counts once, however many choices there are."""
    asked, answered = jobs[0].prompt_tokens, sum(end.tokens for end in ends)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
