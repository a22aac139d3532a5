"""Checkpoints that are whole: marked when everything in them is written, checked before training goes on from one."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file

from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import apply_umask, read_json, sha256, write_json, write_text
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.processes import is_main, processes, sharding
from qwen_svg.common.run_folder import ADAPTER, CONFIG
from qwen_svg.training.resume import record_changes

SWEEP = "lr_sweep.json"  # the figures of a learning-rate sweep
COMPLETE = "complete.json"  # written last into a checkpoint: its files with their SHA-256


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def mark_complete(checkpoint: Path) -> None:
    """Declare a checkpoint whole. Called after everything else in it has been written."""
    apply_umask(checkpoint)
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != COMPLETE)
    write_json(checkpoint / COMPLETE, {str(path.relative_to(checkpoint)): sha256(path) for path in files})


def checkpoint_to_resume(
    run: Path, script: str, c: SimpleNamespace, config: str = CONFIG, formerly: dict[str, str] | None = None
) -> Path:
    """Return the newest checkpoint that is whole. Names newer ones that are not, forgets what was logged behind it, and
    writes down which constants are others now (arguments as of `resume.record_changes`).

    Raises UserError when there is none.
    """
    checkpoint, warnings = newest_complete_checkpoint(run)
    for warning in warnings:
        print(f"warning: {warning}")
    if is_main():
        forget_after(run, step_of(checkpoint))
        record_changes(script, c, run, step_of(checkpoint), config, formerly)
    print(f"resuming from {checkpoint}")
    return checkpoint


def newest_complete_checkpoint(run: Path) -> tuple[Path, list[str]]:
    """Return the newest checkpoint that is whole, and a warning for each newer one that is not.

    Raises UserError when there is none.
    """
    numbered = [path for path in run.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    warnings = []
    for checkpoint in sorted(numbered, key=step_of, reverse=True):
        fault = _fault(checkpoint)
        if fault is None:
            return checkpoint, warnings
        warnings.append(f"{checkpoint} is skipped: {fault}")
    found = "; ".join(warnings) or "none was saved"
    raise UserError(f"{run} has no complete checkpoint to resume from ({found}); start a new run instead.")


def _fault(checkpoint: Path) -> str | None:
    marker = checkpoint / COMPLETE
    if not marker.is_file():
        return "its saving was interrupted"
    try:
        expected = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        return f"{COMPLETE} is damaged"
    for name, digest in expected.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if sha256(path) != digest:
            return f"{name} is damaged (its content is not what was saved)"
    adapter = checkpoint / ADAPTER
    if adapter.is_file() and not all(torch.isfinite(tensor).all() for tensor in load_file(adapter).values()):
        return f"{ADAPTER} holds numbers that are not finite"  # saved before that was checked
    return None


@contextmanager
def freed_if_stopped(run: Path) -> Iterator[None]:
    """Remove a run's folder where Ctrl-C ends it before there is anything to go on from: its name stays free."""
    try:
        yield
    except KeyboardInterrupt:
        kept = any((run / name).exists() for name in (ADAPTER, SWEEP)) or any(run.glob(f"checkpoint-*/{COMPLETE}"))
        if is_main() and not kept:
            shutil.rmtree(run, ignore_errors=True)
            print(f"{run} is removed: no checkpoint had been saved")
        raise


def what_is_intact(run: Path) -> str:
    """Return the end of a sentence about a training that went wrong: which checkpoint is whole, if any."""
    numbered = sorted((path for path in run.glob("checkpoint-*") if (path / COMPLETE).is_file()), key=step_of)
    return f"{numbered[-1].name} is the last that was saved" if numbered else "no checkpoint has been saved"


def forget_after(run: Path, step: int) -> None:
    """Take out of metrics.jsonl what was logged behind the checkpoint that training goes on from."""
    path = run / "metrics.jsonl"
    kept = [record for record in read_jsonl(path) if record["step"] <= step]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))


def refuse_other_steps(script: str, c: SimpleNamespace, folder: Path) -> None:
    """Raise UserError where a step would not take the samples it took before, or the checkpoint is of another kind."""
    before = constants_in_force(script, argv=[], base_config=folder / CONFIG)
    launch = read_json(folder / "environment.json").get("launch", {"processes": 1, "sharding": ""})
    if launch["sharding"] != sharding():
        raise UserError(
            f"{folder} was trained with {launch['sharding'] or 'the whole model in each process'}, whose checkpoints "
            f"{sharding() or 'a launch without FSDP or DeepSpeed'} cannot read; launch it as before."
        )
    step = before.BATCH_SIZE * before.GRADIENT_ACCUMULATION * launch["processes"]
    if c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes() != step:
        raise UserError(
            f"a step of {folder} takes {step} samples, and BATCH_SIZE {c.BATCH_SIZE} × GRADIENT_ACCUMULATION "
            f"{c.GRADIENT_ACCUMULATION} × {processes()} process(es) makes "
            f"{c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes()}; choose them so that they make {step}."
        )
