"""How right is the memory estimate? Estimated against measured peak of one training step, AdamW included.

    python -m benchmarks.memory_estimate [--json] [BASE_MODEL…]

Each case runs in a process of its own; measured is its peak above what the libraries take before the model is loaded.
Without a base: SmolLM2-135M from models/, and the shape of Qwen2.5-0.5B with random weights.
"""

import json
import subprocess
import sys
import tempfile
from types import SimpleNamespace

from qwen_svg.common.environment import configure_environment

configure_environment()  # which torch reads when it is imported

from benchmarks.measure import peak_bytes, report
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.device import pick_device, pick_dtype
from qwen_svg.model.load import load_base, load_config
from qwen_svg.model.loss import summed_loss
from qwen_svg.training.memory import GIB, estimate

SMOLLM = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
CASES = [
    (rows, width, checkpointing) for rows, width in ((1, 1024), (2, 700), (4, 512)) for checkpointing in (False, True)
]


def main() -> None:
    if "--one" in sys.argv:
        base, *case = json.loads(sys.argv[-1])
        print(json.dumps(measure(base, *case)))
        return
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for base in [a for a in sys.argv[1:] if not a.startswith("-")] or [SMOLLM, qwen_05b(folder)]:
            print(base)
            for case in CASES:
                command = [sys.executable, "-m", "benchmarks.memory_estimate", "--one", json.dumps([base, *case])]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                result = json.loads(done.stdout.splitlines()[-1])
                figures.append(
                    {"base": base} | dict(zip(("rows", "width", "checkpointing"), case, strict=True)) | result
                )
                error = result["estimated"] / result["measured"] - 1
                print(
                    f"  {case[0]} rows × {case[1]:>4}, checkpointing {'on ' if case[2] else 'off'}: estimated "
                    f"{result['estimated']:.2f} GiB, measured {result['measured']:.2f} GiB ({error:+.0%})"
                )
    report({"cases": figures})


def qwen_05b(folder: str) -> str:
    """Write a model of Qwen2.5-0.5B's shape with random weights; memory does not depend on their values."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def measure(base: str, rows: int, width: int, checkpointing: bool) -> dict[str, float]:
    import torch

    device = pick_device()
    dtype = pick_dtype(device, fp16=True)
    c = SimpleNamespace(BASE_QUANTIZATION="", OPTIMIZER="adamw", LOSS_ON="answer")
    adapter = {"rank": 64, "alpha": 128, "dropout": 0.0}
    encoded = [Encoded(str(i), [5] * (width // 2), [6] * (width - width // 2)) for i in range(rows)]
    needed = estimate(load_config(base), c, adapter, encoded, device, dtype, checkpointing)
    before = peak_bytes()
    model = add_adapter(load_base(base, device, dtype), **adapter).train()
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=True)
    batch = {name: tensor.to(device) for name, tensor in LeftPaddingCollator(0)(encoded).items()}
    for _ in range(2):
        (summed_loss(model, **batch) / len(batch["shift_labels"])).backward()
        optimizer.step()
    return {"estimated": needed.total / GIB, "measured": (peak_bytes() - before) / GIB}


if __name__ == "__main__":
    main()
