"""Threads of llama.cpp: no more than find a core of their own."""

import os
import subprocess
import sys
import time

import pytest

from qwen_svg.model import free_cores
from qwen_svg.model.free_cores import FreeCores


@pytest.mark.parametrize(
    "idle, own, threads",
    [
        (4.0, 0.0, 4),  # nobody computes
        (0.0, 4.0, 4),  # nobody else
        (1.9, 0.1, 2),
        (0.0, 1.3, 1),  # another program has two thirds of one of two cores
        (0.0, 0.5, 1),  # three others share two cores with us
        (2.7, 0.9, 4),  # another takes two fifths of one of four cores
        (9.0, 1.0, 4),  # no more than were asked for
    ],
)
def test_threads_are_as_many_as_others_leave_cores(monkeypatch, idle, own, threads):
    clocks = iter([(0.0, 0.0, 0.0), (1.0, idle, own)])
    monkeypatch.setattr(free_cores, "_clocks", lambda: next(clocks))
    assert FreeCores(4).threads == threads


def test_a_look_at_a_busy_machine():
    burn = "import time\nend = time.time() + 10\nwhile time.time() < end: pass"
    others = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2 * os.cpu_count())]
    try:
        cores = FreeCores(os.cpu_count())
        time.sleep(free_cores.INTERVAL + 0.5)
        assert cores.count() == 1
    finally:
        for other in others:
            other.kill()
            other.wait()
