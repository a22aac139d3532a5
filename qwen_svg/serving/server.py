"""uvicorn on a socket of ours, and an orderly end: finish what is being drawn, or give it up in time."""

import socket
import sys

import uvicorn
from starlette.types import ASGIApp

from qwen_svg.serving.worker import Worker

LAST_WORDS = 1.0  # seconds before the end in which those given up are told so


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, worker: Worker, drain: float):
        super().__init__(config)
        self.worker, self.drain = worker, drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = sockets[0].getsockname()[:2]
        print(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.worker.close(max(0.0, self.drain - LAST_WORDS))
        await super().shutdown(sockets)


def serve(app: ASGIApp, worker: Worker, listener: socket.socket, drain: float) -> None:
    """Serve until SIGTERM or SIGINT, and then at most `drain` seconds."""
    sys.setswitchinterval(0.001)  # else the event loop waits 5 ms for the worker whenever it has let go of the GIL
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=max(1, round(drain)), lifespan="off")
    Server(config, worker, drain).run(sockets=[listener])
