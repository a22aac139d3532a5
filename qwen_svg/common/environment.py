"""What the libraries are told before they are imported: to be quiet about what is no news, and to use large pages."""

import logging
import os
import sys
import warnings

from qwen_svg.common.errors import UserError

SPINS = "30000"  # of a thread that waits for others; 10,000 and 100,000 are slower
WANDB_MODES = ("online", "offline", "disabled")


def configure_environment() -> None:
    """Called by `constants.start`, before the first heavy import of a script. Errors and our own lines still show."""
    # torch puts CPU tensors of 2 MB and more on large pages: measured, 13 % less memory at the same speed.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # On a GPU: batches of all lengths leave gaps in torch's memory, which pieces that can grow close. The old names of
    # the variable go before the new one, so whoever has set either is obeyed.
    if os.environ.keys().isdisjoint({"PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF"}):
        os.environ["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
    # oneDNN, and torch's layer above it, keep 1,024 kernels each, of all shapes they ever met: 10 MB for each new
    # length of a batch. A step meets about 30, and with room for 64 no time was lost.
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(cache, "128")
    # Threads that have done their part of a product spin until the others have: by GNU's OpenMP, torch's on Linux,
    # 300,000 times; `model/spinning.py` says why fewer, and when hardly any. OMP_WAIT_POLICY is obeyed.
    if os.environ.keys().isdisjoint({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}):
        os.environ["GOMP_SPINCOUNT"] = SPINS
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a warning at every fork of a data worker
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would tell the hub of every run
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):  # seconds without a byte from the hub
        os.environ.setdefault(name, "10")
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses kernels that training does not use
    if not sys.stderr.isatty():  # bars are for people; a log file would hold each of their states
        os.environ.setdefault("TQDM_DISABLE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def asked_wandb_mode() -> str:
    """Return what WANDB_MODE says, "" where it is not set. Raises UserError for a word that wandb does not know."""
    asked = os.environ.get("WANDB_MODE", "").lower()
    if asked and asked not in WANDB_MODES:
        raise UserError(f"WANDB_MODE is {asked!r}; it may be {', '.join(WANDB_MODES)}, or not set.")
    return asked
