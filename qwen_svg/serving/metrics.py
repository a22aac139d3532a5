"""What /metrics tells Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from qwen_svg.generation.predictor import Drawing

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)


class Metrics:
    """A registry of its own for each server, so that two in one process do not mix."""

    def __init__(self):
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("svg_requests", "answered requests", ["method", "route", "status"], registry=registry)
        self.drawings = Counter("svg_drawings", "finished drawings", ["legal"], registry=registry)
        self.seconds = Histogram(
            "svg_drawing_seconds", "from acceptance to drawing", buckets=SECONDS, registry=registry
        )
        self.first_token = Histogram(
            "svg_first_token_seconds", "from acceptance to first token", buckets=SECONDS, registry=registry
        )
        self.tokens = Counter("svg_tokens", "generated tokens", registry=registry)

    def watch(self, accepted: Callable[[], int], decoding: Callable[[], int]) -> None:
        Gauge("svg_accepted", "requests accepted and unanswered", registry=self.registry).set_function(accepted)
        Gauge("svg_decoding", "rows the model has, waiting ones too", registry=self.registry).set_function(decoding)

    def drawn(self, drawing: Drawing, seconds: float) -> None:
        self.drawings.labels("yes" if drawing.legal else "no").inc()
        self.seconds.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
