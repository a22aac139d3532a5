"""How many kernels does a training step launch on a GPU, beside stock PEFT? Counted without one, see pretended_gpu.

    python -m benchmarks.kernels [--json] [--layers 28] [--names]

A step is forward, backward, clipping and fused AdamW over two rows of WIDTHS tokens whose second half are labels; the
base is Qwen2.5-1.5B's shape in fp16, the adapter fp32, rank 64 on all linear layers. Stock is PEFT around transformers'
model with its own loss, padded on the left, under autocast as its Trainer does it. Syncs and casts are ours.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.gpu_bench import QWEN_15B
from benchmarks.measure import report
from benchmarks.pretended_gpu import Kernels, pretended_gpu, without_values
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.attention import ROWS_SDPA
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.loss import summed_loss

WIDTHS, RANK = (1560, 1400), 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=QWEN_15B["num_hidden_layers"])
    parser.add_argument("--names", action="store_true", help="also print how often each operation is launched")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = Qwen2Config(**QWEN_15B | {"num_hidden_layers": arguments.layers})
    ours, stock = counted(config, our_model, our_loss), counted(config, stock_model, stock_loss)
    for name, found in (("train.py", ours), ("stock PEFT", stock)):
        print(f"{name}: {found.kernels:,} kernels a step, {found.casts:,} casts, {found.syncs} syncs")
        if arguments.names:
            print("  " + ", ".join(f"{name} {count:,}" for name, count in found.by_name.most_common()))
    report({"kernels": ours.kernels, "stock_kernels": stock.kernels, "syncs": ours.syncs, "casts": ours.casts})


def counted(config: Qwen2Config, build: Callable[[Qwen2Config], Any], loss: Callable[[Any, dict], Any]) -> Kernels:
    """Return the counts of one step, the second: AdamW's state is made in the first."""
    batch = LeftPaddingCollator(0)([Encoded(str(n), [5] * (n // 2), [6] * (n - n // 2)) for n in WIDTHS])
    with torch.device("meta"):
        model = build(config).train()
    with pretended_gpu():
        without_values(model)
        batch = {name: torch.empty_like(tensor) for name, tensor in batch.items()}
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, fused=True)
        for _ in range(2):
            with Kernels(len(batch["shift_labels"])) as found:
                loss(model, batch).backward()
                torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)  # the default for a GPU's tensors
                optimizer.step()
                optimizer.zero_grad()
    return found


def our_model(config: Qwen2Config) -> Any:
    return add_adapter(base(config, ROWS_SDPA), RANK, 2 * RANK, 0.0)


def our_loss(model: Any, batch: dict) -> torch.Tensor:
    return summed_loss(model, **batch) / len(batch["shift_labels"])


def stock_model(config: Qwen2Config) -> Any:
    return get_peft_model(base(config, "sdpa"), LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"))


def stock_loss(model: Any, batch: dict) -> torch.Tensor:
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    with torch.autocast("cuda", torch.float16):
        return model(**inputs).loss


def base(config: Qwen2Config, attention: str) -> Qwen2ForCausalLM:
    return Qwen2ForCausalLM._from_config(config, dtype=torch.float16, attn_implementation=attention)


if __name__ == "__main__":
    main()
