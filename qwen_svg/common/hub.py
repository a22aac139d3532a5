"""The model and dataset hub, and whether this machine can reach it."""

import os
import socket
from urllib.parse import urlsplit


def hub_reachable() -> bool:
    """Does anybody answer there? Asked first, because the hub client would retry for minutes."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # what lies behind a proxy is not known
    return answers(address.hostname or "", address.port or (443 if address.scheme == "https" else 80))


def answers(host: str, port: int, seconds: float = 5) -> bool:
    """Does anybody take a connection there?"""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
        return True
    except OSError:
        return False
