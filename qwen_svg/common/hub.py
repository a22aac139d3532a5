"""The model and dataset hub, and whether this machine can reach it."""

import os
import socket
import ssl
from functools import cache
from http.client import HTTPException
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PATIENCE = 8  # seconds for all of a first answer: name, connection, handshake, status line


def hub_reachable() -> bool:
    """Does anybody answer there? Asked first, because the hub client would retry for minutes."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    if any(os.environ.get(name, "").startswith("socks") for name in ("ALL_PROXY", "all_proxy")):
        return True  # what lies behind a proxy of this kind is not known
    return speaks_http(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))


@cache
def speaks_http(address: str, seconds: float = PATIENCE) -> bool:
    """Does a server there answer a request, with whatever status? Many that are ill take connections and are silent."""
    answered = []

    def ask() -> None:
        context = ssl._create_unverified_context()  # whom to trust is the client's business
        try:
            urlopen(Request(address, method="HEAD"), timeout=seconds, context=context).close()
            answered.append(True)
        except HTTPError:
            answered.append(True)
        except (OSError, ValueError, HTTPException):  # nobody; somebody silent; no address; another language
            pass

    asking = Thread(target=ask, daemon=True)  # a name server, or bytes that drip, heed no timeout of a socket
    asking.start()
    asking.join(seconds)
    return bool(answered)


def answers(host: str, port: int, seconds: float = 5) -> bool:
    """Does anybody take a connection there?"""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
        return True
    except OSError:
        return False
