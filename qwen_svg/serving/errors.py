"""Every error of the API has one body, in the form OpenAI's clients read:

{"error": {"message", "type", "param", "code"}}. param: the parameter that is wrong, or null.
"""

import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from qwen_svg.common.errors import UserError
from qwen_svg.serving.sentences import sentence
from qwen_svg.serving.worker import Broken, Closing, Full, Gone, GPULost, TimeUp

TYPES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 413: "too_large",
         421: "wrong_host", 422: "invalid_request", 429: "overloaded", 499: "client_gone", 500: "failed",
         502: "illegal_drawing", 503: "closing", 504: "time_limit"}  # fmt: skip
OVERLOADED = "as many requests as may wait are waiting; try again later"
NO_ROUTE = ("Not Found", "Method Not Allowed")  # Starlette's words
ROUTES = "drawings come from POST /v1/svg and POST /v1/chat/completions, the model's name from GET /v1/models"


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: int | str
    violations: list[dict] | None = None


class ErrorBody(BaseModel):
    error: ErrorDetail


class Refused(Exception):
    """What a client of OpenAI's API asks for and this server has not got; in the words of that API."""

    def __init__(self, message: str, param: str, code: str = "unsupported_parameter", status: int = 400):
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


class IllegalDrawing(Exception):
    """The answer holds no SVG, or one that is not legal; it is not sent. Only without the grammar."""

    def __init__(self, violations: list[dict]):
        self.violations = violations


def described(error: Exception, seconds: float) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an error. seconds: the time limit in force."""
    more: dict[str, Any] = {}
    match error:
        case Full():
            status, message = 429, OVERLOADED
        case Closing():
            status, message = 503, "the server is being stopped"
        case GPULost():
            status, message = 503, "the GPU answers nothing more after an error (see the log); restart the server"
            more = {"type": "gpu_lost"}
        case TimeUp():
            status, message = 504, f"the drawing was not finished within {seconds:g} s"
        case UserError():
            status, message = 422, str(error)
        case IllegalDrawing():
            status, message = 502, "the model's answer is not a legal SVG; ask again, with another seed"
            more = {"violations": error.violations}
        case Gone():
            status, message = 499, "the client has left"
        case Refused():
            status, message = error.status, str(error)
            more = {"type": "invalid_request_error", "param": error.param, "code": error.code}
        case HTTPException():
            status, message = error.status_code, str(error.detail)
        case RequestValidationError():
            status, message = 422, "; ".join(dict.fromkeys(map(sentence, error.errors()[:5])))
            more = {"param": _place(error.errors()[0]["loc"][1:2])}
        case _:
            status, message = 500, "the model failed; the server's log says why"
    return status, body(status, message, **more)


def body(status: int, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": TYPES.get(status, "error"), "param": None, "code": status} | more}


def _place(location: tuple) -> str:
    return ".".join(str(part)[:40] for part in location) or "body"


def json_error(status: int, body: dict, headers: dict[str, str] | None = None) -> Response:
    # ASCII: what is quoted from a request may hold lone surrogates, which UTF-8 cannot.
    return Response(json.dumps(body), status, headers, "application/json")


def install(app: FastAPI, seconds: float) -> None:
    """Let these errors leave the app as JSON, whatever raises them."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.detail in (
            "Not Found",
            "Method Not Allowed",
        ):  # Starlette's words
            route = f"{request.method} {request.url.path[:100]}"
            error = HTTPException(error.status_code, f"there is no {route}; {ROUTES}", error.headers)
        headers = dict(getattr(error, "headers", None) or {})
        if isinstance(error, Full):
            headers["Retry-After"] = str(error.retry_after)
        return json_error(*described(error, seconds), headers)

    for kind in (Full, Closing, GPULost, TimeUp, Gone, Broken, UserError, IllegalDrawing, Refused, HTTPException,
                 RequestValidationError, Exception):  # fmt: skip
        app.add_exception_handler(kind, answer)


def responses(*statuses: int) -> dict:
    """For OpenAPI: the errors that a route gives."""
    return {status: {"model": ErrorBody, "description": TYPES[status].replace("_", " ")} for status in statuses}
