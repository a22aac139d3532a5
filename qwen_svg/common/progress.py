"""How far long work is: a bar on a terminal; in a pipe or a file, a line now and then."""

import time
from typing import Any

from tqdm import tqdm

SAID_EVERY = 30  # seconds between two lines


class Progress(tqdm):
    def __init__(self, total: int, name: str, unit: str, **more: Any):
        """name: of the work, before the figures. unit: of one of `total`. more: of tqdm."""
        super().__init__(total=total, desc=name, unit=f" {unit}", disable=None, **more)
        self.name, self.done, self.began = name, 0, time.monotonic()
        self.said = self.began

    def update(self, n: float | None = 1) -> bool | None:
        shown = super().update(n)
        self.done += n or 0
        now = time.monotonic()
        if self.disable and n and now - self.said > SAID_EVERY:
            self.said, left = now, (now - self.began) * (self.total / self.done - 1)
            print(f"{self.name}: {self.done} of {self.total}, about {left / 60:.0f} min left", flush=True)
        return shown
