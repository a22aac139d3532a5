"""Work on many things in several processes, in order, where one that crashes its process is one that failed."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
CRASHED = "crashed the process"
AHEAD = 64  # tasks handed to each process before their results are asked for


def in_processes(
    work: Callable[[Task], Result], tasks: Iterable[Task], processes: int, crashed: Callable[[Task], Result]
) -> Iterator[tuple[Task, Result]]:
    """Yield (task, result of `work`) in the order of the tasks; of `crashed` for a task that ends its process."""
    tasks = iter(tasks)
    pool = ProcessPoolExecutor(processes, initializer=_die_with_parent)
    try:
        while window := list(islice(tasks, AHEAD * processes)):
            futures = [pool.submit(work, task) for task in window]
            broken = False
            for task, future in zip(window, futures, strict=True):
                try:
                    yield task, future.result()
                except BrokenProcessPool:  # by this one or a neighbour: alone, it shows
                    broken = True
                    yield task, _alone(work, task, crashed)
            if broken:
                pool.shutdown()
                pool = ProcessPoolExecutor(processes, initializer=_die_with_parent)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Task], Result], task: Task, crashed: Callable[[Task], Result]) -> Result:
    with ProcessPoolExecutor(1, initializer=_die_with_parent) as pool:
        try:
            return pool.submit(work, task).result()
        except BrokenProcessPool:
            return crashed(task)


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed: it would wait for tasks for ever, and a grandparent that
    watches the parent through a pipe would not see it go."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
