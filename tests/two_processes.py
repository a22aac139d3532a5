"""train.py in two processes, several times: python -m tests.two_processes JOBS

JOBS: JSON, a list of [sharding, signal, step, constants…]; the signal reaches process 1 when the step begins. What a
launcher does, with one import of the libraries for both processes.

accelerate divides models among GPUs only, so for FSDP it is told that these two are some; PyTorch's FSDP2 runs on a CPU
too.
"""

import json
import os
import signal
import sys
import tempfile

import torch
import transformers  # noqa: F401 - before the fork: once for both
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

import qwen_svg.training.callbacks
import train
from qwen_svg.common.errors import run
from qwen_svg.common.processes import quiet_unless_main
from tests.scripts import run_main


def main() -> None:
    store = tempfile.mktemp()
    rank = 0 if os.fork() else 1
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(ACCELERATE_TORCH_DEVICE="cpu", FSDP_VERSION="2", FSDP_AUTO_WRAP_POLICY="TRANSFORMER_BASED_WRAP")
    os.environ.update(FSDP_CPU_RAM_EFFICIENT_LOADING="true", FSDP_STATE_DICT_TYPE="SHARDED_STATE_DICT")
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    choose, train.check_machine = PartialState._prepare_backend, lambda c: None  # which would refuse FSDP
    for sharding, name, step, *constants in json.loads(sys.argv[1]):
        os.environ["ACCELERATE_USE_FSDP"] = "true" if sharding else "false"
        PartialState._prepare_backend = (lambda *_: ("gloo", DistributedType.MULTI_GPU)) if sharding else choose
        AcceleratorState._reset_state(reset_partial_state=True)

        def on_step_begin(self, args, state, control, model, number=signal.Signals[name], step=step, **_) -> None:
            if state.global_step == step - 1:
                own = sum(getattr(p, "to_local", lambda p=p: p)().numel() for p in model.parameters())
                print(f"{own} of {sum(p.numel() for p in model.parameters())} parameters are here")
                if rank == 1:
                    os.kill(os.getpid(), number)

        qwen_svg.training.callbacks.SafeStop.on_step_begin = on_step_begin
        quiet_unless_main()
        try:
            run(lambda _, constants=constants: run_main(train, *constants), None)
        except SystemExit as end:
            print(f"exit code {end.code}", flush=True)


if __name__ == "__main__":
    main()
