"""An OpenAI-compatible endpoint on 127.0.0.1 that notes what it is asked and answers, or fails, as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DROP = "drop the connection"
MAX_REQUESTS = 2000  # a client that asks for ever is let down in the end


class ChatServer(ThreadingHTTPServer):
    """reply(request body, its number from 0) → text, (status, headers), a whole JSON body, or DROP."""

    daemon_threads = True

    def __init__(self, reply: Callable[[dict, int], Any]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.requests, self.keys, self.lock = reply, [], [], threading.Lock()

    def handle_error(self, request: Any, address: Any) -> None:
        """A client that was killed, or would not wait, is part of the test: no traceback."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
            self.server.keys.append(self.headers.get("Authorization", ""))
        reply = self.server.reply(body, number) if number < MAX_REQUESTS else (400, {})
        if reply == DROP:
            self.close_connection = True
        elif isinstance(reply, tuple):
            status, headers = reply
            self.send(status, {"error": {"message": f"told to fail {self.headers.get('Authorization')}"}}, headers)
        else:
            self.send(200, reply if isinstance(reply, dict) else completion(reply), {})

    def do_GET(self) -> None:
        self.send(404, {}, {})

    def send(self, status: int, body: dict, headers: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


def completion(text: str, finish_reason: str = "stop") -> dict:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


@contextmanager
def chat_server(reply: Callable[[dict, int], Any]) -> Iterator[ChatServer]:
    server = ChatServer(reply)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
