"""Work on many things in several processes, in order, where one that crashes its process is one that failed."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
CRASHED = "crashed the process"
AHEAD = 64  # jobs handed to each process before their results are asked for


def in_processes(
    work: Callable[[Job], Result], jobs: Iterable[Job], processes: int, crashed: Callable[[Job], Result]
) -> Iterator[tuple[Job, Result]]:
    """Yield (job, result of `work`) in the order of the jobs; of `crashed` for a job that ends its process."""
    jobs = iter(jobs)
    pool = ProcessPoolExecutor(processes, initializer=_die_with_parent)
    try:
        while window := list(islice(jobs, AHEAD * processes)):
            futures = [pool.submit(work, job) for job in window]
            broken = False
            for job, future in zip(window, futures, strict=True):
                try:
                    yield job, future.result()
                except BrokenProcessPool:  # by this one or a neighbour: alone, it shows
                    broken = True
                    yield job, _alone(work, job, crashed)
            if broken:
                pool.shutdown()
                pool = ProcessPoolExecutor(processes, initializer=_die_with_parent)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Job], Result], job: Job, crashed: Callable[[Job], Result]) -> Result:
    with ProcessPoolExecutor(1, initializer=_die_with_parent) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return crashed(job)


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed: it would wait for jobs for ever, and a grandparent that
    watches the parent through a pipe would not see it go."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
