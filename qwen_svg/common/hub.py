"""The model and dataset hub, and whether this machine can reach it."""

import os
import socket
from urllib.parse import urlsplit


def hub_reachable() -> bool:
    """Does anybody answer there? Asked first, because the hub client would retry for minutes."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    try:
        if not proxied:
            port = address.port or (443 if address.scheme == "https" else 80)
            socket.create_connection((address.hostname or "", port), timeout=5).close()
        return True
    except OSError:
        return False
