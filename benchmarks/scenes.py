"""Does what the quickstart trains draw what it is asked for? And after how many minutes?

    python -m benchmarks.scenes [RUN] [--json] [--curve]

RUN: a run that evaluate_test.py has tested (default outputs/quickstart). Its answers, in test/samples.jsonl, are read
and their claims are checked anew: of free decoding, of combinations that training had (claims) and had not
(claims_unseen). minutes: of training, validation included. --curve: each checkpoint of the run draws the same
descriptions, greedily, and curve.png and curve.json in the run's folder show claims against minutes.
"""

import sys
from pathlib import Path

from benchmarks.measure import report
from prompt_template import extract_svg
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.common.run_folder import open_run
from qwen_svg.common.run_split import samples_of
from qwen_svg.evaluation.judge import judge
from scoring.composition import claims_of


def main() -> None:
    name = next((a for a in sys.argv[1:] if not a.startswith("-")), "outputs/quickstart")
    run = open_run(name)
    groups = {sample.id: sample.group for sample in samples_of(run.folder, "test", run.constants.DATA_PATH)}
    records = list(read_jsonl(run.folder / "test" / "samples.jsonl"))
    answers = [(r["description"], r["tuned"]["answer"], bool(unseen_kind(groups[r["id"]]))) for r in records]
    found = figures(answers) | {"minutes": minutes(run.folder)}
    print(f"{run.folder}: {len(records)} drawings, {sum(unseen for *_, unseen in answers)} of unseen combinations")
    if "--curve" in sys.argv:
        from benchmarks.scenes_curve import curve  # loads torch

        found["curve"] = curve(run, figures)
    report(found)


def figures(answers: list[tuple[str, str, bool]]) -> dict:
    """Return the shares over (description, answer, is it an unseen combination?)."""
    judged = [judge(answer) for _, answer, _ in answers]
    found: dict = {}
    for name, wanted in (("claims", False), ("claims_unseen", True)):
        claims = [
            claim.holds
            for description, answer, unseen in answers
            if unseen == wanted
            for claim in claims_of(description, extract_svg(answer))
        ]
        found[name] = round(sum(claims) / len(claims), 4) if claims else None
    legal, blank = (sum(j.legal("prompt") for j in judged), sum(not j.drawn for j in judged))
    return found | {"legal": legal / len(judged), "blank": blank / len(judged), "samples": len(judged)}


def minutes(folder: Path) -> float | None:
    """None for a run of before 2026-11-27, whose metrics.jsonl does not tell."""
    return max((r["minutes"] for r in read_jsonl(folder / "metrics.jsonl") if "minutes" in r), default=None)


if __name__ == "__main__":
    main()
