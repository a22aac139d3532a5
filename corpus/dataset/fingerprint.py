"""What two drawings are compared by: a thumbnail of the picture and a MinHash of the text."""

import re
import zlib
from functools import cache
from typing import Any

import numpy as np

THUMBNAIL = 16  # pixels a side
PERMUTATIONS = 64
SHINGLE = 3  # tokens
BYTES = THUMBNAIL * THUMBNAIL * 3 + PERMUTATIONS * 4
_PRIME = 2**61 - 1
_TOKEN = re.compile(r"<!--.*?-->|[a-zA-Z#][\w#-]*|-?\.?\d+(?:\.\d+)?", re.DOTALL)


def fingerprint(picture: Any, svg: str) -> bytes:
    """Return BYTES bytes. picture: uint8 (S, S, 3), S a multiple of THUMBNAIL; svg: its text, in the dialect."""
    tile = picture.shape[0] // THUMBNAIL
    tiles = picture.reshape(THUMBNAIL, tile, THUMBNAIL, tile, 3).mean(axis=(1, 3))
    return tiles.round().astype(np.uint8).tobytes() + minhash(svg).tobytes()


def minhash(svg: str) -> Any:
    """Return uint32 (PERMUTATIONS,): the share of equal places estimates the Jaccard similarity of two texts' shingles.

    Broder, "On the resemblance and containment of documents", 1997. Comments do not count.
    """
    tokens = [token for token in _TOKEN.findall(svg) if not token.startswith("<!--")]
    shingles = {" ".join(tokens[i : i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1))}
    values = np.array([zlib.crc32(shingle.encode()) for shingle in sorted(shingles)], dtype=np.uint64)
    factors, shifts = _permutations()
    # Modulo 2^64 first, as the product overflows: a fixed mixing of the bits all the same.
    return ((values[:, None] * factors + shifts) % _PRIME).min(axis=0).astype(np.uint32)


@cache
def _permutations() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    return random.integers(1, _PRIME, (2, PERMUTATIONS), dtype=np.uint64)


def unpack(fingerprints: bytes | bytearray) -> tuple[Any, Any]:
    """Return thumbnails uint8 (N, THUMBNAIL, THUMBNAIL, 3) and MinHashes uint32 (N, PERMUTATIONS)."""
    table = np.frombuffer(fingerprints, dtype=np.uint8).reshape(-1, BYTES)
    pixels = THUMBNAIL * THUMBNAIL * 3
    thumbnails = table[:, :pixels].reshape(-1, THUMBNAIL, THUMBNAIL, 3)
    return thumbnails, np.ascontiguousarray(table[:, pixels:]).view(np.uint32)
