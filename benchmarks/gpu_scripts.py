"""The scripts themselves on a GPU, for benchmarks.gpu: training and going on, the peers, DPO and GRPO."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import training
from benchmarks.gpu_bench import Bench, metrics
from qwen_svg.common.run_split import samples_of

ROOT = Path(__file__).resolve().parent.parent


def script(bench: Bench, *command: str) -> None:
    """Run a script of this project, or with -m a command, in the bench's folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = command if command[0] == "-m" else (str(ROOT / command[0]), *command[1:])
    done = subprocess.run(
        [sys.executable, *command], cwd=bench.work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def train(bench: Bench) -> dict[str, Any]:
    """An epoch of train.py, and the same again from its first checkpoint: how far apart are the losses?"""
    runs = bench.work / "outputs"
    shutil.rmtree(runs, ignore_errors=True)
    size = "--max-samples 20 --lora-rank 4 --save-steps 2" if bench.small else "--max-samples 260 --save-steps 20"
    data = ["--base-model", bench.base, "--data-path", str(bench.data), *size.split()]
    common = "--no-wandb --epochs 1 --logging-steps 1 --eval-steps 30 --save-total-limit 9"
    script(bench, "train.py", "--run-name", "first", *data, *common.split())
    shutil.copytree(runs / "first", runs / "again", symlinks=True)
    checkpoints = sorted((runs / "again").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for later in checkpoints[1:]:
        shutil.rmtree(later)
    script(bench, "train.py", "--resume", "--run-name", "again")
    losses = [{r["step"]: r["loss"] for r in metrics(runs / name) if "loss" in r} for name in ("first", "again")]
    apart = max(abs(losses[0][step] - losses[1][step]) for step in losses[0])
    logged = [r for r in metrics(runs / "first") if "tokens_per_second" in r][len(losses[0]) // 2 :]
    found = {"apart": apart, **{name: logged[-1][name] for name in ("tokens_per_second", "peak_memory_gb")}}
    print(f"resumed, losses are at most {apart:.1e} apart; {found['tokens_per_second']:,.0f} tokens/s")
    return found


def beside(bench: Bench) -> dict[str, Any]:
    """Tokens a second and peak memory beside the stock Trainer, TRL and Unsloth, where they are installed."""
    job = training.write_job(bench.work, Path(bench.base), str(bench.data), 1 if bench.small else 40)
    present = {name: python for name, python in training.PYTHONS.items() if Path(python).exists()}
    found = training.summary([{name: training.run(name, python, job) for name, python in present.items()}])
    training.show("random weights", found)
    return found


def prefer(bench: Bench) -> dict[str, Any]:
    """Two steps of DPO, on pairs of the lengths that pytorch#196678 is about, where there are such: all finite?"""
    run = bench.work / "outputs" / "first"
    known = {row.id for row in bench.rows() if row.length % 128 == 64}
    samples = sorted(samples_of(run, "train", [str(bench.data)]), key=lambda sample: sample.id not in known)[:16]
    with (bench.work / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for one, other in zip(samples, samples[1:] + samples[:1], strict=True):
            pair = {"id": one.id, "description": one.description, "chosen": one.answer, "rejected": other.answer}
            file.write(json.dumps(pair) + "\n")
    pairs = ["--pairs", str(bench.work / "pairs.jsonl"), "--gradient-accumulation", "2"]
    return reinforced(bench, "dpo", pairs)


def reinforce(bench: Bench) -> dict[str, Any]:
    """Two steps of GRPO, of four drawings each."""
    size = "--steps 2 --generations 4 --batch-size 4 --gradient-accumulation 1 --sample-steps 9"
    return reinforced(bench, "grpo", [*size.split(), *(["--max-new-tokens", "8"] if bench.small else [])])


def reinforced(bench: Bench, method: str, more: list[str]) -> dict[str, Any]:
    run = bench.work / "outputs" / method
    shutil.rmtree(run, ignore_errors=True)
    script(bench, "-m", f"reinforce.train_{method}", "--model", "first", "--run-name", method, "--no-wandb", *more)
    norms = [record["grad_norm"] for record in metrics(run) if "grad_norm" in record]
    print(f"{method}: gradient norms {norms}")  # None is one that was not a number
    return {"steps": len(norms), "passed": None not in norms}
