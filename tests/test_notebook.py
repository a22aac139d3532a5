"""notebooks/quickstart.ipynb, from its first cell to its last, with a tiny base: one can watch it learn."""

import os
import sys
from pathlib import Path

from benchmarks.notebook import copied_project, execute, pictures

SMALL = {"SCENES": 100, "EPOCHS": 0.55, "TESTED": 1}  # 45 steps: beyond the first evaluation


def test_the_notebook_runs_and_shows_the_training(tmp_path, tiny_base, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    copied_project(tmp_path)
    executed = execute(str(tmp_path), {"BASE": str(tiny_base)} | SMALL)
    assert pictures(executed) == 4  # after 40 steps and at the end, the gallery, and the drawing that is asked for
