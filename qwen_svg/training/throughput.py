"""How fast a training goes, in what people compare: real tokens a second, padding, peak memory, time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

GB = 1e9


class Throughput:
    """Counts what goes through the model; validation and checkpoints do not count as time."""

    def __init__(self, device: torch.device, world_size: int = 1):
        self.device, self.world_size = device, world_size
        self.real: torch.Tensor | int = 0  # on a GPU a tensor, read only when it is logged
        self.positions = 0
        self.busy, self.tokens = 0.0, 0.0  # seconds and real tokens, over the whole training
        self.since, self.pauses = time.perf_counter(), 0.0

    def count(self, attention_mask: torch.Tensor) -> None:
        """attention_mask: (B, T) of a forward pass, 1 = real."""
        self.real = self.real + attention_mask.sum()
        self.positions += attention_mask.numel()

    @contextmanager
    def pause(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.pauses += time.perf_counter() - start

    def figures(self, tokens_left: float, pauses_left: float) -> dict[str, float]:
        """Return the figures since they were asked for last. tokens_left: real ones that are still to be trained on, an
        estimate; pauses_left: seconds that validation will take."""
        now = time.perf_counter()
        seconds = now - self.since - self.pauses
        self.busy += seconds
        sums = torch.tensor([float(self.real), self.positions], dtype=torch.float64, device=self.device)
        if self.world_size > 1:
            torch.distributed.all_reduce(sums)
        real, positions = sums.tolist()
        self.tokens += real
        self.real, self.positions, self.since, self.pauses = 0, 0, now, 0.0
        return {
            "tokens_per_second": round(real / seconds, 1),
            "padding": round(1 - real / positions, 4) if positions else 0.0,
            "peak_memory_gb": round(peak_memory(self.device) / GB, 3),
            "minutes_left": round((self.busy / max(self.tokens, 1) * tokens_left + pauses_left) / 60, 2),
        }


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that have been in use: of a GPU by torch, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # which Windows lacks

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # KiB on Linux
