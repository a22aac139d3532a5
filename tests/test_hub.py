"""Whether the hub can be reached: one that takes connections and says nothing is found out within seconds."""

import contextlib
import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from qwen_svg.common.errors import UserError
from qwen_svg.common.hub import hub_reachable, speaks_http
from qwen_svg.model.tokenizer import load_tokenizer


@pytest.fixture
def somebody():
    """Return an address whose server sends these bytes, one a tenth of a second, to whoever connects; b"" = nothing."""
    servers = []

    def start(said: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            with contextlib.suppress(OSError):  # closed by whoever connected, or by the test that is over
                while True:
                    connection = server.accept()[0]
                    servers.append(connection)
                    for byte in said:
                        connection.send(bytes([byte]))
                        time.sleep(0.1)

        Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 " + b"2" * 500, b"SSH-2.0-OpenSSH\r\n\r\n"])
def test_a_server_that_is_silent_or_drips_or_speaks_otherwise_is_given_up(somebody, said):
    start = time.monotonic()
    assert not speaks_http(somebody(said), seconds=0.5)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_a_server_that_answers_is_there(status):
    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    assert speaks_http(f"http://127.0.0.1:{server.server_port}", 20)
    server.shutdown()
    server.server_close()


def test_a_silent_hub_ends_in_one_sentence(somebody, monkeypatch):
    address = somebody(b"")
    monkeypatch.setattr(speaks_http.__wrapped__, "__defaults__", (0.5,))
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not hub_reachable()
    with pytest.raises(UserError, match="connect this machine to the hub"):
        load_tokenizer("nobody/such-a-model")


@pytest.mark.parametrize(
    "address", ["", "no address", "http://", "http://[", "ftp://127.0.0.1:1", "http://127.0.0.1:1"]
)
def test_no_address_is_nobody(address):
    assert not speaks_http(address, 5)
