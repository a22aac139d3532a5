"""Work on many files in several processes, in order, where one that crashes its process is one that failed."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Job = TypeVar("Job")
CRASHED = "crashed the process"
AHEAD = 64  # jobs handed to each process before their results are asked for


def in_processes(
    work: Callable[[Job], tuple[str, str]], jobs: Iterable[Job], processes: int
) -> Iterator[tuple[Job, tuple[str, str]]]:
    """Yield (job, result of work) in the order of the jobs. A result is (text, ""), or ("", why there is none)."""
    jobs = iter(jobs)
    pool = ProcessPoolExecutor(processes)
    try:
        while window := list(islice(jobs, AHEAD * processes)):
            futures = [pool.submit(work, job) for job in window]
            broken = False
            for job, future in zip(window, futures, strict=True):
                try:
                    yield job, future.result()
                except BrokenProcessPool:  # by this one or a neighbour: alone, it shows
                    broken = True
                    yield job, _alone(work, job)
            if broken:
                pool.shutdown()
                pool = ProcessPoolExecutor(processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Job], tuple[str, str]], job: Job) -> tuple[str, str]:
    with ProcessPoolExecutor(1) as pool:
        future: Future = pool.submit(work, job)
        try:
            return future.result()
        except BrokenProcessPool:
            return "", CRASHED
