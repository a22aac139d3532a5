"""One process or several of them (`torchrun`, `accelerate launch`): which one is this, and what they agree upon.

The launchers tell each process its number in its environment, so nothing heavy need be imported to know it.
"""

import os
import sys
from typing import Any


def rank() -> int:
    """The number of this process among all those of the launch, on all machines; 0 where there is only one."""
    return int(os.environ.get("RANK", 0))


def processes() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the one process that prints, logs and writes files."""
    return rank() == 0


def sharding() -> str:
    """What accelerate's configuration asks for: "FSDP", "DeepSpeed", or "" where each process has the whole model."""
    for name in ("FSDP", "DeepSpeed"):
        if os.environ.get(f"ACCELERATE_USE_{name.upper()}", "").lower() == "true":
            return name
    return ""


def quiet_unless_main() -> None:
    """Let only the main process print and show progress bars. What goes wrong in the others still shows."""
    if not is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
        sys.stderr.isatty = lambda: False  # type: ignore[method-assign] - what tqdm and transformers ask


def init_distributed(device: Any) -> None:
    """Connect the processes of the launch; returns when all have come. Called once, before anything is written."""
    if processes() > 1:
        from accelerate import PartialState

        PartialState(cpu=device.type == "cpu")


def broadcast(value: Any) -> Any:
    """Return the main process's `value` in all of them."""
    if processes() == 1:
        return value
    import torch

    told = [value]
    torch.distributed.broadcast_object_list(told, src=0)
    return told[0]
