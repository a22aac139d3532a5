"""train.py in two processes under FSDP2, without a GPU: python -m tests.fsdp_on_cpu STORE STOP_BEFORE CONSTANTS…

accelerate divides models among GPUs only, so it is told that these two are some; PyTorch's FSDP2 runs on a CPU too. In
process 1 a SIGTERM arrives after STOP_BEFORE steps. STORE: a file that does not exist yet, for the processes to meet.
"""

import os
import signal
import sys

import torch
import transformers  # noqa: F401 - imported before the fork, once for both
from accelerate.state import PartialState
from accelerate.utils import DistributedType

import common.trainer
import train
from common.errors import run


def main() -> None:
    store, stop_before, *sys.argv[1:] = sys.argv[1:]
    rank = 0 if os.fork() else 1
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", ACCELERATE_TORCH_DEVICE="cpu")
    os.environ.update(ACCELERATE_USE_FSDP="true", FSDP_VERSION="2", FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP")
    os.environ.update(FSDP_CPU_RAM_EFFICIENT_LOADING="true", FSDP_STATE_DICT_TYPE="SHARDED_STATE_DICT")
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    train.check_launch = lambda: None  # it would refuse

    def on_step_begin(self, args, state, control, model, **_) -> None:
        if state.global_step == int(stop_before):
            own = sum(p.to_local().numel() for p in model.parameters())
            print(f"{own} of {sum(p.numel() for p in model.parameters())} parameters are here")
            if rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    common.trainer.SafeStop.on_step_begin = on_step_begin
    run(train.main)


if __name__ == "__main__":
    main()
