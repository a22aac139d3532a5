"""How does the cost grow with the data and with its length?

    python -m benchmarks.growth [--json] [--data FILE] [--tokenizer BASE]

Data: FILE's samples over again under new names, 100 to 100,000 of them, through train.py's own reading, checking,
tokenising and splitting, then 100 batches through its sampler and collator. Length: training steps of four rows of 256
to 1560 tokens on SmolLM2-135M, rank 64. Each case runs in a process of its own; memory is its peak above what it takes
before.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.environment import configure_environment

configure_environment()  # which torch reads when it is imported

import train
from benchmarks.measure import peak_bytes, report, seconds
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.device import pick_device, pick_dtype
from qwen_svg.model.load import load_base
from qwen_svg.model.loss import summed_loss
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.sampler import LengthGroupedSampler

SMOLLM = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
SIZES, LENGTHS, BATCHES, ROWS, STEPS = (100, 1_000, 10_000, 100_000), (256, 512, 1024, 1560), 100, 4, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/twemoji.jsonl")
    parser.add_argument("--tokenizer", default=SMOLLM)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, value = arguments.one
        result = data_case(value, arguments.tokenizer) if kind == "data" else length_case(int(value))
        print(json.dumps(result))
        return
    figures: dict = {"data": [], "length": []}
    print(f"{'samples':>8}{'prepared in':>13}{'a sample':>11}{'100 batches':>13}{'memory':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = repeat(Path(arguments.data), size, Path(folder) / f"{size}.jsonl")
            f = child("data", str(path), "--tokenizer", arguments.tokenizer) | {"samples": size}
            figures["data"].append(f)
            path.unlink()
            print(
                f"{size:>8,}{f['seconds']:>11.1f} s{f['seconds'] / size * 1e3:>8.2f} ms{f['batches_seconds']:>11.2f} s"
                f"{f['bytes'] / 1e6:>7.0f} MB"
            )
    print(f"{'length':>8}{'tokens/s':>13}{'memory':>11}")
    for length in LENGTHS:
        f = child("length", str(length)) | {"length": length}
        figures["length"].append(f)
        print(f"{length:>8}{f['tokens_per_second']:>13.0f}{f['bytes'] / 1e9:>8.2f} GB")
    report(figures)


def child(kind: str, value: str, *more: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.growth", "--one", kind, value, *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def repeat(source: Path, size: int, target: Path) -> Path:
    """Write `size` samples: those of `source` over again, with new ids and descriptions."""
    records = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    with target.open("w", encoding="utf-8") as file:
        for i in range(size):
            record = records[i % len(records)]
            changed = {"id": str(i), "description": f"{record['description']} number {i}"}
            file.write(json.dumps({"svg_content": record["svg_content"], **changed}) + "\n")
    return target


def data_case(path: str, tokenizer_name: str) -> dict:
    c = SimpleNamespace(**{name: value for name, value in vars(train).items() if name.isupper()})
    c.DATA_PATH = [path]
    tokenizer = load_tokenizer(tokenizer_name)
    before = peak_bytes()
    start = time.perf_counter()
    data = train.prepare_data(c, tokenizer)
    prepared = time.perf_counter() - start
    rows, collator = data.parts["train"], LeftPaddingCollator(tokenizer.pad_token_id)
    start = time.perf_counter()
    order = list(LengthGroupedSampler(rows.lengths, ROWS, 0))
    for i in range(0, min(BATCHES * ROWS, len(order)), ROWS):
        collator([rows[j] for j in order[i : i + ROWS]])
    return {
        "seconds": prepared,
        "batches_seconds": time.perf_counter() - start,
        "bytes": peak_bytes() - before,
    }


def length_case(length: int) -> dict:
    device = pick_device()
    before = peak_bytes()
    model = add_adapter(load_base(SMOLLM, device, pick_dtype(device, fp16=True)), 64, 128, 0.0).train()
    rows = [Encoded(str(i), [5] * (length // 2), [6] * (length - length // 2)) for i in range(ROWS)]
    batch = {name: tensor.to(device) for name, tensor in LeftPaddingCollator(0)(rows).items()}

    def step() -> None:
        (summed_loss(model, **batch) / len(batch["shift_labels"])).backward()

    step()
    best = min(seconds(step) for _ in range(STEPS))
    return {"tokens_per_second": ROWS * length / best, "bytes": peak_bytes() - before}


if __name__ == "__main__":
    main()
