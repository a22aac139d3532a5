"""outputs/<run>/: everything a run leaves behind, and finding the checkpoint to go on from."""

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.dataset import ReadResult, Sample, SampleKey, families_of, fingerprint, stream_samples
from qwen_svg.common.errors import UserError
from qwen_svg.common.processes import is_main, processes, sharding

OUTPUTS = Path("outputs")
COMPLETE = "complete.json"  # written last into a checkpoint: its files with their SHA-256
PACKAGES = ("torch", "transformers", "peft", "accelerate", "wandb", "resvg-py")


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
            f"`--resume --run-name {folder.name}`."
        )


def check_run_name(name: str, is_new: bool) -> None:
    """Raise UserError for a RUN_NAME that names no folder under outputs/, or, for a new run, one that is there."""
    if "/" in name or name in (".", ".."):
        raise UserError(f"RUN_NAME must be the name of a folder under outputs/, not {name!r}.")
    if name and is_new:
        refuse_existing(OUTPUTS / name)


def constants_to_resume(script: str, name: str, config: str = "config.yml") -> SimpleNamespace:
    """Return the constants of the run to go on with, with what the command line changes. config: in its folder."""
    folder = find_run_folder(name)
    c = constants_in_force(script, base_config=folder / config)
    c.RUN_NAME, c.RESUME = folder.name, True
    return c


def find_run_folder(name: str) -> Path:
    """Return outputs/<name>, or the run touched last when the name is empty."""
    if name:
        folder = OUTPUTS / name
    else:
        runs = sorted(OUTPUTS.glob("*/config.yml"), key=lambda path: path.stat().st_mtime)
        folder = runs[-1].parent if runs else OUTPUTS / "(none)"
    if not (folder / "config.yml").is_file():
        raise UserError(f"there is no run to resume in {folder}; name one with `--run-name`.")
    return folder


def open_run(run_dir: str) -> tuple[Path, dict]:
    """Return a trained run's folder and its constants (lower case). run_dir: "" = the run touched last."""
    import yaml

    folder = Path(run_dir) if run_dir else find_run_folder("")
    if not (folder / "config.yml").is_file():
        raise UserError(f"{folder} is not the folder of a run (no config.yml); give one with `--run-dir`.")
    require_adapter(folder)
    return folder, yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))


def require_adapter(run: Path) -> None:
    """Raise UserError where the run's training has not left its adapter."""
    if not (run / "adapter_model.safetensors").is_file():
        of_reinforce = [f"-m reinforce.train_{name}" for name in ("grpo", "dpo") if (run / f"{name}.yml").is_file()]
        (script,) = of_reinforce or ["train.py"]
        raise UserError(
            f"{run} has no adapter yet: its training has not ended; go on with "
            f"`python {script} --resume --run-name {run.name}`."
        )


