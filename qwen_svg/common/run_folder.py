"""outputs/<run>/: making a run's folder, finding one, opening it; and what its numbers depend on."""

import difflib
import platform
import subprocess
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import ROOT, declared_constants
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import folder_note, read_json, split_weight, write_json
from qwen_svg.common.processes import processes, sharding

OUTPUTS = Path("outputs")
CONFIG = "config.yml"  # the constants of the training
ADAPTER = "adapter_model.safetensors"  # there when the training has ended
TRIAL = 10  # a run with so many times fewer steps than another was a trial, and may not be the one that is meant
PACKAGES = ("torch", "transformers", "peft", "accelerate", "wandb", "resvg")


def new_run_folder(name: str) -> Path:
    """Create outputs/<name> (a time stamp when the name is empty). An existing run is never written over."""
    folder = OUTPUTS / (name or time.strftime("%Y-%m-%d_%H%M%S"))
    refuse_existing(folder)
    folder.mkdir(parents=True)
    return folder


def refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise UserError(
            f"run folder {folder} exists; choose another name with `--run-name`, or go on with "
            f"`--resume --run-name {quote(folder.name)}`."
        )


def check_run_name(name: str, is_new: bool) -> None:
    """Raise UserError for a RUN_NAME that names no folder under outputs/, or, for a new run, one that is there."""
    if "/" in name or name in (".", ".."):
        raise UserError(f"RUN_NAME must be the name of a folder under outputs/, not {name!r}.")
    if name and is_new:
        refuse_existing(OUTPUTS / name)


