"""A small web on 127.0.0.1 for the tests of corpus/mine.py, and the miner let loose on it.

Every host name leads to 127.0.0.1. What a server sends is a function of (host, path): bytes, or a coroutine function
that is given the writer and may misbehave.

    python -m tests.web --dataset urls.txt --output-dir mined/      # the script with 127.0.0.1 allowed, to be killed
"""

import asyncio
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

from aiohttp.abc import AbstractResolver

from corpus import mine
from qwen_svg.common.constants import constants_in_force

FAST = ("--host-delay", "0", "--timeout", "5", "--retries", "0")


def http(body: bytes | str = b"", status: int = 200, **headers: str) -> bytes:
    """Return a whole response; underscores in the names of headers stand for hyphens."""
    body = body.encode() if isinstance(body, str) else body
    headers = {"Content_Type": "text/html", "Content_Length": str(len(body))} | headers
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


@dataclass
class Web:
    """Serves `answer(host, path)` until the with-block ends; remembers what it was asked."""

    answer: object
    connections: int = 0
    log: list[tuple[float, str, str]] = field(default_factory=list)  # (time, host, path)
    most_at_once: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> "Web":
        self.now: defaultdict[str, int] = defaultdict(int)
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(asyncio.start_server(self.talk, "127.0.0.1", 0, backlog=1024))
            self.port = self.server.sockets[0].getsockname()[1]
            started.set()
            self.loop.run_forever()

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        started.wait()
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.loop.close()

    async def talk(self, reader, writer) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                host = head.lower().partition(b"host:")[2].split(b"\r\n")[0].decode().strip().rpartition(":")[0]
                self.log.append((time.monotonic(), host, path))
                self.now[host] += 1
                self.most_at_once[host] = max(self.most_at_once[host], self.now[host])
                try:
                    reply = self.answer(host, path)
                    if isinstance(reply, bytes):
                        writer.write(reply)
                        await writer.drain()
                    else:
                        await reply(writer)
                        break
                finally:
                    self.now[host] -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [path for _, _, path in self.log]


class Local(AbstractResolver):
    """Resolves every name to 127.0.0.1, or to what `addresses` says."""

    def __init__(self, addresses: dict[str, list[str]] | None = None):
        self.addresses = addresses or {}

    async def resolve(self, host, port=0, family=socket.AF_INET) -> list[dict]:
        found = self.addresses.get(host, ["127.0.0.1"])
        common = {"hostname": host, "port": port, "proto": 0, "flags": 0}
        return [common | {"host": a, "family": socket.AF_INET6 if ":" in a else socket.AF_INET} for a in found]

    async def close(self) -> None:
        pass


def only_local(address: str) -> bool:
    return address == "127.0.0.1"


def constants(*arguments: str) -> SimpleNamespace:
    return constants_in_force(mine.__file__, [*arguments])


def mine_locally(*arguments: str, allowed=only_local, resolver=None) -> None:
    """Run the script as it is, but for the addresses allowed."""
    # The resolver asks for a running loop only when it is used.
    mine.mine(constants(*arguments), allowed=allowed, resolver=resolver or Local())


if __name__ == "__main__":
    mine_locally(*sys.argv[1:])
