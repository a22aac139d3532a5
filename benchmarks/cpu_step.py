"""How fast is a LoRA step of train.py on this CPU, in the precision it chooses, and what does that gain over fp32?

    python -m benchmarks.cpu_step [--json] [--base models/SmolLM2-135M-Instruct.Q4_1.gguf] [--profile]
    ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.cpu_step     # what a CPU without AVX-512 and AMX would do

One thread, and its CPU time: what else runs hardly counts. A step is forward, backward, clipping and AdamW over two
rows of WIDTHS tokens whose second half are labels; rank 64. Where fp32 is chosen, nothing is compared.
"""

import argparse
import os
import time

import torch

from benchmarks.measure import report
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.device import CPU_DTYPES, pick_cpu_dtype
from qwen_svg.model.load import load_base, load_config
from qwen_svg.model.loss import summed_loss

WIDTHS = (220, 200)  # tokens
STEPS, RANK = 3, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--profile", action="store_true", help="also print where a step's time goes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dtype = CPU_DTYPES[pick_cpu_dtype("auto", load_config(arguments.base))[0]]
    speeds = {kind: speed(arguments.base, kind, arguments.profile) for kind in {dtype, torch.float32}}
    for kind, found in speeds.items():
        print(f"{str(kind).removeprefix('torch.')}: {found:.0f} tokens per CPU second")
    report(
        {
            "isa": isa(),
            "tokens_per_cpu_second": round(speeds[dtype], 1),
            "against_fp32": round(speeds[dtype] / speeds[torch.float32], 2),
        }
    )


def isa() -> str:
    """Return the widest instructions that products may use: of this CPU, or what ONEDNN_MAX_CPU_ISA leaves of them."""
    if told := os.environ.get("ONEDNN_MAX_CPU_ISA"):
        return told
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512_BF16" if torch.cpu._is_avx512_bf16_supported() else torch.backends.cpu.get_cpu_capability()


def speed(base: str, dtype: torch.dtype, profile: bool) -> float:
    """Return tokens per CPU second."""
    torch.manual_seed(0)
    model = add_adapter(load_base(base, torch.device("cpu"), dtype), RANK, 2 * RANK, 0.0).train()
    ids = model.get_input_embeddings().num_embeddings
    rows = [Encoded(str(n), *torch.randint(9, ids, (2, n // 2)).tolist()) for n in WIDTHS]
    batch = LeftPaddingCollator(0)(rows)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)

    def step() -> None:
        (summed_loss(model, **batch) / len(batch["shift_labels"])).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()  # the first one builds kernels
    start = time.process_time()
    for _ in range(STEPS):
        step()
    seconds = (time.process_time() - start) / STEPS
    if profile:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            step()
        print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=50))
    return sum(WIDTHS) / seconds


if __name__ == "__main__":
    main()
