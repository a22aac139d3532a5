"""The page at /: one file, which may run, show and ask for nothing but what it is made of and this server."""

import base64
import hashlib
import json
import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from svg_constraint import PROMPT_TABLE

PAGE = Path(__file__).with_name("page.html")


def page_routes() -> APIRouter:
    table = json.dumps({tag: sorted(attributes) for tag, attributes in PROMPT_TABLE.items()})
    html = PAGE.read_text(encoding="utf-8").replace("const TABLE = {};", f"const TABLE = {table};")
    headers = {"Content-Security-Policy": policy(html), "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    return router


def policy(html: str) -> str:
    """Return a Content-Security-Policy that names the page's own script and style by their hashes (CSP level 2)."""
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    return (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
