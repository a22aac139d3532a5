"""kill -9 at random moments, then --resume: does training always come to the same end, bit for bit?

    python -m benchmarks.kill_resume [--json] [KILLS]

Trains a tiny random Qwen2 with a checkpoint at every step, so that many kills fall into a save. Each run is killed
after a random time and resumed, KILLS times (default 50) over as many trainings as it takes; each training that gets
to its end is compared with an uninterrupted one: adapter, optimizer, scheduler, random state, the loss of every step.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import report
from qwen_svg.common.jsonl import read_jsonl
from tests.tiny import make_base, make_data, make_tokenizer

ROOT = Path(__file__).resolve().parent.parent
FLAGS = "--epochs 2 --max-length 1100 --lora-rank 4 --lora-alpha 8 --save-steps 1 --logging-steps 1 --no-wandb".split()
LAST = "checkpoint-18"  # 36 samples, batch 4, 2 epochs


def main() -> None:
    kills = next((int(a) for a in sys.argv[1:] if a.isdigit()), 50)
    figures = {"kills": 0, "killed_while_saving": 0, "before_first_checkpoint": 0, "trainings": 0, "equal": 0}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        start = prepare(work)
        expected = end_state(work / "reference", start, None, figures)
        moments = random.Random(0)
        while figures["kills"] < kills:
            state = end_state(work / f"run{figures['trainings']}", start, moments, figures)
            figures["trainings"] += 1
            figures["equal"] += state == expected
            print(figures, flush=True)
    report(figures)


def prepare(work: Path) -> list[str]:
    base, data = make_base(work / "base", make_tokenizer()), make_data(work / "data.jsonl")
    return [sys.executable, str(ROOT / "train.py"), "--data-path", str(data), "--base-model", str(base), *FLAGS]


def end_state(work: Path, start: list[str], moments: random.Random | None, figures: dict) -> dict[str, object]:
    """Train to the end, with kills at the given random moments; return what is compared."""
    work.mkdir()
    run = work / "outputs" / "r"
    command = [*start, "--run-name", "r"]
    while True:
        process = subprocess.Popen(command, cwd=work, env={**os.environ, "PYTHONPATH": str(ROOT)},
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
        try:
            if moments and moments.random() < 0.5:
                wait_for_a_save(run, process, moments.randint(1, 6))
                process.communicate(timeout=moments.uniform(0, 0.01))
            output = process.communicate(timeout=moments.uniform(2.5, 6.5) if moments else None)[0]
            if process.returncode:
                raise SystemExit(f"a resumed run failed:\n{output}")
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            figures["kills"] += 1
        complete = list(run.glob("checkpoint-*/complete.json"))
        figures["killed_while_saving"] += len(list(run.glob("checkpoint-*"))) > len(complete)
        if complete:
            command = [*start[:2], "--resume", "--run-name", "r"]
        else:  # nothing to go on from: start again
            figures["before_first_checkpoint"] += 1
            shutil.rmtree(run, ignore_errors=True)
    names = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth")
    state: dict[str, object] = {name: contents(run / LAST / name) for name in names}
    state["losses"] = [(r["step"], r["loss"]) for r in read_jsonl(run / "metrics.jsonl") if "loss" in r]
    return state


def wait_for_a_save(run: Path, process: subprocess.Popen, number: int) -> None:
    """Return when the process is writing a checkpoint, its `number`-th; or has ended."""
    known = set(run.glob("checkpoint-*"))
    while process.poll() is None:
        new = {path for path in run.glob("checkpoint-*") if not (path / "complete.json").exists()} - known
        known |= new
        number -= len(new)
        if number <= 0:
            return


def contents(path: Path) -> object:
    """What a file holds, comparable: pickles differ in bytes that mean nothing, so tensors are compared as bytes."""
    if path.suffix == ".safetensors":
        return path.read_bytes()
    import torch

    return plain(torch.load(path, weights_only=False))


def plain(value: object) -> object:
    if hasattr(value, "numpy"):
        return value.numpy().tobytes()
    if hasattr(value, "tobytes"):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


if __name__ == "__main__":
    main()
