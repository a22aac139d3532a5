"""What does a second training on the same cores cost the first?

    python -m benchmarks.two_trainings [--rounds 2] [--json]

train.py itself, as `make quickstart` calls it but STEPS long, alone and twice, in turn. "together" starts both in the
same moment (each finds free cores), "after" the second LATER seconds behind the first (it finds a busy one). A time is
the training loop's own (`train_runtime`: two evaluations and the steps), of two the mean, against alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import report
from qwen_svg.common.constants import ROOT

STEPS, SAMPLES = 24, 32
LATER = 8  # seconds
WAYS = {"alone": (0,), "together": (0, 0), "after": (0, LATER)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    ratios: dict[str, list[float]] = {"together": [], "after": []}
    for _ in range(arguments.rounds):
        seconds = {way: statistics.mean(train(starts)) for way, starts in WAYS.items()}
        print(" · ".join(f"{way} {value:.1f} s" for way, value in seconds.items()), flush=True)
        for way, found in ratios.items():
            found.append(seconds[way] / seconds["alone"])
    report({way: round(statistics.median(found), 2) for way, found in ratios.items()})


def train(starts: tuple[int, ...]) -> list[float]:
    """Return the seconds of the training loop of each of len(starts) trainings, begun at these seconds."""
    with tempfile.TemporaryDirectory() as folder:
        begun = []
        for number, start in enumerate(starts):
            time.sleep(start)
            begun.append(subprocess.Popen(command(f"run{number}"), cwd=folder, stdout=subprocess.DEVNULL))
        if any([process.wait() for process in begun]):  # a list: all of them are waited for
            raise SystemExit("a training failed; its message is above")
        runs = [Path(folder, "outputs", f"run{number}", "metrics.jsonl") for number in range(len(starts))]
        return [json.loads(run.read_text().splitlines()[-1])["train_runtime"] for run in runs]


def command(run: str) -> list[str]:
    epochs = STEPS / (0.85 * SAMPLES)  # 85 % of the samples are trained on
    options = {"config": ROOT / "configs/quickstart.yml", "base-model": ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf",
               "data-path": ROOT / "data/scenes.jsonl", "max-samples": SAMPLES, "epochs": round(epochs, 3),
               "run-name": run, "eval-steps": 1000, "save-steps": 1000}  # fmt: skip
    given = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    return [sys.executable, str(ROOT / "train.py"), *given, "--no-wandb"]


if __name__ == "__main__":
    main()
