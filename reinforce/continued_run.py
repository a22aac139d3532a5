"""A run that goes on from another run's adapter, and that others take for any run: what GRPO and DPO share.

A script's method, "grpo" or "dpo", names its constants' file in the run folder: grpo.yml. config.yml there is the one
of the run it began as, for those that draw and test.
"""

import shutil
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common import run_folder as runs
from qwen_svg.common.constants import check_numbers, constants_in_force, write_config
from qwen_svg.common.errors import UserError


def method_of(script: str) -> str:
    """script: the path of train_<method>.py."""
    return Path(script).stem.removeprefix("train_")


def constants_of(script: str) -> SimpleNamespace:
    """Return the script's constants; with RESUME those of the run to resume, with what the command line changes."""
    c = constants_in_force(script)
    if not c.RESUME:
        return c
    folder, config = runs.run_to_resume(c.RUN_NAME), f"{method_of(script)}.yml"
    if not (folder / config).is_file():
        raise UserError(f"{folder} is no run of this script (no {config}); name one with `--run-name`.")
    return runs.constants_to_resume(script, folder.name, config)


def check(c: SimpleNamespace, above_0: Iterable[str], from_0: Iterable[str] = ()) -> None:
    """Refuse a missing library, numbers that make no sense, and a RUN_NAME that is taken.

    above_0, from_0: the script's own constants that must be above 0, and those that may be 0 too.
    """
    if find_spec("trl") is None:
        raise UserError("GRPO and DPO need TRL; run `pip install -r requirements/reinforce.txt`.")
    check_numbers(
        c,
        above_0=(*above_0, "BATCH_SIZE", "GRADIENT_ACCUMULATION", "LEARNING_RATE", "MAX_GRAD_NORM", "LOGGING_STEPS",
                 "SAVE_STEPS", "SAVE_TOTAL_LIMIT"),
        from_0=(*from_0, "MAX_MINUTES"),
    )  # fmt: skip
    runs.check_run_name(c.RUN_NAME, is_new=not c.RESUME)


def open_source(c: SimpleNamespace) -> tuple[Path, dict]:
    """Return the folder of the run to begin with and its constants (lower case); fills in RUN_DIR and DATA_PATH."""
    source, config = runs.open_run(c.RUN_DIR)
    for name in ("svg_tokens", "base_quantization"):  # the reference would lack the new rows
        if config.get(name):
            raise UserError(
                f"{source} was trained with {name.upper()}, which reinforcement cannot go on from; give another."
            )
    c.RUN_DIR, c.DATA_PATH = str(source), c.DATA_PATH or config["data_path"]
    return source, config


def load_adapter(source: Path, config: dict) -> tuple[Any, Any, Any]:
    """Return (the base with the run's adapter, to be trained on; device; dtype)."""
    from qwen_svg.model.adapter import train_adapter
    from qwen_svg.model.device import pick_device, pick_dtype
    from qwen_svg.model.load import load_base

    device = pick_device()
    dtype = pick_dtype(device, config["fp16"])
    return train_adapter(load_base(config["base_model"], device, dtype), source), device, dtype


def open_folder(
    c: SimpleNamespace, method: str, source: Path, config: dict, device: Any, dtype: Any, facts: dict | None = None
) -> tuple[Path, Path | None]:
    """Return (run folder, checkpoint to go on from or None). facts: more for a new run's environment.json.

    A new folder's config.yml has a `reinforced`, which keeps train.py from resuming it.
    """
    import yaml

    if c.RESUME:
        folder = runs.run_to_resume(c.RUN_NAME)
        return folder, runs.checkpoint_to_resume(folder)
    environment = runs.environment(device, dtype, c.DATA_PATH, data_sha256(source)) | (facts or {})
    environment["packages"]["trl"] = metadata.version("trl")
    folder = runs.new_run_folder(c.RUN_NAME)
    c.RUN_NAME = folder.name
    config = config | {"data_path": c.DATA_PATH, "run_name": folder.name, "reinforced": str(source)}
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_config(folder / f"{method}.yml", c)
    runs.write_json(folder / "environment.json", environment)
    shutil.copy(source / "split.json", folder)
    return folder, None


def data_sha256(source: Path) -> str:
    return runs.read_json(source / "environment.json")["data"]["sha256"]


def arguments(c: SimpleNamespace, folder: Path, device: Any, dtype: Any) -> dict[str, Any]:
    """Return what both methods ask of the Trainer."""
    import torch

    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": c.BATCH_SIZE,
        "gradient_accumulation_steps": c.GRADIENT_ACCUMULATION,
        "learning_rate": c.LEARNING_RATE,
        "lr_scheduler_type": "linear",
        "max_grad_norm": c.MAX_GRAD_NORM,
        "beta": c.BETA,
        "fp16": dtype == torch.float16,
        "bf16": False,  # TRL's default
        "use_cpu": device.type != "cuda",
        "gradient_checkpointing": c.ACTIVATION_CHECKPOINTING,
        "logging_steps": c.LOGGING_STEPS,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "save_steps": c.SAVE_STEPS,
        "save_total_limit": c.SAVE_TOTAL_LIMIT,
        "seed": c.SEED,
        "report_to": ["wandb"] if c.WANDB else "none",
    }


def train_to_the_end(c: SimpleNamespace, method: str, trainer: Any, folder: Path, checkpoint: Path | None) -> int:
    """Train, and save the adapter; return the number of steps. Raises UserError where training was stopped."""
    import torch

    from qwen_svg.training.callbacks import RunLog, install_callbacks, refuse_interrupted

    trainer.add_callback(RunLog(folder))
    try:
        with install_callbacks(trainer, c.MAX_MINUTES) as stop:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError:
        raise UserError(
            f"the GPU ran out of memory with BATCH_SIZE {c.BATCH_SIZE}; use `--activation-checkpointing`, or a smaller "
            "`--batch-size` with more `--gradient-accumulation`."
        ) from None
    step = trainer.state.global_step
    refuse_interrupted(stop.reason, step, f"-m reinforce.train_{method}", folder)
    trainer.model.save_pretrained(folder)  # the adapter alone
    if stop.reason:
        print(f"{stop.reason} after step {step} of {trainer.state.max_steps}")
    return step


def print_next_steps(folder: Path, left: str, tracker: Any) -> None:
    """Say what the run has left, and what comes next. left: files in its folder. tracker: of wandb, or None."""
    from qwen_svg.common.tracking import finish_run

    print(f"adapter, {left} and model card are in {folder}")
    if tracker:
        print(finish_run(tracker))
    print(f"next: python evaluate_test.py --run-dir {folder}")
