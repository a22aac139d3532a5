"""How right is the memory estimate? Estimated against measured peak of one training step, AdamW included.

    python -m benchmarks.memory_estimate [--json] BASE_MODEL

Each case runs in a process of its own; measured is its peak above what the libraries take before the model is loaded.
"""

import json
import resource
import subprocess
import sys
from types import SimpleNamespace

from benchmarks.measure import report

CASES = [
    (rows, width, checkpointing) for rows, width in ((1, 1024), (2, 800), (4, 512)) for checkpointing in (False, True)
]


def main() -> None:
    base = next(a for a in sys.argv[1:] if not a.startswith("-"))
    if "--one" in sys.argv:
        print(json.dumps(measure(base, *json.loads(sys.argv[-1]))))
        return
    figures = []
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.memory_estimate", base, "--one", json.dumps(case)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        figures.append(dict(zip(("rows", "width", "checkpointing"), case, strict=True)) | result)
        error = result["estimated"] / result["measured"] - 1
        print(
            f"{case[0]} rows × {case[1]:>4}, checkpointing {'on ' if case[2] else 'off'}: estimated "
            f"{result['estimated']:.2f} GiB, measured {result['measured']:.2f} GiB ({error:+.0%})"
        )
    report({"cases": figures})


def measure(base: str, rows: int, width: int, checkpointing: bool) -> dict[str, float]:
    import torch

    from common.loss import training_loss
    from common.memory import GIB, estimate
    from common.model import add_adapter, load_base, load_config, pick_device, pick_dtype
    from common.tokens import Encoded, LeftPaddingCollator

    device = pick_device()
    dtype = pick_dtype(device, fp16=True)
    c = SimpleNamespace(LORA_RANK=64, LORA_ALPHA=128, LORA_DROPOUT=0.0, LOSS_ON="answer")
    encoded = [Encoded(str(i), [5] * (width // 2), [6] * (width - width // 2)) for i in range(rows)]
    needed = estimate(load_config(base), c, encoded, dtype)
    needed = needed.with_checkpointing() if checkpointing else needed
    before = _peak(device)
    model = add_adapter(load_base(base, device, dtype), 64, 128, 0.0).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    batch = {name: tensor.to(device) for name, tensor in LeftPaddingCollator(0)(encoded).items()}
    for _ in range(2):
        training_loss(model, batch, len(batch["shift_labels"])).backward()
        optimizer.step()
    return {"estimated": needed.total / GIB, "measured": (_peak(device) - before) / GIB}


def _peak(device) -> int:
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
