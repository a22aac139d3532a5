"""How fast is a training step beside what a user would otherwise take? The stock Trainer script, TRL, Unsloth, ours.

    make peers                                       # once: an environment for each peer, .venv-trl and .venv-unsloth
    python -m benchmarks.training [--json] [--rounds 2] [--data FILE] [--tokenizer FOLDER] [--bases FILE.gguf …]

All train the same samples of FILE (four batches from its short to its long ones, so that grouping by length pads as
little as on the whole file), with the same LoRA on the same weights, in fp16 on a GPU and on a CPU in what it is faster
in, fp32 or bf16. Each runs in a process of its own, in turn, ROUNDS times; ratios are of the same round, and of CPU
seconds where there is no GPU: with OMP_NUM_THREADS=1 they hold on a busy machine too. Bases: SmolLM2-135M; with
--tokenizer (a folder with Qwen2.5's) a small random Qwen2 with the real vocabulary of 151,936; and the .gguf files
given with --bases.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.measure import report
from qwen_svg.common.dataset import read_samples
from qwen_svg.common.tokens import encode
from qwen_svg.model.device import pick_cpu_dtype
from qwen_svg.model.load import load_base, load_config
from qwen_svg.model.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZE, BATCHES, MAX_LENGTH, RANK = 2, 4, 1560, 64
PYTHONS = {  # the reference of the ratios first
    "stock": sys.executable,
    "trl": ROOT / ".venv-trl/bin/python",
    "unsloth": ROOT / ".venv-unsloth/bin/python",
    "ours": sys.executable,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/svg_results.jsonl")
    parser.add_argument("--tokenizer")
    parser.add_argument("--bases", nargs="*", default=[])
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    present = {name: python for name, python in PYTHONS.items() if Path(python).exists()}
    if missing := PYTHONS.keys() - present:
        print(f"without {', '.join(sorted(missing))}: `make peers` installs them")
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, base in bases(Path(scratch), arguments.tokenizer, arguments.bases):
            job = write_job(Path(scratch), base, arguments.data, arguments.batches)
            rounds = [{n: run(n, python, job) for n, python in present.items()} for _ in range(arguments.rounds)]
            figures[name] = summary(rounds)
            show(name, figures[name])
    report(figures)


def bases(scratch: Path, tokenizer: str | None, files: list[str]):
    """Yield (name, folder) of each base, as safetensors: what every contender can load."""
    for gguf in ["models/SmolLM2-135M-Instruct.Q4_1.gguf", *files]:
        folder = scratch / Path(gguf).name.partition(".Q")[0]
        load_base(gguf, torch.device("cpu"), torch.float32).save_pretrained(folder)
        load_tokenizer(gguf).save_pretrained(folder)
        yield folder.name, folder
    if tokenizer:
        folder = scratch / "small Qwen2"
        config = Qwen2Config(
            vocab_size=151_936, hidden_size=512, intermediate_size=2432, num_hidden_layers=12, num_attention_heads=8,
            num_key_value_heads=2, tie_word_embeddings=True,
        )  # fmt: skip
        torch.manual_seed(0)
        Qwen2ForCausalLM(config).save_pretrained(folder)
        load_tokenizer(tokenizer).save_pretrained(folder)
        yield folder.name, folder


def write_job(scratch: Path, base: Path, data: str, batches: int) -> Path:
    rows = encode(load_tokenizer(str(base)), read_samples(data).samples, "chat")
    rows = sorted((row for row in rows if row.length <= MAX_LENGTH), key=lambda row: row.length)
    middles = [len(rows) * (2 * i + 1) // (2 * batches) for i in range(batches)]
    cpu_dtype, _ = pick_cpu_dtype("auto", load_config(str(base)))
    chosen = [row for middle in middles for row in rows[middle - BATCH_SIZE // 2 :][:BATCH_SIZE]]
    job = {
        "base": str(base),
        "samples": [{"prompt": row.prompt, "answer": row.answer} for row in chosen],
        "rank": RANK,
        "alpha": 2 * RANK,
        "batch_size": BATCH_SIZE,
        "max_length": MAX_LENGTH,
        "learning_rate": 1e-4,
        "fp16": True,
        "cpu_dtype": cpu_dtype,
        "scratch": str(scratch / "out"),
    }
    path = scratch / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def run(name: str, python: str | Path, job: Path) -> dict:
    script = str(ROOT / "benchmarks/training_contenders.py")
    # -P: else the files beside the script would stand before packages of the same names (kernels is one).
    command = [str(python), "-P", script, name, str(job)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=job.parent)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    result["clock"] = result["seconds" if torch.cuda.is_available() else "cpu_seconds"]
    rates = [result["tokens"] / result[of] for of in ("clock", "seconds")]
    speeds = f"{rates[0]:.1f} tokens/s ({rates[1]:.1f} by the clock)"
    print(f"  {name}: {speeds}, {result['peak_bytes'] / 1e9:.2f} GB, losses {result['losses']}", file=sys.stderr)
    return result


def summary(rounds: list[dict]) -> dict:
    def median(of) -> float:
        return statistics.median(of(each) for each in rounds)

    return {
        name: {
            "tokens_per_second": median(lambda r, n=name: r[n]["tokens"] / r[n]["clock"]),
            "times_ours": median(lambda r, n=name: r["ours"]["clock"] / r[n]["clock"]),
            "peak_gigabytes": median(lambda r, n=name: r[n]["peak_bytes"] / 1e9),
            "first_step_seconds": median(lambda r, n=name: r[n]["first_step_seconds"]),
            "mean_loss": median(lambda r, n=name: statistics.mean(r[n]["losses"])),
        }
        for name in rounds[0]
    }


def show(base: str, figures: dict) -> None:
    print(f"{base:<14}{'tokens/s':>10}{'of ours':>9}{'peak':>10}{'of ours':>9}{'first step':>12}{'mean loss':>11}")
    ours = figures["ours"]["peak_gigabytes"]
    for name, f in figures.items():
        print(
            f"{name:<14}{f['tokens_per_second']:>10.0f}{f['times_ours']:>8.2f}x{f['peak_gigabytes']:>7.2f} GB"
            f"{f['peak_gigabytes'] / ours:>8.2f}x{f['first_step_seconds']:>10.1f} s{f['mean_loss']:>11.4f}"
        )


if __name__ == "__main__":
    main()
