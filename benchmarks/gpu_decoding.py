"""Drawing on a GPU, for benchmarks.gpu: a step of decoding by slots, and what attention's kernels take for it."""

from itertools import islice
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.gpu_bench import Bench
from qwen_svg.generation.engine import Engine, rows_for
from qwen_svg.model.attention import ROWS_SDPA
from qwen_svg.model.load import load_base
from qwen_svg.model.tokenizer import load_tokenizer

SLOTS = (1, 8, 32)
KINDS = {"greedy": (0.0, False), "sampled": (0.7, False), "constrained": (0.7, True)}  # temperature, grammar


def decode(bench: Bench) -> dict[str, Any]:
    """Tokens a second and ms a step of our decoder and of transformers' `generate`, at 1, 8 and 32 rows."""
    tokenizer = load_tokenizer(bench.base)
    model = load_base(bench.base, bench.device, bench.half if bench.device.type == "cuda" else torch.float32)
    prompts = ([row.prompt for row in bench.rows()] * SLOTS[-1])[: SLOTS[-1]]
    steps, found = 4 if bench.small else 96, {}
    for slots in SLOTS:
        for kind, (temperature, grammar) in KINDS.items():
            for _ in range(2):  # the first one compiles the grammar and warms the allocator
                spent = ours(bench, model, tokenizer, prompts[:slots], temperature, grammar, steps)
            found[f"ours, {kind}, {slots}"] = spent
        found[f"generate, greedy, {slots}"] = library(bench, model, tokenizer, prompts[:slots], steps)
    for name, spent in found.items():
        print(f"{name:<28}{spent['tokens_per_second']:>9.0f} tokens/s {spent['step_ms']:>8.2f} ms a step", flush=True)
    return found


def ours(
    bench: Bench, model: Any, tokenizer: Any, prompts: list, temperature: float, grammar: bool, steps: int
) -> dict:
    """So many steps, after all prompts have been read."""
    engine = Engine(model, tokenizer, len(prompts))
    rows = rows_for(prompts, 10_000, 2000, temperature, 0)
    if grammar:
        engine.constrain(rows)
    running = engine.run(rows)
    while not all(row.tokens for row in rows):
        next(running)
    bench.wait()
    start, before = perf_counter(), sum(len(row.tokens) for row in rows)
    taken = len(list(islice(running, steps)))  # fewer where all answers end: random weights do that seldom
    bench.wait()
    spent, made = perf_counter() - start, sum(len(row.tokens) for row in rows) - before
    return {"tokens_per_second": made / spent, "step_ms": 1e3 * spent / max(1, taken)}


@torch.no_grad()
def library(bench: Bench, model: Any, tokenizer: Any, prompts: list, steps: int) -> dict:
    """`generate`: the time of so many steps more, so that the prompts' reading falls out."""
    width, pad = max(map(len, prompts)), tokenizer.pad_token_id
    ids = [[pad] * (width - len(p)) + p for p in prompts]
    mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts]
    asked = {
        "input_ids": torch.tensor(ids, device=bench.device), "attention_mask": torch.tensor(mask, device=bench.device),
        "do_sample": False, "pad_token_id": pad,
    }  # fmt: skip
    model.set_attn_implementation("sdpa")

    def write(new: int) -> float:
        bench.wait()
        start = perf_counter()
        model.generate(**asked, min_new_tokens=new, max_new_tokens=new)
        bench.wait()
        return perf_counter() - start

    write(2)
    spent = write(2 + steps) - write(2)
    model.set_attn_implementation(ROWS_SDPA)
    return {"tokens_per_second": len(prompts) * steps / spent, "step_ms": 1e3 * spent / steps}


def attention(bench: Bench) -> dict[str, Any]:
    """Is it right to leave cuDNN's attention off? ms that each new length takes with it and without, and its NaN."""
    found, lengths = {}, range(64, 67) if bench.small else range(701, 711)
    for cudnn in (True, False):
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        times = []
        for length in lengths:
            query, key, value = inputs(bench, length, (12, 2, 2))
            bench.wait()
            start = perf_counter()
            F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True).sum().backward()
            bench.wait()
            times.append(1e3 * (perf_counter() - start))
        lost = not_finite(bench)
        print(f"cuDNN {cudnn}: {sorted(times)[len(times) // 2]:.2f} ms a new length, {lost} gradients not finite")
        found[f"cudnn {cudnn}"] = {"new_length_ms": sorted(times)[len(times) // 2], "not_finite": lost}
    return found  # it is off again


def inputs(bench: Bench, length: int, heads: tuple[int, int, int]) -> list[torch.Tensor]:
    half = bench.half if bench.device.type == "cuda" else torch.float32
    shapes = [(1, count, length, 128) for count in heads]
    return [torch.randn(shape, device=bench.device, dtype=half, requires_grad=True) for shape in shapes]


def not_finite(bench: Bench) -> int:
    """Return how many of a query's gradients are not finite, in the case of pytorch#196678."""
    length, size = 704, 64
    query, key, value = (x[..., :size].detach() for x in inputs(bench, length, (1, 1, 1)))
    query, key = 0.1 * query, 0.1 * key
    query[..., 0], key[..., 0] = 1.0, -120 * size**0.5
    mask = torch.ones(length, length, dtype=torch.bool, device=bench.device).tril()[None, None]
    F.scaled_dot_product_attention(query.requires_grad_(), key, value, attn_mask=mask).sum().backward()
    return int((~query.grad.isfinite()).sum())
