"""Does notebooks/quickstart.ipynb run from its first cell to its last? Executed by nbclient in a copy of the project.

    python -m benchmarks.notebook [--base FOLDER] [--full] [--json]

--base: what is trained, models/SmolLM2-135M-Instruct.Q4_1.gguf (`make model`) unless given. Without --full a tenth of
the steps is trained, and two drawings are tested. The cell that installs is left out: this environment has it all.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks/quickstart.ipynb"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", "data", "models", "outputs", "__pycache__")
SMALL = {"SCENES": 100, "EPOCHS": 0.2, "TESTED": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", default=str(ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the cells' `python`
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        copied_project(Path(temporary))
        executed = execute(temporary, {"BASE": asked.base} | ({} if asked.full else SMALL))
    figures = {
        "cells": len(executed.cells),
        "pictures": pictures(executed),
        "seconds": round(time.perf_counter() - began),
    }
    print(json.dumps(figures) if asked.json else "\n".join(f"{name:<10}{value:>6}" for name, value in figures.items()))


def copied_project(folder: Path) -> None:
    """Put the project into a folder, where the notebook looks for it, with nothing that was made in it."""
    shutil.copytree(ROOT, folder / "qwen-svg", ignore=NOT_COPIED)
    for name in ("data", "outputs"):
        (folder / "qwen-svg" / name).mkdir()


def execute(folder: str, settings: dict) -> nbformat.NotebookNode:
    """Run the cells in a folder, with other settings. Raises CellExecutionError where one, or its command, fails."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("%pip")]
    for cell in notebook.cells:
        for name, value in settings.items():
            cell.source = re.sub(rf"^{name} = [^#\n]*", f"{name} = {value!r}  ", cell.source, flags=re.MULTILINE)
        if cell.cell_type == "code":  # a cell goes on behind a command that has failed
            cell.source = re.sub(r"^(!(?:.*\\\n)*.*)$", r"\1\nassert _exit_code == 0", cell.source, flags=re.MULTILINE)
    return NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": folder}}).execute()


def pictures(notebook: nbformat.NotebookNode) -> int:
    """Return how many pictures the cells have shown."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum(any(kind.startswith("image/") for kind in output.get("data", ())) for output in outputs)


if __name__ == "__main__":
    main()
