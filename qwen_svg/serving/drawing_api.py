"""POST /v1/svg and the drawings it leaves behind."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException

from prompt_template import REPAIR, task_of
from qwen_svg.common.errors import UserError
from qwen_svg.generation.predictor import Change, Drawing
from qwen_svg.serving.errors import described, responses
from qwen_svg.serving.service import Events, Service
from svg_constraint import SVG_OPEN

# What a browser may do with an SVG it opens by itself: draw it, and nothing else.
SVG_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=3600, immutable",
}
_EVENT = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
EVENT_STREAM = {"text/event-stream": {"schema": _EVENT}}  # data: JSON
CIRCLE = f'{SVG_OPEN}\n<!-- red circle -->\n<circle cx="128" cy="128" r="64" fill="red"/>\n</svg>'
# What /docs offers to try.
EXAMPLES = {
    "draw": {"summary": "a drawing", "value": {"description": "a red heart"}},
    "again": {
        "summary": "one that can be repeated, a little varied",
        "value": {"description": "a red heart", "temperature": 0.7, "seed": 7},
    },
    "stream": {"summary": "as it is written", "value": {"description": "a red heart", "stream": True}},
    "edit": {"summary": "a change", "value": {"svg": CIRCLE, "instruction": "make the circle blue"}},
    "repair": {"summary": "a repair", "value": {"svg": CIRCLE.replace("<circle", "<circel"), "task": "repair"}},
}


class Drawn(BaseModel):
    id: str = Field(description="for /v1/svg/{id}.svg and .png, as long as the drawing is kept")
    description: str = Field(description="or the instruction")
    reasoning: str | None
    svg: str
    verdict: dict[str, Any] = Field(description="by svg_constraint.py, prompt dialect")
    seed: int = Field(description="with which the same request gives the same drawing")
    tokens: int
    seconds: float = Field(description="of the model's time, shared with others")
    finished: bool


def drawing_routes(service: Service) -> APIRouter:
    limits, router = service.limits, APIRouter(tags=["drawing"])
    Text = Annotated[str, StringConstraints(max_length=limits.description, pattern=r"\S")]

    class Asked(BaseModel):
        model_config = ConfigDict(extra="forbid")

        description: Annotated[Text | None, Field(examples=["a red fox"], description="what to draw")] = None
        svg: Annotated[str | None, Field(description="a drawing to be changed, or to be repaired")] = None
        instruction: Annotated[Text | None, Field(description="what to change; none where it is repaired")] = None
        task: Annotated[Literal["draw", "edit", "repair"] | None, Field(description="none: edits an `svg`")] = None
        temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False, description="0 = greedy")] = 0.0
        seed: Annotated[int | None, Field(ge=0, lt=2**31, description="none = another each time")] = None
        max_tokens: Annotated[int, Field(ge=0, le=limits.tokens, description="0 = all there is room for")] = 0
        stream: Annotated[bool, Field(description="as does `Accept: text/event-stream`")] = False

        def words(self) -> str:
            """Return the description or the instruction. Raises UserError where it is not clear what is asked for."""
            wanted, other = ("description", "instruction") if self.svg is None else ("instruction", "description")
            if getattr(self, other) is not None:
                raise UserError(f"{other!r} goes {'with' if self.svg is None else 'without'} an 'svg'.")
            words = getattr(self, wanted) or (REPAIR if self.task == "repair" else None)
            if words is None:
                raise UserError("give a 'description' to draw, or an 'svg' with an 'instruction', which changes it.")
            return words

        def change(self) -> Change | None:
            """Raises UserError where the task does not go with the SVG, or that is no legal drawing to be changed."""
            try:
                task = task_of(self.svg, self.task)
            except ValueError as error:
                raise UserError(f"{error}.") from None
            return None if self.svg is None else Change(self.svg, task).checked()

    @router.post(
        "/v1/svg",
        response_model=Drawn,
        responses=responses(400, 401, 413, 421, 422, 429, 502, 503, 504) | {200: {"content": EVENT_STREAM}},
    )
    async def draw(asked: Annotated[Asked, Body(openapi_examples=EXAMPLES)], request: Request):
        """Draw; with `svg`, change or repair it.

        As a stream: `text` events {"text"}, then `drawing` (the same object as without) or `error`.
        """
        settings = service.settings(asked.temperature, asked.seed, asked.max_tokens)
        _, events = await service.begin(request, asked.words(), [settings], change=asked.change())
        if asked.stream or "text/event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(as_stream(service, events, settings.seed), media_type="text/event-stream",
                                     headers={"Cache-Control": "no-store"})  # fmt: skip
        (drawing,) = await service.end(events)
        return kept(service, drawing, settings.seed)

    @router.get(
        "/v1/svg/{id}.{kind}",
        response_class=Response,
        responses=responses(401, 404, 421, 422)
        | {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}, "image/png": {}}}},
    )
    async def drawing(
        id: Annotated[str, Path(pattern=r"^[\w-]{1,64}$")], kind: Annotated[str, Path(pattern="^(svg|png)$")]
    ):
        found = service.store.get(id)
        if found is None:
            raise HTTPException(404, "there is no drawing of this id, or no longer")
        if kind == "svg":
            return Response(found.svg, media_type="image/svg+xml", headers=SVG_HEADERS)
        return Response(found.png, media_type="image/png", headers=SVG_HEADERS)

    return router


def kept(service: Service, drawing: Drawing, seed: int) -> Drawn:
    return Drawn(
        id=service.store.add(drawing.svg, drawing.png),
        description=drawing.description,
        reasoning=drawing.reasoning,
        svg=drawing.svg,
        verdict=drawing.verdict.to_json(),
        seed=seed,
        tokens=drawing.tokens,
        seconds=round(drawing.seconds, 3),
        finished=drawing.finished,
    )


async def as_stream(service: Service, events: Events, seed: int) -> AsyncIterator[str]:
    try:
        async for _, event in events:
            if isinstance(event, str):
                yield sse({"text": event}, "text")
            else:
                yield sse(kept(service, event, seed).model_dump(), "drawing")
    except Exception as error:
        yield sse(described(error, service.limits.seconds)[1], "error")


def sse(data: dict, event: str = "") -> str:
    """One server-sent event (HTML standard, section 9.2); JSON has no line ends, so one data line is enough."""
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n"
