"""What every benchmark here shares: paired rounds, medians of ratios, one JSON line at the end."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Time all contenders in turn, `rounds` times after one warm-up round.

    Returns for each the median seconds and `ratio`: the median, over rounds, of its time / the first contender's in
    the same round. Ratios of a round hold where the machine's speed drifts; single times do not.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, run in contenders.items():
            elapsed = seconds(run)
            if i:
                times[name].append(elapsed)
    first = next(iter(times.values()))
    return {
        name: {
            "seconds": statistics.median(values),
            "ratio": statistics.median(value / reference for value, reference in zip(values, first, strict=True)),
        }
        for name, values in times.items()
    }


def report(figures: dict) -> None:
    """With --json, print the figures as the last line."""
    if "--json" in sys.argv:
        print(json.dumps(figures))


def peak_bytes() -> int:
    """Peak memory so far: of the GPU's allocator where there is one, else of this process.

    VmHWM, not getrusage: a child inherits ru_maxrss from the parent that forked it.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