def find_model(model: str) -> str:
    """Return what the Predictor takes: MODEL, the folder of the run of that name, or of the newest run."""
    if model:
        path = Path(model).expanduser()
        if not path.exists() and (OUTPUTS / model / "config.yml").is_file():
            return str(OUTPUTS / model)
        if not path.exists() and (path.suffix == ".gguf" or model.count("/") != 1 or model[0] in "./~"):
            raise UserError(f"MODEL {model} does not exist; give a folder, a .gguf file or a hub id with `--model`.")
        return str(path)
    runs = sorted(OUTPUTS.glob("*/adapter_model.safetensors"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise UserError(f"{OUTPUTS}/ holds no trained run to draw with; train one, or give a model with `--model`.")
    return str(runs[-1].parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON through a temporary file: a full disk or a kill never leaves half of it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); is {path.parent} the folder of a run?") from None


def append_jsonl(path: Path, record: dict) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_jsonl(path: Path) -> list[dict]:
    """Read what `append_jsonl` wrote; a last line that a kill or a full disk has cut is left out."""
    *lines, _cut = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines]


def forget_after(run: Path, step: int) -> None:
    """Take out of metrics.jsonl what was logged behind the checkpoint that training goes on from."""
    path = run / "metrics.jsonl"
    kept = [record for record in read_jsonl(path) if record["step"] <= step]
    temporary = path.with_name(path.name + ".part")
    temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    temporary.replace(path)


def environment(device: Any, dtype: Any, data_path: str, data_sha256: str) -> dict:
    """What the numbers of a run depend on besides its constants: versions, device, code, data."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": _device_name(device),
        "dtype": str(dtype).removeprefix("torch."),
        "launch": {"processes": processes(), "sharding": sharding()},
        "git_commit": _git_commit(),
        "data": {"path": str(data_path), "sha256": data_sha256},
    }


def refuse_other_data(run: Path, data_path: str, data_sha256: str, way_out: str) -> None:
    """Raise UserError, ending in `way_out`, when the samples are not the ones the run was trained on."""
    if read_json(run / "environment.json")["data"]["sha256"] != data_sha256:
        raise UserError(
            f"the samples in {data_path} are not the ones {run} was trained on (environment.json holds their "
            f"fingerprint){way_out}"
        )


def samples_of(run: Path, part: str, data_path: str) -> list[Sample]:
    """Return the samples of one part of the run's split, "train", "valid" or "test", in the order of split.json.

    Raises what `all_samples` does.
    """
    ids = read_json(run / "split.json")[part]
    of_part = set(ids)
    found = {sample.id: sample for sample in all_samples(run, data_path) if sample.id in of_part}
    return [found[id] for id in ids]


def kin_of_held_out(run: Path, samples: Iterable[Sample], data_path: str) -> set[Sample]:
    """Return those of other samples that the split would have put beside one of the run's validation or test split.

    Raises what `all_samples` does.
    """
    split = read_json(run / "split.json")
    held_ids, asked = {*split["valid"], *split["test"]}, set(samples)
    known = [SampleKey.of(sample) for sample in all_samples(run, data_path)]
    held_out = {key for key in known if key.id in held_ids}
    related = [family for family in families_of([*known, *asked]) if not held_out.isdisjoint(family)]
    return asked & {member for family in related for member in family}


def all_samples(run: Path, data_path: str) -> Iterator[Sample]:
    """Yield the samples of the run's data file, also those that it did not use.

    Raises UserError, behind the last one, where they are not what the run was trained on: then its split means nothing.
    """
    split = read_json(run / "split.json")
    wanted, used = {id for part in ("train", "valid", "test") for id in split[part]}, []
    for sample in stream_samples(ReadResult(Path(data_path))):
        if sample.id in wanted:
            used.append(SampleKey.of(sample))
        yield sample
    refuse_other_data(
        run,
        data_path,
        fingerprint(used),
        ", so its test split may hold samples the model has seen; restore the file, or give its place with "
        "`--data-path`.",
    )


def mark_complete(checkpoint: Path) -> None:
    """Declare a checkpoint whole. Called after everything else in it has been written."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != COMPLETE)
    write_json(checkpoint / COMPLETE, {str(path.relative_to(checkpoint)): _sha256(path) for path in files})


def checkpoint_to_resume(run: Path) -> Path:
    """Return the newest checkpoint that is whole; names newer ones that are not, and forgets what was logged behind it.

    Raises UserError when there is none.
    """
    checkpoint, warnings = newest_complete_checkpoint(run)
    for warning in warnings:
        print(f"warning: {warning}")
    if is_main():
        forget_after(run, int(checkpoint.name.rpartition("-")[2]))
    print(f"resuming from {checkpoint}")
    return checkpoint


def newest_complete_checkpoint(run: Path) -> tuple[Path, list[str]]:
    """Return the newest checkpoint that is whole, and a warning for each newer one that is not.

    Raises UserError when there is none.
    """
    numbered = [path for path in run.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    warnings = []
    for checkpoint in sorted(numbered, key=lambda path: -int(path.name.rpartition("-")[2])):
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
        if _sha256(path) != digest:
            return f"{name} is damaged (its content is not what was saved)"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"


def _git_commit() -> str | None:
    here = Path(__file__).parent
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
