"""What would 1 to 64 GPUs take? Memory and step time of train.py by arithmetic; nothing is run, no GPU is needed.

    python -m benchmarks.scaling [--json]

A step is BATCH samples of LENGTH tokens on each GPU. Memory is qwen_svg/training/memory.py's estimate:
    DDP     weights + 16 A + 4 A (gradient buckets) + activations + logits          A: adapter parameters
    FSDP2   weights / N + ends + 2 blocks + 16 A / N + activations + logits         ends: embedding and head
    ZeRO-3  the same with up to 10⁹ parameters gathered at a time
Floating-point operations per token, forward and backward through a frozen base:
    blocks 4 P + 6 A; attention 7 T · heads · D per layer (causal, recomputed in the backward pass); head 4 V · H, where
    there is a label; activation checkpointing + 2 (P + A) + 2 T · heads · D                P: parameters of the blocks
    compute = operations / (USE × TFLOPS)
Bytes through each GPU's link in a step:
    DDP     2 (N - 1) / N · 4 A                         all-reduce of the adapter's fp32 gradients
    FSDP2, ZeRO-3   (N - 1) / N · (2 weights + 3 · 4 A)   all-gather forward and backward, reduce-scatter
    communication = bytes / (EFFICIENCY × link)
A step takes from compute (all communication goes on meanwhile) to compute + communication (none does). Latency is left
out, which is what a small model on many GPUs waits for most.
"""

from pathlib import Path

import torch
from transformers import Qwen2Config

from benchmarks.measure import report
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.tokens import Encoded
from qwen_svg.training.memory import GIB, HEADROOM, divided, estimate
from train import adapter_arguments

TRAIN = Path(__file__).resolve().parent.parent / "train.py"
# NVIDIA's data sheets: H200 SXM (memory, dense fp16, NVLink one way in bytes/s), DGX H200 (8 × 400 Gbit/s a machine).
GPU_GIB, TFLOPS, NVLINK, NETWORK = 141e9 / GIB, 989, 450e9, 8 * 50e9
USE, EFFICIENCY = 0.4, 0.8  # assumed shares of these that are reached; not measured
GPUS_A_MACHINE = 8
BATCH, PROMPT, ANSWER = 4, 460, 1100  # the longest samples of the default MAX_LENGTH
LENGTH = PROMPT + ANSWER

# Sizes from the models' config.json on the hub; LoRA rank; activation checkpointing.
BASES = {
    "Qwen2.5-1.5B": (dict(vocab_size=151_936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
                          num_attention_heads=12, num_key_value_heads=2, tie_word_embeddings=True), 64, False),
    "Qwen2.5-32B": (dict(vocab_size=152_064, hidden_size=5120, intermediate_size=27_648, num_hidden_layers=64,
                         num_attention_heads=40, num_key_value_heads=8, tie_word_embeddings=False), 128, True),
}  # fmt: skip


def main() -> None:
    figures = []
    for name, (sizes, rank, checkpointing) in BASES.items():
        print(f"\n{name}, rank {rank}, {BATCH} × {LENGTH} tokens on each GPU, ", end="")
        print(f"activation checkpointing {'on' if checkpointing else 'off'}")
        print("| GPUs | GiB, DDP | FSDP2 | ZeRO-3 | ms a step, DDP | FSDP2, ZeRO-3 | samples/s |\n" + "|---" * 7 + "|")
        for row in rows(Qwen2Config(**sizes), rank, checkpointing):
            figures.append({"base": name} | row)
            memory = " | ".join(f"{gib:.1f}{'' if gib <= HEADROOM * GPU_GIB else ' (too much)'}" for gib in row["gib"])
            steps = " | ".join(f"{1e3 * least:.0f} to {1e3 * most:.0f}" for least, most in row["seconds"])
            slowest, fastest = (row["gpus"] * BATCH / time for time in row["seconds"][1][::-1])
            print(f"| {row['gpus']} | {memory} | {steps} | {slowest:.3g} to {fastest:.3g} |")
    report({"rows": figures})


def rows(config: Qwen2Config, rank: int, checkpointing: bool) -> list[dict]:
    """For each number of GPUs: gib by DDP, FSDP2, ZeRO-3; seconds (least, most) by DDP and by the other two."""
    c = constants_in_force(TRAIN, ["--lora-rank", str(rank), "--batch-size", str(BATCH)])
    longest = [Encoded(str(i), [5] * PROMPT, [6] * ANSWER) for i in range(BATCH)]
    whole = estimate(config, c, adapter_arguments(c, {}), longest, torch.device("cuda"), torch.float16, checkpointing)
    adapter = whole.adapter // 16
    compute = operations(config, whole.weights // 2, adapter, checkpointing) / (USE * TFLOPS * 1e12)
    found = []
    for gpus in (1, 2, 4, 8, 16, 32, 64):
        link = NVLINK if gpus <= GPUS_A_MACHINE else min(NVLINK, NETWORK)
        parts = [divided(whole, config, torch.float16, by, gpus).total for by in ("FSDP", "DeepSpeed")]
        buckets = 4 * adapter if gpus > 1 else 0
        passed = (8 * adapter, 2 * whole.weights + 12 * adapter)
        seconds = [(compute, compute + size * (gpus - 1) / gpus / (EFFICIENCY * link)) for size in passed]
        found.append(
            {"gpus": gpus, "gib": [size / GIB for size in (whole.total + buckets, *parts)], "seconds": seconds}
        )
    return found


def operations(config: Qwen2Config, parameters: int, adapter: int, checkpointing: bool) -> float:
    """Floating-point operations of one forward and backward pass."""
    ends = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    blocks = parameters - ends
    attention = LENGTH * config.hidden_size * config.num_hidden_layers  # heads · D is the hidden size here
    per_token = 4 * blocks + 6 * adapter + 7 * attention
    if checkpointing:
        per_token += 2 * (blocks + adapter) + 2 * attention
    return BATCH * (LENGTH * per_token + ANSWER * 4 * config.vocab_size * config.hidden_size)


if __name__ == "__main__":
    main()
