"""Does GRPO make a half-trained adapter draw more of what it is asked? Three seeds, from the same adapter.

    python -m benchmarks.reinforce_scenes [RUN] [--steps 6] [--json]

RUN: what to begin with (default outputs/early, which is trained first where it is not there: the quickstart's training,
ended after three fifths of its samples). From it, STEPS steps of reinforce.train_grpo with each seed, rewarded by
scoring.composition beside legality. DESCRIPTIONS plain scenes, each with a combination that never trains, composed with
a seed that no training has, are drawn greedily and freely by RUN and by what comes out of it. Prints the claims that
hold of them; writes outputs/benchmarks/reinforce_scenes.json and .png. A run that is there and whole is not trained
again. Some 20 minutes a seed on two cores.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.drawn import drawn
from benchmarks.measure import report
from corpus.composing.samples import samples
from qwen_svg.common.dataset import Sample
from qwen_svg.common.files import write_json
from qwen_svg.common.plots import figure_grid, save
from qwen_svg.common.run_folder import ADAPTER
from qwen_svg.evaluation.bootstrap import mean_interval, paired_difference
from reinforce.report import first_and_last, records_with
from scoring.candidate import Candidate
from scoring.composition import score

OUTPUT = Path("outputs/benchmarks")
SEEDS = (1, 2, 3)
DESCRIPTIONS, COMPOSED_WITH = 48, 20261128  # held out, and the seed of corpus.compose that they come from
SHORT = "--config quickstart --epochs 0.1741 --eval-steps 1000 --no-wandb"  # 74 samples
GRPO = (
    "--likeness composition --weight-likeness 4 --weight-length 0 --weight-renders 0 --weight-format 0 "
    "--batch-size 8 --gradient-accumulation 3 --generations 8 --learning-rate 1e-4 --beta 0"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="outputs/early")
    parser.add_argument("--steps", default="6")
    parser.add_argument("--json", action="store_true")
    c = parser.parse_args()
    start = Path(c.run)
    if not ended(start):
        finish("train.py", "--run-name", start.name, *SHORT.split())
    OUTPUT.mkdir(parents=True, exist_ok=True)
    asked = held_out()
    before = shares(start, asked)
    found = {"before": told(start, {"claims": mean_interval(before)})}
    for seed in SEEDS:
        run = start.with_name(f"{start.name}-grpo-{seed}")
        if not ended(run):
            names = ["--model", str(start), "--run-name", run.name, "--seed", str(seed), "--steps", c.steps]
            finish("-m", "reinforce.train_grpo", *names, *GRPO.split(), "--no-wandb")
        after, records = shares(run, asked), records_with("reward", run / "metrics.jsonl")
        figures = {"claims": mean_interval(after), "rise": paired_difference(after, before)}
        found[f"seed {seed}"] = told(run, figures | {"reward": first_and_last(records, "reward")}) | {
            "curve": [(record["step"], record["rewards/likeness/mean"]) for record in records]
        }
        write_json(OUTPUT / "reinforce_scenes.json", found)
    draw(found)
    report(found)


def told(run: Path, figures: dict[str, tuple[float, ...]]) -> dict:
    """Print figures, which are returned: of claims and their rise with the 95 % interval, of the reward two means."""
    print(
        f"{run}: " + "; ".join(f"{name} {', '.join(f'{v:.3f}' for v in of)}" for name, of in figures.items()),
        flush=True,
    )
    return figures


def ended(run: Path) -> bool:
    return (run / ADAPTER).is_file()


def finish(*command: str) -> None:
    """Run a script, its lines on this terminal; stop where it fails."""
    if code := subprocess.call([sys.executable, *command]):
        sys.exit(code)


def held_out() -> list[Sample]:
    records = samples(COMPOSED_WITH, DESCRIPTIONS, "1", unseen=1.0)
    return [Sample(r["id"], r["description"], r["svg_content"], r["group"]) for r in records]


def shares(run: Path, asked: list[Sample]) -> list[float]:
    """Return, for each description, the share of its claims that hold of what the run draws."""
    answers = drawn(str(run), asked, progress=run.name)
    return score([Candidate(a, s.description, s.answer) for a, s in zip(answers, asked, strict=True)])


def draw(found: dict) -> None:
    figure, (left, right) = figure_grid(1, 2)
    for name, of in found.items():
        if "curve" in of:
            left.plot(*zip(*of["curve"], strict=True), label=name, linewidth=1)
    left.set(title="claims that hold of a step's drawings", xlabel="step", ylim=(0, 1.02))
    left.legend()
    means, lows, highs = zip(*(of["claims"] for of in found.values()), strict=True)
    errors = [np.subtract(means, lows), np.subtract(highs, means)]
    right.bar(list(found), means, yerr=errors, color=["#9bb7ef", *["#5b8def"] * len(SEEDS)], capsize=4)
    right.set(title="the same, held out, unseen combinations, greedily", ylim=(0, 1.02))
    for axis in (left, right):
        axis.grid(alpha=0.25)
    save(figure, OUTPUT / "reinforce_scenes.png")


if __name__ == "__main__":
    main()
