"""Does a model change a drawing as it is asked, and mend a broken one? On drawings that no training here has seen.

    python -m benchmarks.edits [MODEL] [--edits 100] [--repairs 100] [--picture FILE.png] [--json]

MODEL: a run, an adapter … (default adapters/scenes). The samples are composed by corpus.edits with a seed that nothing
is trained with, a third of them with combinations that never train; drawn greedily and freely, no second try, and
judged by scoring.edits. Beside it: a copy of what was given, and a repairer by rule. --picture: a sheet of the first
SHOWN edits in the order they were made, before and after.
"""

import argparse
from pathlib import Path

from benchmarks.drawn import drawn
from benchmarks.measure import report
from corpus.editing.samples import LEVELS, samples
from prompt_template import extract_svg
from qwen_svg.common.dataset import Sample
from qwen_svg.common.sheet import write_sheet
from scoring.edits import Change, by_rule, figures, judged, print_figures
from scoring.pictures import png

SEED, UNSEEN = 20261127, 1 / 3
SLOTS = 25  # drawings at once
SHOWN, COLUMNS = 12, 6  # pairs on the picture; pictures in its rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="adapters/scenes")
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--repairs", type=int, default=100)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    records = composed(0.0, arguments.edits) + composed(1.0, arguments.repairs)
    changes = [
        Change(r["id"], r["svg"], r["svg_content"], r.get("edit"), tuple(r.get("faults") or (r["edit"]["kind"],)))
        for r in records
    ]
    answers = answered(arguments.model, records)
    verdicts = judged(changes, lambda change: answers[change.id])
    print_figures(changes, verdicts)
    found = figures(changes, verdicts)
    for name, of in (("copied", lambda change: change.svg), ("by_rule", by_rule)):
        other = figures(changes, judged(changes, of))
        found[name] = {key: other[key] for key in ("edits_right", "repaired")}
        print(f"{name}: {found[name]}")
    if arguments.picture:
        show(arguments.picture, records[:SHOWN], answers)
    report(found)


def composed(share_of_repairs: float, count: int) -> list[dict]:
    return list(samples(SEED, count, list(LEVELS), share_of_repairs, UNSEEN))


def answered(model: str, records: list[dict]) -> dict[str, str]:
    """Return the model's answers by id."""
    asked = [
        Sample(r["id"], r["description"], r["svg_content"], svg=r["svg"], task=r.get("task", "edit")) for r in records
    ]
    return {record["id"]: text for record, text in zip(records, drawn(model, asked, SLOTS), strict=True)}


def show(path: Path, records: list[dict], answers: dict[str, str]) -> None:
    """Write a sheet with each drawing before, and what the model made of it under its instruction."""
    cells = []
    for record in records:
        svg = extract_svg(answers[record["id"]])
        cells += [("", png(record["svg"])), (record["description"], png(svg))]
    write_sheet(path, cells, columns=COLUMNS)


if __name__ == "__main__":
    main()
