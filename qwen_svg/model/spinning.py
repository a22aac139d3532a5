"""How long torch's threads spin where they wait for one another: as the cores are theirs, or wanted by others.

They wait thousands of times a step. A step is 1.7 times as fast where they spin a while (SPINS) as where they go to
sleep at once, and many times slower where another program wants the core that they spin on. GNU's OpenMP, torch's on
Linux, reads GOMP_SPINCOUNT but once; yet it spins only 100 times while a process has more OpenMP threads than the
machine has cores (its `gomp_throttled_spin_count_var`). So while others want cores we hold a second team of threads
that does nothing. The number of threads that compute stays as it is, and with it every sum to its last digit.
"""

import ctypes
import os
import time
from functools import cache
from pathlib import Path
from threading import Thread

import torch

from qwen_svg.common.environment import SPINS
from qwen_svg.model.free_cores import INTERVAL, FreeCores

DO_NOTHING = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p) if os.name == "posix" else None


@cache
def spin_while_cores_are_free() -> None:
    """Watch the machine from a thread, from now on; not where waiting was set by hand, or OpenMP is another's."""
    threads, openmp = torch.get_num_threads(), _gnu_openmp()
    if openmp and threads > 1 and os.environ.get("GOMP_SPINCOUNT") == SPINS and "OMP_WAIT_POLICY" not in os.environ:
        Thread(target=_watch, args=(openmp, threads), daemon=True).start()


def _gnu_openmp() -> ctypes.CDLL | None:
    """Return the library that torch has loaded."""
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    except OSError:
        return None
    ours = {word for word in mapped if "libgomp" in word and word.startswith(str(Path(torch.__file__).parent.parent))}
    return ctypes.CDLL(ours.pop()) if len(ours) == 1 else None


def _watch(openmp: ctypes.CDLL, threads: int) -> None:
    cores = FreeCores(threads)
    while True:
        if cores.count() < threads:
            team = Thread(target=_hold_team, args=(openmp, cores), daemon=True)
            team.start()
            team.join()
        time.sleep(INTERVAL)


def _hold_team(openmp: ctypes.CDLL, cores: FreeCores) -> None:
    """Have as many more threads as the machine has cores until those of this process are free; end with them."""
    openmp.GOMP_parallel(DO_NOTHING, None, os.cpu_count(), 0)
    while cores.count() < cores.most:
        time.sleep(INTERVAL)
