"""Work on many things in several processes, in order, where one that crashes its process is one that failed."""

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
                    yield job, _alone(work, job, crashed)
            if broken:
                pool.shutdown()
                pool = ProcessPoolExecutor(processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Job], Result], job: Job, crashed: Callable[[Job], Result]) -> Result:
    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return crashed(job)
