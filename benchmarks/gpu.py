"""Half an hour on a GPU: is it right there, and how fast?

    make peers                                  # once, for `beside`: an environment for TRL and one for Unsloth
    python -m benchmarks.gpu [--json] [--data FILE] [--tokenizer BASE] [--work outputs/gpu] [STEP …]
    python -m benchmarks.gpu --small            # all steps but `memory`, on any machine: a tiny base, its own data

The steps, in this order where none is named; when `correct` fails, the rest would mean nothing and is left out:

    correct     loss and gradients in fp32 and fp16, against fp32 on the CPU
    train       train.py for an epoch, and gone on with from its first checkpoint
    beside      tokens a second and peak memory beside the stock Trainer, TRL and Unsloth
    profile     a step's kernels, and how long the GPU is busy
    memory      the memory estimate beside the peak; on a GPU only
    attention   cuDNN's attention, which is switched off: what it takes, and whether it still gives NaN
    decode      drawing with 1, 8 and 32 slots: greedy, sampled, constrained; beside `generate`
    prefer      DPO, on rows of the lengths that cuDNN's attention broke; after `train`
    reinforce   GRPO; after `train`

The base is Qwen2.5-1.5B's shape with random weights and TOKENIZER.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qwen_svg.common.environment import configure_environment

configure_environment()  # which torch reads when it is imported

import torch

from benchmarks.gpu_bench import Bench, open_bench
from benchmarks.gpu_decoding import attention, decode
from benchmarks.gpu_scripts import beside, prefer, reinforce, train
from benchmarks.gpu_training import correct, memory, profiled
from benchmarks.measure import report
from qwen_svg.model.device import pick_device

STEPS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "correct": correct,
    "train": train,
    "beside": beside,
    "profile": profiled,
    "memory": memory,
    "attention": attention,
    "decode": decode,
    "prefer": prefer,
    "reinforce": reinforce,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--data", default="data/svg_results.jsonl")
    parser.add_argument("--tokenizer", default="Qwen/Qwen2.5-1.5B-Instruct")
    parser.add_argument("--work", type=Path, default=Path("outputs/gpu"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.steps) - set(STEPS):
        parser.error(f"there is no step {', '.join(sorted(unknown))}; the steps are {', '.join(STEPS)}")
    device = pick_device()
    if device.type != "cuda" and not arguments.small:
        raise SystemExit("error: here is no GPU; `--small` tries the steps out on a CPU.")
    bench = open_bench(device, arguments.small, arguments.work, arguments.data, arguments.tokenizer)
    card = torch.cuda.get_device_name() if device.type == "cuda" else "a CPU"
    figures: dict[str, Any] = {"card": card, "torch": torch.__version__}
    print(f"{card}, torch {torch.__version__}")
    for name in arguments.steps or STEPS:
        print(f"\n--- {name}", flush=True)
        figures[name] = STEPS[name](bench)
        if name == "correct" and not figures[name]["passed"]:
            print("what is computed here is not right; the other steps are left out")
            break
    report(figures)


if __name__ == "__main__":
    main()
