"""Threads of torch spin where the cores are free, and hardly where others want them."""

import os
import subprocess
import sys

import pytest

from qwen_svg.common import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP and /proc")
# Says how many threads the process has while others want its cores and while they do not, as FreeCores says they do.
SCRIPT = """
import os, time
from qwen_svg.common.environment import configure_environment
configure_environment()
import torch
torch.set_num_threads(2)
torch.rand(1_000_000).exp()  # has OpenMP make its threads
from qwen_svg.model import spinning
wanted = False
class Cores:
    most = 2
    def __init__(self, threads):
        pass
    def count(self):
        return 1 if wanted else 2
spinning.FreeCores, spinning.INTERVAL = Cores, 0.01
def threads():
    time.sleep(0.3)
    return len(os.listdir("/proc/self/task"))
before = threads()
spinning.spin_while_cores_are_free()
print(threads() - before)
for wanted in (True, False, True):
    print(threads() - before)
"""


def run(**variables: str) -> list[int]:
    kept = os.environ.keys() - {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS"}
    told = {name: os.environ[name] for name in kept} | variables
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=told, check=True)
    return [int(line) for line in done.stdout.split()]


def test_a_second_team_is_held_while_others_want_the_cores():
    cores = os.cpu_count()  # the one who watches; and who holds the team, with one thread less than there are cores
    assert run() == [1, 1 + cores, 1, 1 + cores]


@pytest.mark.parametrize("said", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "PASSIVE"}])
def test_waiting_that_was_set_by_hand_is_left_alone(said):
    assert run(**said) == [0, 0, 0, 0]


def test_a_script_sets_how_long_threads_spin_unless_that_is_said(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    environment.configure_environment()
    assert os.environ["GOMP_SPINCOUNT"] == environment.SPINS
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    environment.configure_environment()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
