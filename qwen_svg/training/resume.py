"""Going on with a run: what may change on the way, what may not, and what is written down about it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import constants_in_force, write_config
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import read_json, write_json
from qwen_svg.common.run_folder import CONFIG, run_to_resume

# What may differ from the run's constants: where things lie, on what they run, when something is logged, evaluated and
# saved, and for how long. BATCH_SIZE and GRADIENT_ACCUMULATION may if a step takes as many samples as before
# (checkpoints.refuse_other_steps).
MAY_CHANGE = frozenset(
    "DATA_PATH DATA BASE_MODEL MODEL PAIRS BATCH_SIZE GRADIENT_ACCUMULATION EPOCHS STEPS MAX_MINUTES DEVICE ENGINE "
    "ACTIVATION_CHECKPOINTING LOGGING_STEPS EVAL_STEPS EVAL_BATCH_SIZE SAVE_STEPS SAVE_TOTAL_LIMIT SAMPLE_STEPS "
    "DRAW_SAMPLES WANDB WANDB_PROJECT REPORT_TO ON_BAD_LINE".split()
)
OF_A_CALL = frozenset({"RUN_NAME", "RESUME", "DRY_RUN"})


def constants_to_resume(
    script: str, name: str, config: str = CONFIG, argv: list[str] | None = None, formerly: dict[str, str] | None = None
) -> SimpleNamespace:
    """Return the constants of the run to go on with, with what the command line changes.

    script: its path. config: the file in the run's folder that holds them. Raises UserError for a change that would
    make it another training.
    """
    folder = run_to_resume(name)
    c = constants_in_force(script, argv, base_config=folder / config, formerly=formerly)
    c.RUN_NAME, c.RESUME = folder.name, True
    for name, (before, now) in changes(script, c, folder, config, formerly).items():
        if name not in MAY_CHANGE:
            flag = "--" + name.lower().replace("_", "-")
            raise UserError(
                f"{name} of {folder} is {before!r}, and a run that is resumed keeps it: leave out `{flag}` "
                f"({now!r}), or start a new run."
            )
    return c


def changes(
    script: str, c: SimpleNamespace, folder: Path, config: str = CONFIG, formerly: dict[str, str] | None = None
) -> dict[str, tuple[Any, Any]]:
    """Return the constants that are not the run's any more: name → (before, now)."""
    before = vars(constants_in_force(script, argv=[], base_config=folder / config, formerly=formerly))
    return {n: (before[n], now) for n, now in vars(c).items() if n not in OF_A_CALL and before[n] != now}


def record_changes(
    script: str,
    c: SimpleNamespace,
    folder: Path,
    step: int,
    config: str = CONFIG,
    formerly: dict[str, str] | None = None,
) -> None:
    """Print what has changed, and write it down: the constants now in `config`, since when in environment.json."""
    found = changes(script, c, folder, config, formerly)
    if not found:
        return
    print("changed: " + ", ".join(f"{name} {before!r} → {now!r}" for name, (before, now) in found.items()))
    for name in found.keys() & {"EPOCHS", "STEPS"}:
        print(f"  from step {step} on the learning rate follows the schedule of {found[name][1]:g} {name.lower()}")
    write_config(folder / config, SimpleNamespace(**vars(c) | {"RESUME": False}))
    facts = read_json(folder / "environment.json")
    told = {name: {"before": before, "now": now} for name, (before, now) in found.items()}
    facts.setdefault("resumed", []).append({"step": step, "changed": told})
    write_json(folder / "environment.json", facts)
