"""Step 4 as a server: a web API and a small page, for a trained run, a base model or a .gguf file.

Reads   the model: outputs/<run>/, an adapter or merged folder, a hub id or a .gguf file.
Writes  nothing; the newest drawings are kept in memory.

    python serve.py --model outputs/first
    curl -d '{"description": "a red fox"}' -H 'Content-Type: application/json' http://127.0.0.1:8000/v1/svg

POST /v1/svg answers with JSON, or with a stream of events; /v1/chat/completions is for OpenAI's clients; / is the page,
/docs the API, /metrics for Prometheus, /healthz for whoever keeps it running. Requests that come together are drawn
together. Only SVG that svg_constraint.py finds legal leaves the server.
"""

import os
import socket
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Between, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.model.find import find_model

# Model
MODEL: str = ""  # a run, by name or folder; an adapter, merged folder, .gguf file, hub id; "" = the newest run, or ours
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
ENGINE: Literal["auto", "transformers", "llama.cpp"] = "auto"  # "auto": llama.cpp for .gguf bases on CPUs, if installed
CONSTRAINED: bool = True  # by the grammar of legal drawings; without it an illegal answer is refused (502)
# Network
HOST: str = "127.0.0.1"  # address to listen on; another than this machine's own lets others in
PORT: Annotated[int, Between(0, 65535)] = 8000  # 0 = any free one
TOKEN: str = ""  # clients must send it as "Authorization: Bearer …"; "" = the environment's SERVE_TOKEN, or none
# Limits
SLOTS: PositiveInt = 8  # drawings made side by side
MAX_WAITING: NonNegativeInt = 16  # requests that may wait for a slot; others are turned away with 429
MAX_BODY: PositiveInt = 65_536  # bytes of a request
MAX_DESCRIPTION: PositiveInt = 2000  # characters
MAX_PROMPT: PositiveInt = 4096  # tokens of a conversation: the description, and the earlier ones with their drawings
MAX_TOKENS: PositiveInt = 1560  # of an answer
TIME_LIMIT: PositiveFloat = 120.0  # seconds a request may take, its waiting included; then 504
DRAIN_SECONDS: NonNegativeFloat = 10.0  # after SIGTERM or Ctrl-C: what is not finished by then is given up
KEPT_BYTES: NonNegativeInt = 33_554_432  # of finished drawings, for /v1/svg/{id}.svg and .png


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what would fail only after the model is loaded; take the token from the environment if need be."""
    c.TOKEN = c.TOKEN or os.environ.get("SERVE_TOKEN", "")
    if not c.TOKEN.isascii():
        raise UserError("TOKEN must be ASCII: HTTP headers are.")
    find_model(c.MODEL)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen on {host}, port {port}: {reason}; choose others with --host, --port.") from None


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)
    listener = listen(c.HOST, c.PORT)  # a port in use is told before a model is loaded

from qwen_svg.generation.pick_engine import pick_engine
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model.source import find_source
from qwen_svg.serving.app import make_app
from qwen_svg.serving.guard import is_local
from qwen_svg.serving.metrics import Metrics
from qwen_svg.serving.server import serve
from qwen_svg.serving.service import Limits, Service
from qwen_svg.serving.store import DrawingStore
from qwen_svg.serving.worker import Worker


def main(c: SimpleNamespace) -> None:
    app, worker = build(c)
    serve(app, worker, listener, c.DRAIN_SECONDS)


def build(c: SimpleNamespace):
    """Load the model and return (the web application, its worker, which is running)."""
    found, source = find_model(c.MODEL), find_source(c.MODEL, c.BASE_MODEL)
    print(f"model: {found} · engine: {pick_engine(c.ENGINE, source)}", flush=True)
    local = is_local(c.HOST)
    if not local and not c.TOKEN:
        print(f"note: everybody who reaches {c.HOST} may draw; --token or the environment's SERVE_TOKEN asks for one")
    predictor = Predictor(source, c.SLOTS, c.MAX_PROMPT, c.ENGINE)
    limits = Limits(c.MAX_BODY, c.MAX_DESCRIPTION, c.MAX_TOKENS, c.TIME_LIMIT)
    # Compiles the grammar now, not at the first request; and says so now where no answer has room.
    predictor.row("a fox", Settings(max_new=limits.tokens, free=not c.CONSTRAINED))
    worker = Worker(predictor, c.MAX_WAITING, Metrics())
    worker.start()
    name = os.path.basename(os.path.normpath(found))
    return make_app(
        Service(worker, DrawingStore(c.KEPT_BYTES), limits, name, not c.CONSTRAINED), c.TOKEN, local
    ), worker


if __name__ == "__main__":
    run(main, c)
