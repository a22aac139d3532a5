"""Does GRPO raise the reward of a tiny model? Three seeds, from the same adapter.

    python -m benchmarks.reinforce [--json] [STEPS]

A Qwen2 of two small layers learns to draw circles ("a small gold circle") from data of which three fifths have an
attribute that is not on the list, as half of real data has; it gets an adapter by train.py, and then STEPS (default 40)
steps of reinforce.train_grpo with each seed, side by side, decoding freely. Writes outputs/benchmarks/reinforce.png,
reinforce.json and seed*/; 4 minutes of CPU time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from transformers import Qwen2ForCausalLM

from benchmarks.measure import report
from qwen_svg.common.dataset import Sample
from qwen_svg.common.files import write_text
from qwen_svg.common.plots import figure_grid, save
from qwen_svg.common.tokens import encode
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.tokenizer import load_tokenizer
from reinforce.report import first_and_last, records_with
from tests.tiny import answer, make_tokenizer
from tests.tiny import make_base as make_random

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = Path("outputs/benchmarks").absolute()
SEEDS = (1, 2, 3)
KEYS = {"reward": "reward", "legality": "rewards/legality/mean", "likeness": "rewards/likeness/mean", "kl": "kl"}
SIZES = {"tiny": 15, "small": 30, "medium": 50, "large": 75, "huge": 110}
COLOURS = ("red", "green", "blue", "gold", "navy", "teal", "pink", "gray")
BASE_STEPS = 200  # of the base
ILLEGAL = 0.6  # share of the samples
SPOILT = ('fill="', 'stroke-linecap="round" fill="')  # what is replaced in them, and by what
SFT = "--epochs 1 --batch-size 4 --learning-rate 1e-3 --lora-rank 16 --lora-alpha 32 --max-length 700 --no-wandb"
GRPO = "--batch-size 16 --gradient-accumulation 1 --learning-rate 1.5e-3 --max-new-tokens 110 --no-wandb"


def main() -> None:
    steps = next((a for a in sys.argv[1:] if a.isdigit()), "40")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_base(work)
        sft = ["--data-path", "data.jsonl", "--base-model", "base", "--run-name", "sft", *SFT.split()]
        finish(start(work, str(ROOT / "train.py"), *sft))
        grpo = ["--model", "sft", "--steps", steps, "--sample-steps", steps, *GRPO.split()]
        running = [
            start(work, "-m", "reinforce.train_grpo", "--run-name", f"seed{seed}", "--seed", str(seed), *grpo)
            for seed in SEEDS
        ]
        for process in running:
            finish(process)
        records = {seed: keep(work / "outputs" / f"seed{seed}", OUTPUT / f"seed{seed}") for seed in SEEDS}
    figures = {f"seed {seed}": figures_of(found) for seed, found in records.items()}
    print(f"{'mean, first → last quarter':<28}" + "".join(f"{key:>18}" for key in KEYS))
    for name, found in figures.items():
        print(f"{name:<28}" + "".join(f"{found[key][0]:>9.3f} → {found[key][1]:.3f} " for key in KEYS))
    write_text(OUTPUT / "reinforce.json", json.dumps(figures | {"curves": records}) + "\n")
    draw(records)
    report(figures)


def make_base(work: Path) -> None:
    """Write a base that has seen the task (all weights trained, AdamW) and the data."""
    names = [(size, colour) for colour in COLOURS for size in SIZES]
    good = [Sample(f"{s}-{c}", f"a {s} {c} circle", answer(c, SIZES[s])) for s, c in names]
    bad = [replace(sample, answer=sample.answer.replace(*SPOILT)) for sample in good]
    with (work / "data.jsonl").open("w", encoding="utf-8") as file:
        for i in range(len(names)):
            sample = (bad if i % 5 < 5 * ILLEGAL else good)[i]
            record = {"id": sample.id, "description": sample.description, "svg_content": sample.answer}
            file.write(json.dumps(record) + "\n")
    folder = str(make_random(work / "base", make_tokenizer()))
    tokenizer, model = load_tokenizer(folder), Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = encode(tokenizer, good, "chat"), encode(tokenizer, bad, "chat")
    collate = LeftPaddingCollator(tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(BASE_STEPS):  # either version of a sample: which of them is drawn is not to be known by heart
        chosen, spoilt = torch.randint(len(names), (8,)), torch.rand(8) < ILLEGAL
        batch = collate([rows[s][i] for s, i in zip(spoilt.tolist(), chosen.tolist(), strict=True)])
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(f"base: loss {loss.item():.3f} after {BASE_STEPS} steps", flush=True)
    model.save_pretrained(folder)


def start(work: Path, *command: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    """Wait for a script and print what came out; stop where it failed."""
    printed = process.communicate()[0]
    if process.returncode:
        sys.exit(printed)
    print(
        "\n".join(line for line in printed.splitlines() if line.startswith(("mean reward", "validation"))), flush=True
    )


def keep(run: Path, folder: Path) -> list[dict]:
    """Copy the run's pictures out of the temporary folder; return its curves."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (run / "rewards.png", *run.glob("drawings/*.png")):
        shutil.copy(picture, folder)
    return [
        {"step": record["step"]} | {name: record[key] for name, key in KEYS.items()}
        for record in records_with("reward", run / "metrics.jsonl")
    ]


def figures_of(records: list[dict]) -> dict[str, tuple[float, float]]:
    return {key: first_and_last(records, key) for key in KEYS}


def draw(records: dict[int, list[dict]]) -> None:
    figure, axes = figure_grid(1, len(KEYS), (4.2, 3.2))
    for axis, key in zip(axes, KEYS, strict=True):
        for seed, found in records.items():
            axis.plot([r["step"] for r in found], [r[key] for r in found], label=f"seed {seed}", linewidth=1)
        axis.set_title(f"{key} (mean of 16 drawings)" if key != "kl" else "KL to the start (nats per token)")
        axis.set_xlabel("step")
        axis.grid(alpha=0.25)
        if key != "kl":
            axis.set_ylim(0, 1.05)
    axes[0].legend()
    save(figure, OUTPUT / "reinforce.png")


if __name__ == "__main__":
    main()
