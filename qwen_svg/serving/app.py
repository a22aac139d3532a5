"""The web application: its routes, behind the guard."""

from typing import Any

from fastapi import Depends, Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from qwen_svg.serving import errors
from qwen_svg.serving.drawing_api import drawing_routes
from qwen_svg.serving.guard import Guard
from qwen_svg.serving.openai_api import openai_routes
from qwen_svg.serving.page import page_routes
from qwen_svg.serving.service import Service


def make_app(service: Service, token: str = "", local: bool = True) -> ASGIApp:
    """token, local: see Guard."""
    app = FastAPIOffline(
        title="Qwen-SVG",
        description="Descriptions to drawings, in a constrained SVG.",
        version="1",
        max_body_size=service.limits.body,
        redoc_url=None,
    )
    errors.install(app, service.limits.seconds)
    # The guard asks for the token; this lets the documentation say so.
    documented = [Depends(HTTPBearer(auto_error=False))] if token else []
    app.include_router(drawing_routes(service), dependencies=documented)
    app.include_router(openai_routes(service), dependencies=documented)
    app.include_router(page_routes())
    metrics = service.worker.metrics

    @app.get("/healthz", tags=["operation"], responses=errors.responses(503))
    async def health() -> dict[str, Any]:
        """Whether the server can draw: 503 when it is being stopped, its worker is dead or the GPU is lost."""
        if service.worker.closing or not service.worker.is_alive():
            raise errors.HTTPException(503, "the server is being stopped")
        if service.worker.gpu_lost:
            raise errors.GPULost
        return {"status": "ok", "model": service.model, "open": len(service.worker.open)}

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses=errors.responses(401) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def prometheus():
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    def count(method: str, route: str, status: int) -> None:
        metrics.requests.labels(method, route, status).inc()

    return Guard(app, token, service.limits.body, local, service.worker.wait, count)
