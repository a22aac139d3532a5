"""Finished drawings, kept for a while: the newest that fit in so many bytes."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    svg: bytes
    png: bytes

    @property
    def size(self) -> int:
        return len(self.svg) + len(self.png)


class DrawingStore:
    def __init__(self, limit: int):
        """limit: bytes."""
        self.limit, self.used = limit, 0
        self.kept: OrderedDict[str, Kept] = OrderedDict()

    def add(self, svg: str, png: bytes) -> str:
        """Return the id, which nobody can guess."""
        id, drawing = secrets.token_urlsafe(12), Kept(svg.encode(), png)
        self.kept[id] = drawing
        self.used += drawing.size
        while self.used > self.limit:
            _, oldest = self.kept.popitem(last=False)
            self.used -= oldest.size
        return id

    def get(self, id: str) -> Kept | None:
        return self.kept.get(id)
