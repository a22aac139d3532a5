"""The output layer and its loss alone, forward and backward: ours beside the library's full logits.

    python -m benchmarks.loss_head [--json]

The case: 384 positions of which half predict a label, Qwen2.5-1.5B's HIDDEN size and VOCABULARY, frozen fp32
output layer, one thread; each contender in a process of its own, its peak memory above what it started with.
On a GPU (when there is one): 12,480 positions, all with a label, fp16.
"""

import json
import subprocess
import sys
import time

from benchmarks.measure import peak_bytes, report
from qwen_svg.model.loss import _FrozenHeadLoss

CONTENDERS = {
    "transformers: logits of all positions": "full",
    "logits where labels are": "compact",
    "ours: blocks, gradient in the forward": "ours",
}
ROUNDS = 5
HIDDEN, VOCABULARY = 1536, 151_936


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--one":
        print(json.dumps(measure(sys.argv[2])))
        return
    rounds: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS):
        for name, kind in CONTENDERS.items():
            command = [sys.executable, "-m", "benchmarks.loss_head", "--one", kind]
            rounds[name].append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    figures = {}
    ours = rounds[list(CONTENDERS)[-1]]
    for name, results in rounds.items():
        middle = sorted(results, key=lambda result: result["seconds"])[ROUNDS // 2]
        ratios = sorted(result["seconds"] / own["seconds"] for result, own in zip(results, ours, strict=True))
        figures[name] = middle | {"ratio_to_ours": ratios[ROUNDS // 2]}
        print(
            f"{name:<40}{middle['seconds']:>8.3f} s {middle['megabytes']:>8.0f} MB  {ratios[ROUNDS // 2]:>5.2f}x ours"
        )
    losses = {round(results[0]["loss"], 4) for results in rounds.values()}
    print(f"loss: {losses}")
    report(figures)


def measure(kind: str) -> dict[str, float]:
    """One forward and backward of one contender, after a warm-up on a few rows."""
    import torch
    import torch.nn.functional as F

    cuda = torch.cuda.is_available()
    device, dtype = ("cuda", torch.float16) if cuda else ("cpu", torch.float32)
    torch.set_num_threads(1)
    positions, labelled = (12_480, 12_480) if cuda else (384, 192)
    torch.manual_seed(0)
    weight = torch.randn(VOCABULARY, HIDDEN).mul_(0.02).to(device, dtype)  # in place: no peak before the measured one
    hidden = torch.randn(positions, HIDDEN).to(device, dtype)
    labels = torch.randint(0, VOCABULARY, (positions,), device=device)
    labels[: positions - labelled] = -100

    def run(hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        keep = labels != -100
        if kind == "ours":
            return _FrozenHeadLoss.apply(hidden[keep], weight, labels[keep])[0] / keep.sum()
        if kind == "compact":
            hidden, labels = hidden[keep], labels[keep]
        return F.cross_entropy((hidden @ weight.T).float(), labels)

    run(hidden[-4:].clone().requires_grad_(), labels[-4:]).backward()
    hidden.requires_grad_()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    before = peak_bytes()
    start = time.perf_counter()
    loss = run(hidden, labels)
    loss.backward()
    if cuda:
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - start
    return {"seconds": elapsed, "megabytes": (peak_bytes() - before) / 1e6, "loss": loss.item()}


if __name__ == "__main__":
    main()
