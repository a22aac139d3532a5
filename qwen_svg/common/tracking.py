"""Weights & Biases: online when the user is logged in, offline otherwise, decided before the first init.

Deciding first matters: an init that fails online blocks for a minute and a half, and the offline init after it
fails too (wandb/wandb#8003, #9865).
"""

import netrc
import os
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

import wandb

from qwen_svg.common.environment import asked_wandb_mode
from qwen_svg.common.hub import answers


def wandb_mode() -> str:
    """Return "online", "offline" or "disabled": WANDB_MODE if it is set, else by login and network."""
    if asked := asked_wandb_mode():
        return asked
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
    host, port = server.hostname or "", server.port or (80 if server.scheme == "http" else 443)
    if not (os.environ.get("WANDB_API_KEY") or _in_netrc(host)):
        return "offline"
    return "online" if answers(host, port) else "offline"


def start_run(project: str, run_folder: Path, job_type: str, config: dict) -> Any:
    """Start a wandb run in `run_folder`/wandb; training and testing of one run share its group."""
    os.environ.setdefault("WANDB_SILENT", "true")
    # Tables wait here to be sent; the default is the home folder, where a run that is copied elsewhere leaves them.
    os.environ.setdefault("WANDB_DATA_DIR", str((run_folder / "wandb" / "data").absolute()))
    (run_folder / "wandb" / "data").mkdir(parents=True, exist_ok=True)
    return wandb.init(
        project=project,
        name=f"{run_folder.name}-{job_type}",
        group=run_folder.name,
        job_type=job_type,
        config=config,
        dir=str(run_folder),
        mode=wandb_mode(),
        settings=wandb.Settings(console="off"),
    )


def log_data(run: Any, data: Any) -> None:
    """Send a training's data to wandb: a histogram of lengths, counts, the fingerprint. data: a TrainingData."""
    lengths = [length for part in data.parts.values() for length in part.lengths]
    run.log({"data/tokens_per_sample": wandb.Histogram(lengths)}, step=0)
    run.summary.update({f"data/{name}_samples": len(part) for name, part in data.parts.items()})
    run.summary.update({"data/sha256": data.fingerprint, "data/dropped": len(data.ids["dropped"])})


def finish_run(run: Any) -> str:
    """Close the run and return one line that says where it can be seen, or how to send it there later."""
    offline, folder, url = run.settings.mode == "offline", Path(run.dir).parent, run.url
    run.finish()
    if offline:
        return f"wandb: kept offline; to send it later: wandb sync {quote(os.path.relpath(folder))}"
    return f"wandb: {url}" if url else "wandb: disabled"


def _in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
