"""A training step on a GPU, for benchmarks.gpu: is it right, what does it launch, and what does it hold?"""

from types import SimpleNamespace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_bench import Bench
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.load import load_config
from qwen_svg.model.loss import summed_loss
from qwen_svg.training.memory import GIB, estimate

SCALE = 65_536.0  # of the loss in fp16, as GradScaler begins
# Largest errors that pass: of the loss, in nats, and of the gradient, relative. On a CPU fp16 gave 0.002 and 5e-3.
LIMITS = {torch.float32: (1e-4, 1e-4), torch.float16: (5e-3, 2e-2)}


def correct(bench: Bench) -> dict[str, Any]:
    """Loss and gradient on the device against those in fp32 on the CPU, with padding, without, and of one row."""
    rows, found = bench.rows(), {}
    cases = {
        "different lengths": [rows[0], rows[len(rows) // 3], rows[-1]],
        "one row": [rows[5]],
        "same length": [rows[7]] * 2,
        "64 mod 128": [row for row in rows if row.length % 128 == 64][:2],  # where cuDNN's attention gave NaN
    }
    batches = {name: LeftPaddingCollator(0)(members) for name, members in cases.items() if members}
    reference = bench.adapted(torch.device("cpu"), torch.float32)
    expected = {name: loss_and_gradient(reference, batch) for name, batch in batches.items()}
    del reference
    for dtype, limits in LIMITS.items():
        model = bench.adapted(bench.device, dtype)
        for name, batch in batches.items():
            loss, gradient = loss_and_gradient(model, batch, SCALE if dtype == bench.half else 1.0)
            errors = abs(loss - expected[name][0]), relative(gradient, expected[name][1])
            passed = all(error <= limit for error, limit in zip(errors, limits, strict=True))  # NaN is not
            print(f"{dtype} {name:<18} loss {loss:.5f}, off by {errors[0]:.1e}; gradient by {errors[1]:.1e}")
            found[f"{dtype}, {name}"] = {"loss_error": errors[0], "gradient_error": errors[1], "passed": passed}
    return found | {"passed": all(one["passed"] for one in found.values())}


def loss_and_gradient(model: Any, batch: dict, scale: float = 1.0) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
    loss = summed_loss(model, **on_device) / len(batch["shift_labels"])
    (loss * scale).backward()
    trained = [p.grad.double().flatten().cpu() / scale for p in model.parameters() if p.requires_grad]
    return loss.item(), torch.cat(trained)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def profiled(bench: Bench) -> dict[str, Any]:
    """One step of four rows under the profiler: its kernels, how long the GPU is busy, and the whole step."""
    model, rows = bench.adapted(bench.device, bench.half), bench.rows()
    batch = LeftPaddingCollator(0)(rows[len(rows) // 2 :][:4])
    step = training_step(model, batch)
    seconds = bench.seconds(step, 2 if bench.small else 10)
    on_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as found:
        step()
        bench.wait()
    kernels = [e for e in found.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(e.device_time for e in kernels) / 1e3
    sort = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=sort, row_limit=20, max_name_column_width=60))
    tokens = int(batch["attention_mask"].sum())
    print(f"{tokens} tokens: {1e3 * seconds:.1f} ms a step, {len(kernels)} kernels, the GPU busy for {busy:.1f} ms")
    return {"tokens": tokens, "step_ms": 1e3 * seconds, "kernels": len(kernels), "busy_ms": busy}


def training_step(model: Any, batch: dict) -> Any:
    """Return what trains on a batch once: as the Trainer does, the loss scaled and the gradient clipped."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, scaler = torch.optim.AdamW(trained, fused=True), torch.amp.GradScaler(model.device.type)

    def step() -> None:
        on_device = {name: tensor.to(model.device, non_blocking=True) for name, tensor in batch.items()}
        scaler.scale(summed_loss(model, **on_device) / len(batch["shift_labels"])).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    return step


def memory(bench: Bench) -> dict[str, Any]:
    """The estimate beside the peak of two steps. On a GPU only, whose allocator tells it."""
    if bench.device.type != "cuda":
        return {}
    c = SimpleNamespace(LOSS_ON="answer", BASE_QUANTIZATION="", OPTIMIZER="adamw")
    adapter, found = {"rank": 64, "alpha": 128, "dropout": 0.0}, {}
    for checkpointing in (False, True):
        model = bench.adapted(bench.device, bench.half)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        for size, width in ((1, 600), (4, 1100), (4, 1560), (16, 1560)):
            rows = [Encoded(str(i), [1] * 413, [2] * (width - 413 - 20 * i)) for i in range(size)]
            step = training_step(model, LeftPaddingCollator(0)(rows))
            torch.cuda.reset_peak_memory_stats()
            step()
            step()
            peak = torch.cuda.max_memory_allocated()
            shape = load_config(bench.base), c, adapter, rows, bench.device, bench.half, checkpointing
            ratio = estimate(*shape).total / peak
            case = f"{size} x {width}, checkpointing {'on' if checkpointing else 'off'}"
            print(f"{case}: the peak is {peak / GIB:.2f} GiB, and the estimate {ratio:.2f} of it")
            found[case] = {"peak_gib": peak / GIB, "estimate": ratio}
            del step
        del model
        torch.cuda.empty_cache()
    return found
