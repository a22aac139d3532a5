"""Does what the quickstart trains draw what it is asked for? And after how many minutes?

    python -m benchmarks.scenes [RUN] [--json] [--curve] [--picture]

RUN: a run that evaluate_test.py has tested (default outputs/quickstart). Its answers, in test/samples.jsonl, are read
and their claims are checked anew: of free decoding, of combinations that training had (claims) and had not
(claims_unseen). minutes: of training, validation included. --picture: writes docs/drawings.png, README's picture: the
first eight drawings, in the order of the file. --curve, of any run on scenes: each checkpoint draws the same
descriptions, greedily, and curve.png and curve.json in the run's folder show claims against minutes.
"""

import sys
from pathlib import Path

from benchmarks.measure import report
from benchmarks.scenes_curve import curve
from evaluate_test import judge_all
from qwen_svg.common.dataset import Sample
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.run_folder import Run, open_run
from qwen_svg.common.run_split import samples_of
from qwen_svg.common.sheet import write_sheet
from qwen_svg.evaluation.metrics import claim_figures


def main() -> None:
    name = next((a for a in sys.argv[1:] if not a.startswith("-")), "outputs/quickstart")
    run = open_run(name)
    samples = samples_of(run.folder, "test", run.constants.DATA_PATH)
    report({"curve": curve(run, samples, figures)} if "--curve" in sys.argv else tested(run, samples))


def tested(run: Run, samples: list[Sample]) -> dict:
    answers = {record["id"]: record["tuned"]["answer"] for record in read_jsonl(run.folder / "test" / "samples.jsonl")}
    asked = [sample for sample in samples if sample.id in answers]
    print(f"{run.folder}: {len(asked)} drawings")
    if "--picture" in sys.argv:
        first = asked[:8]
        judged = judge_all({}, first, [answers[sample.id] for sample in first])
        shown = [(sample.description, j.png) for sample, j in zip(first, judged, strict=True)]
        write_sheet(Path("docs/drawings.png"), shown, columns=4)
    return figures(asked, [answers[sample.id] for sample in asked]) | {"minutes": minutes(run.folder)}


def figures(samples: list[Sample], answers: list[str]) -> dict:
    """Return shares over the drawings; None for a kind of combination of which there is none."""
    judged = judge_all({}, samples, answers)
    shares, _ = claim_figures(judged)
    claims = {name: shares.get(name) for name in ("claims", "claims_unseen")}
    legal, blank = (sum(j.legal("prompt") for j in judged), sum(not j.drawn for j in judged))
    return claims | {"legal": legal / len(judged), "blank": blank / len(judged), "samples": len(judged)}


def minutes(folder: Path) -> float | None:
    """None for a run of before 2026-11-27, whose metrics.jsonl does not tell."""
    return max((r["minutes"] for r in read_jsonl(folder / "metrics.jsonl") if "minutes" in r), default=None)


if __name__ == "__main__":
    main()
