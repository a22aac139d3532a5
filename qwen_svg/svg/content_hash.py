"""The name of a drawing by its text: the miner stores it under it, captions and vectors are joined by it."""

import hashlib


def content_hash(svg: str) -> str:
    """Return the MD5 of the SVG's text as UTF-8, 32 hexadecimal digits; a name, no protection against forgery."""
    return hashlib.md5(svg.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
