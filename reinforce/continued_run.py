"""A run that goes on from another run's adapter, and that others take for any run: what GRPO and DPO share."""

import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

import torch

from qwen_svg.common.constants import write_config
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import apply_umask, write_json
from qwen_svg.common.run_folder import CONFIG, Run, environment, mark_ended, new_run_folder, open_run, run_to_resume
from qwen_svg.common.run_split import read_split, split_sha256
from qwen_svg.common.tracking import finish_run
from qwen_svg.model.device import pick_device, pick_precision
from qwen_svg.model.load import LoadedModel, load_config, load_model
from qwen_svg.training.arguments import shared_arguments
from qwen_svg.training.callbacks import install_callbacks, refuse_interrupted
from qwen_svg.training.checkpoints import checkpoint_to_resume
from qwen_svg.training.trainer import CompleteCheckpoints, run_training
from reinforce.shared_constants import FORMERLY


def open_origin(c: SimpleNamespace) -> Run:
    """Return the run to begin with; fills in MODEL and DATA_PATH."""
    origin = open_run(c.MODEL)
    print(f"run: {origin.folder}")
    if origin.constants.BASE_QUANTIZATION:
        raise UserError(
            f"{origin.folder} was trained with BASE_QUANTIZATION, which reinforcement cannot go on from; give another."
        )
    c.MODEL, c.DATA_PATH = str(origin.folder), c.DATA_PATH or origin.constants.DATA_PATH
    return origin


def load_origin(origin: Run) -> LoadedModel:
    """Load the run's model, its adapter trainable, in the precision of its training: bf16 on CPUs made for that."""
    device = pick_device()
    dtype, _ = pick_precision(origin.constants, device, load_config(origin.constants.BASE_MODEL))
    return load_model(str(origin.folder), adapter="trainable", device=device, dtype=dtype)


def open_folder(
    c: SimpleNamespace, method: str, origin: Run, loaded: LoadedModel, facts: dict | None = None
) -> tuple[Path, Path | None]:
    """Return (run folder, checkpoint to go on from or None). facts: more for a new run's environment.json.

    A new folder's config.yml has a `reinforced`, which keeps train.py from resuming it.
    """
    if c.RESUME:
        folder = run_to_resume(c.RUN_NAME)
        script = str(Path(__file__).with_name(f"train_{method}.py"))
        return folder, checkpoint_to_resume(folder, script, c, f"{method}.yml", FORMERLY)
    script, sha256 = f"-m reinforce.train_{method}", origin.environment["data"]["sha256"]
    about = environment(script, loaded.device, loaded.dtype, ", ".join(c.DATA_PATH), sha256) | (facts or {})
    about["data"] |= {
        "split_sha256": split_sha256(read_split(origin.folder)),
        "tasks": origin.environment["data"].get("tasks", {}),
    }
    about["packages"]["trl"] = metadata.version("trl")
    folder = new_run_folder(c.RUN_NAME)
    c.RUN_NAME = folder.name
    changed = {"DATA_PATH": c.DATA_PATH, "RUN_NAME": folder.name, "REINFORCED": c.MODEL}
    write_config(folder / CONFIG, SimpleNamespace(**vars(origin.constants) | changed))
    write_config(folder / f"{method}.yml", c)
    write_json(folder / "environment.json", about)
    shutil.copy(origin.folder / "split.json", folder)
    if loaded.source.tokenizer:  # the base's own lacks the new tokens
        loaded.tokenizer.save_pretrained(folder)
    return folder, None


def trl_arguments(c: SimpleNamespace, folder: Path, loaded: LoadedModel) -> dict[str, Any]:
    """Return what both methods ask of TRL's arguments."""
    return {
        **shared_arguments(c, folder, loaded.device),
        "per_device_train_batch_size": c.BATCH_SIZE,
        "gradient_accumulation_steps": c.GRADIENT_ACCUMULATION,
        "lr_scheduler_type": "linear",
        "beta": c.BETA,
        "fp16": loaded.dtype == torch.float16,
        "bf16": False,  # TRL's default is True
        "gradient_checkpointing": c.ACTIVATION_CHECKPOINTING,
    }


def train_and_save(
    c: SimpleNamespace,
    method: str,
    trainer: CompleteCheckpoints,
    folder: Path,
    checkpoint: Path | None,
    line: Callable[[dict], str | None],
    tracker: Any,
) -> int:
    """Train, and save the adapter; return the number of steps. line, tracker: as of `RunLog`.

    Raises UserError where training was stopped.
    """
    stopped = run_training(trainer, install_callbacks(trainer, folder, c.MAX_MINUTES, line, tracker), checkpoint)
    step = trainer.state.global_step
    refuse_interrupted(stopped, step, f"-m reinforce.train_{method}", folder)
    trainer.require_finite()
    trainer.model.save_pretrained(folder)  # the adapter alone
    apply_umask(folder)
    mark_ended(folder, step)
    if stopped:
        print(f"{stopped} after step {step} of {trainer.state.max_steps}")
    return step


def print_next_steps(folder: Path, left: str, tracker: Any) -> None:
    """Say what the run has left, and what comes next. left: files in its folder. tracker: a wandb run, or None."""
    print(f"adapter, {left} and model card are in {folder}")
    if tracker:
        print(finish_run(tracker))
    print(f"next: python evaluate_test.py --model {quote(folder.name)}")
