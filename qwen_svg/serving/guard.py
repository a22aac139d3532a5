"""What every request meets first: host, bearer token, length of the body, room; and what every answer carries."""

import hmac
import ipaddress
import re
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_svg.serving.errors import OVERLOADED, body, json_error

OPEN = re.compile(r"/(healthz|openapi\.json|docs(/.*)?|static-offline-docs/.*)?")  # no token asked


class Guard:
    def __init__(
        self,
        app: ASGIApp,
        token: str,
        max_body: int,
        local: bool,
        wait: Callable[[], int],
        count: Callable[[str, str, int], None],
    ):
        """token: "" = none asked. max_body: bytes. local: bound to this machine alone, so asked for by its names only:
        else a web page could reach it through a name of its own that points here (DNS rebinding). wait: the seconds to
        come back after; 0 = there is room. count: is told method, route and status of each answer.
        """
        self.app, self.token, self.max_body, self.local = app, token, max_body, local
        self.wait, self.count = wait, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
                route = getattr(scope.get("route"), "path", "none")
                self.count(scope["method"], route, message["status"])
            await send(message)

        refusal = self.refusal(scope, Headers(scope=scope))
        await (refusal or self.app)(scope, receive, counted)

    def refusal(self, scope: Scope, headers: Headers):
        """Return the response that turns the request away, or None."""
        if self.local and not is_local(headers.get("host", "")):
            return refuse(421, "this server answers to localhost only; start it with --host to change that")
        if self.token and not OPEN.fullmatch(scope["path"]):
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token.encode()):
                return refuse(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
        # The framework counts chunked bodies; of a declared length there is no need to read a byte.
        if headers.get("content-length", "0").isdecimal() and int(headers.get("content-length", "0")) > self.max_body:
            return refuse(413, f"the body is longer than {self.max_body} bytes", {"Connection": "close"})
        # Here too, though the worker says so again: under overload, being turned away must cost next to nothing.
        if scope["method"] == "POST" and (wait := self.wait()):
            return refuse(429, OVERLOADED, {"Retry-After": str(wait)})
        return None


def refuse(status: int, message: str, headers: dict[str, str] | None = None):
    return json_error(status, body(status, message), headers)


def is_local(host: str) -> bool:
    """Whether a Host header names this machine: localhost or a loopback address, with or without a port."""
    name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