def is_run(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def find_run(name: str) -> Path | None:
    """Return the folder of a run that is given by its path or by its bare name under outputs/, or None."""
    return next((folder for folder in (Path(name).expanduser(), OUTPUTS / name) if is_run(folder)), None)


def nearest_run(name: str) -> str:
    """Return which run of nearly that name may be meant, as a part of a sentence; "" where there is none."""
    runs = [folder.parent.name for folder in OUTPUTS.glob(f"*/{CONFIG}")]
    nearest = difflib.get_close_matches(Path(name).name, runs, n=1)
    return f"; perhaps {nearest[0]} is meant" if nearest else ""


def mark_ended(folder: Path, steps: int, asked: int = 0) -> None:
    """Write into environment.json that training has ended now, after so many steps of those that were `asked` for."""
    facts = read_json(folder / "environment.json")
    facts["asked"] = facts.get("asked") or asked  # what a shortened schedule was made from has been written before
    write_json(folder / "environment.json", facts | {"ended": time.time(), "steps": steps})


def cut_short(folder: Path) -> str:
    """Return what is to be said of a run that was trained on fewer steps than its schedule had, else ""."""
    path = folder / "environment.json"
    facts = read_json(path) if path.is_file() else {}
    steps, asked = facts.get("steps", 0), facts.get("asked", 0)
    return f"trained on {steps} of {asked} steps: more is learned in the whole of them" if steps < asked else ""


def _end(folder: Path) -> tuple[float, int]:
    """Return when a run's training ended (seconds since 1970) and its steps, 0 = not known.

    A file's time would be that of its copying; it stands in where an older run has nothing written down.
    """
    path = folder / "environment.json"
    facts = read_json(path) if path.is_file() else {}
    return facts.get("ended", (folder / ADAPTER).stat().st_mtime), facts.get("steps", 0)


def ended_runs() -> list[Path]:
    """Return the folders of the runs whose training has ended, the last one last."""
    return sorted((path.parent for path in OUTPUTS.glob(f"*/{ADAPTER}")), key=_end)


def newest_run() -> Path:
    """Return the folder of the run that was finished last; says so where another was trained TRIAL times as long.

    Raises UserError where there is none.
    """
    if runs := ended_runs():
        steps = {run: _end(run)[1] for run in runs}
        longest = max(runs, key=steps.get)
        if steps[longest] >= TRIAL * max(1, steps[runs[-1]]) and steps[runs[-1]]:
            _note(
                f"note: {runs[-1]}, the newest run, was trained for {steps[runs[-1]]} steps, {longest} for "
                f"{steps[longest]:,}: `--model {quote(longest.name)}`"
            )
        return runs[-1]
    raise UserError(
        f"{OUTPUTS}/ holds no run whose training has ended{folder_note()}; train one, or give a model with `--model`."
    )


@cache
def _note(text: str) -> None:
    """Print it once: a script looks for its run more than once."""
    print(text)


def run_to_resume(name: str) -> Path:
    """Return outputs/<name>, or the run touched last when the name is empty."""
    if name:
        folder = OUTPUTS / name
    else:
        runs = sorted(OUTPUTS.glob(f"*/{CONFIG}"), key=lambda path: path.stat().st_mtime)
        folder = runs[-1].parent if runs else OUTPUTS / "(none)"
    if not is_run(folder):
        raise UserError(f"there is no run to resume in {folder}{nearest_run(name)}; name one with `--run-name`.")
    return folder


@dataclass(frozen=True)
class Run:
    """A run whose training has ended."""

    folder: Path
    constants: SimpleNamespace  # of train.py, as they were in force; BASE_MODEL and all

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def split(self) -> dict:
        """The content of split.json: ids by part, "train", "valid" and "test"; and what was dropped."""
        return read_json(self.folder / "split.json")

    @cached_property
    def environment(self) -> dict:
        """The content of environment.json."""
        return read_json(self.folder / "environment.json")


def open_run(name: str) -> Run:
    """Return a trained run. name: its path, or its bare name under outputs/; "" = the one that was finished last.

    Raises UserError where there is no such run, or its training has not left an adapter.
    """
    folder = find_run(name) if name else newest_run()
    if folder is None:
        places = f"no {CONFIG} there or in {OUTPUTS}/{name}"
        raise UserError(f"{name} is not a run ({places}{nearest_run(name)}); give one with `--model`.")
    require_ended(folder)
    return Run(folder, constants_of(folder))


def require_ended(folder: Path) -> None:
    """Raise UserError where a run's training has not left an adapter."""
    if not (folder / ADAPTER).is_file():
        facts = folder / "environment.json"
        script = read_json(facts).get("script", "train.py") if facts.is_file() else "train.py"
        raise UserError(
            f"{folder} has no adapter yet: its training has not ended; go on with "
            f"`python {script} --resume --run-name {quote(folder.name)}`."
        )


def constants_of(run: Path) -> SimpleNamespace:
    """Return the constants of a run's training, BASE_MODEL and DATA_PATH as the paths where they lie now."""
    import yaml  # as in `read_config`: before `start` nothing is imported that may not be installed

    written = yaml.safe_load((run / CONFIG).read_text(encoding="utf-8")) or {}
    # A constant that is newer than the run has its default.
    values = {constant.name: constant.default for constant in declared_constants(ROOT / "train.py")}
    c = SimpleNamespace(**values | {key.upper(): value for key, value in written.items()})
    files = [c.DATA_PATH] if isinstance(c.DATA_PATH, str) else c.DATA_PATH  # runs of the past have one
    c.DATA_PATH = [located(file, run) + weight for file, weight in map(split_weight, files)]
    c.BASE_MODEL = located(c.BASE_MODEL, run)
    return c


def located(path: str, run: Path) -> str:
    """Return where a file or folder lies that a run names: as it is written there, or relative to the run, to the
    folder that it was trained in, or to this project. What is nowhere (a hub id) comes back as it is.
    """
    places = (Path(), run, run.resolve().parent.parent, ROOT)
    return next((str(place / path) for place in places if (place / path).exists()), path)


def environment(script: str, device: Any, dtype: Any, data_path: str, data_sha256: str) -> dict:
    """What the numbers of a run depend on besides its constants: versions, device, code, data.

    script: as python is asked for it, to be resumed: "train.py", "-m reinforce.train_grpo".
    """
    from importlib import metadata  # 40 ms, which --help need not wait for

    return {
        "script": script,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": _device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "launch": {"processes": processes(), "sharding": sharding()},
        "git_commit": _git_commit(),
        "data": {"path": str(data_path), "sha256": data_sha256},
    }


def _device_name(device: Any) -> str:
    import torch  # the caller, who has a device, has imported it; other users of this file need not

    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"


def _git_commit() -> str | None:
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
