"""One HTTP request within limits on time, bytes and addresses. Redirects are handed back, not followed."""

import asyncio
import ssl
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from time import time

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from corpus.mining.addresses import AddressRefused, guarded_socket, is_public

AGENT = "QwenSVG-miner"  # the product token that robots.txt files name us by
KEEP_ALIVE = 3.0  # seconds an idle connection is kept: long enough for a page's robots.txt, its page and its pictures
MAX_HEADER = 32_768  # bytes of one header line; content security policies grow long
RETRIED_STATUSES = {408, 429, 500, 502, 503, 504, 522, 524}
# Encodings are accepted when their output can be capped while it streams.
INFLATED = {"gzip": 47, "x-gzip": 47, "deflate": 47}  # zlib's window bits: 32 + 15 reads both gzip and zlib heads


class Failed(Exception):
    """Why there is no answer, as a class of errors that can be counted.

    again: whether another try may go better. wait: seconds the server asked us to stay away.
    """

    def __init__(self, reason: str, again: bool = False, wait: float = 0.0):
        super().__init__(reason)
        self.reason, self.again, self.wait = reason, again, wait


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes  # decompressed
    media_type: str = ""
    charset: str | None = None  # as the header names it

    @property
    def location(self) -> str | None:
        return self.headers.get("Location") if self.status in (301, 302, 303, 307, 308) else None


class Fetcher:
    """The HTTP client. `allowed` and `resolver` are there for tests: servers on 127.0.0.1, names that are ours."""

    def __init__(
        self,
        timeout: float,
        concurrency: int,
        contact: str = "",
        allowed: Callable[[str], bool] = is_public,
        resolver: aiohttp.abc.AbstractResolver | None = None,
    ):
        connector = aiohttp.TCPConnector(
            limit=concurrency,
            resolver=resolver,
            socket_factory=guarded_socket(allowed),
            keepalive_timeout=KEEP_ALIVE,
            happy_eyeballs_delay=None,  # one address after the other: half the tasks
        )
        self.session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            headers={
                "User-Agent": f"{AGENT}/1.0 ({f'+{contact}' if contact else 'collects SVG pictures'})",
                "Accept": "text/html,application/xhtml+xml,image/svg+xml;q=0.9,*/*;q=0.1",
                "Accept-Encoding": "gzip, deflate",
            },
        )
        self.requests = 0

    async def get(self, url: URL, max_bytes: int, wanted: Container[str] | None = None, cut: bool = False) -> Response:
        """Return the Response to one request. Raises Failed.

        max_bytes: of the body after decompression; more is a failure, or with `cut` is left away. wanted: the media
        types ("" when none is given) of which the body is read.
        """
        self.requests += 1
        try:
            async with self.session.get(url, allow_redirects=False) as response:
                media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                answer = Response(response.status, response.headers, b"", media_type, response.charset)
                if response.status in RETRIED_STATUSES:
                    raise Failed(f"http {response.status}", again=True, wait=_retry_after(response.headers))
                if answer.location or response.status != 200:
                    response.close()
                    return answer
                if wanted is not None and media_type not in wanted:
                    response.close()
                    raise Failed("not a page")
                body = await _body(response, max_bytes, cut)
                return replace(answer, body=body)
        except Failed:
            raise
        except Exception as error:
            raise _named(error) from None

    async def close(self) -> None:
        await self.session.close()


async def _body(response: aiohttp.ClientResponse, max_bytes: int, cut: bool) -> bytes:
    """Read and decompress, never holding more than max_bytes and one network buffer."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        if not cut and (response.content_length or 0) > max_bytes:
            response.close()
            raise Failed("too large")
        inflate = None
    elif encoding in INFLATED:
        inflate = zlib.decompressobj(INFLATED[encoding])
    else:
        response.close()
        raise Failed("encoding not asked for")
    parts, left = [], max_bytes
    async for chunk in response.content.iter_any():
        if inflate:
            chunk = inflate.decompress(chunk, left + 1)
        parts.append(chunk)
        left -= len(chunk)
        if left < 0:
            response.close()
            if not cut:
                raise Failed("too large")
            break
    return b"".join(parts)[:max_bytes]


def _retry_after(headers: CIMultiDictProxy[str]) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, OverflowError):
        return 0.0


def _named(error: Exception) -> Failed:
    """Turn what aiohttp, ssl, zlib and yarl raise into a class of errors."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefused):
        return Failed("address refused")
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return Failed("time-out", again=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Failed("no such host")
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return Failed("TLS")
    if isinstance(error, zlib.error):
        return Failed("broken encoding")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failed("cut short")
    if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):
        return Failed("not a URL")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, OSError)):
        return Failed("no connection", again=True)
    if isinstance(error, (aiohttp.ClientError, ValueError)):
        return Failed("not HTTP")
    return Failed(f"error: {type(error).__name__}")  # a bug of ours or of a library: counted under its name
