"""Our verdict on drawings beside people's: is it ok? Accuracy, precision, recall, F1, Cohen's kappa, confusion matrix.

Ours is ok for what is legal in the prompt dialect, is drawn (it renders and is not blank), and follows its description
as far as a score tells. Positive = ok: precision is the share of our oks that people confirm.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import write_json
from qwen_svg.common.plots import figure_grid, save
from qwen_svg.common.tables import Row, rows, text_in
from qwen_svg.evaluation.judge import judge

LABELS = {"ok": True, "not ok": False}


def read_labels(path: str, known: set[str]) -> dict[str, bool]:
    """Return ok or not by id. Raises UserError, with file and line, for a label or an id that is not known."""
    found: dict[str, bool] = {}
    try:
        for row in rows(path):
            id, label, fault = _label(row)
            if not fault and id not in known:
                fault = f"id {id!r} is not among the drawings of this test"
            if not fault and id in found:
                fault = f"id {id!r} has a label already"
            if fault:
                raise UserError(f"{row.place}: {fault}.")
            found[id] = label
    except csv.Error as error:
        raise UserError(f"{path} is no CSV ({error}).") from None
    if not found:
        raise UserError(f"{path} holds no label; it needs the columns id and label.")
    return found


def _label(row: Row) -> tuple[str, bool, str]:
    """Return (id, ok, "") or ("", False, what is wrong)."""
    text, fault = text_in(row, "label")
    label = LABELS.get(" ".join(text.casefold().replace("_", " ").replace("-", " ").split()))
    if not fault and "id" not in row.values:
        fault = "no column 'id'"
    if not fault and label is None:
        fault = f"label {text!r} is neither 'ok' nor 'not ok'"
    return ("", False, fault) if fault else (str(row.values["id"]), bool(label), "")


@dataclass(frozen=True)
class Verdict:
    ok: bool
    why: str  # not, else ""
    follows: float | None  # the score; None where it was not asked for
    good: bool  # legal and drawn; what is left to ask is whether it follows


def verdicts(answers: list[str], follows: list[float] | None, least: float) -> list[Verdict]:
    """Judge each answer. follows: how well it follows its description, at least `least` for ok; None = not asked."""
    found = []
    for i, answer in enumerate(answers):
        judged, score = judge(answer), follows[i] if follows else None
        good = judged.legal("prompt") and judged.drawn
        why = "" if good else judged.summary()
        if good and score is not None and score < least:
            why = f"does not follow the description ({score:.3f})"
        found.append(Verdict(not why, why, score, good))
    return found


def agreement(labels: dict[str, bool], ours: list[Verdict]) -> dict:
    """Return the figures; those that would divide by nothing are None. `confusion` has people's labels for rows."""
    people = list(labels.values())
    pairs = list(zip(people, [verdict.ok for verdict in ours], strict=True))
    confusion = [[pairs.count((human, own)) for own in (True, False)] for human in (True, False)]
    (both, missed), (wrong, neither) = confusion
    n = len(pairs)
    accuracy = (both + neither) / n
    by_chance = ((both + missed) * (both + wrong) + (wrong + neither) * (missed + neither)) / n**2
    return {
        "labels": n,
        "confusion": confusion,
        "accuracy": accuracy,
        "precision": _share(both, both + wrong),
        "recall": _share(both, both + missed),
        "f1": _share(2 * both, 2 * both + wrong + missed),
        "kappa": _share(accuracy - by_chance, 1 - by_chance),  # Cohen 1960
        "best_follows_from": best_threshold(people, ours),
        "disagreements": [
            {"id": id, "people": _word(label), "ours": _word(verdict.ok), "why": verdict.why}
            for (id, label), verdict in zip(labels.items(), ours, strict=True)
            if label != verdict.ok
        ],
    }


def best_threshold(people: list[bool], ours: list[Verdict]) -> dict | None:
    """Return the least score to ask for that agrees with most labels, and the accuracy then; None without scores."""
    scores = sorted({verdict.follows for verdict in ours if verdict.good and verdict.follows is not None})
    agreed = {
        least: sum(label == (v.good and v.follows >= least) for label, v in zip(people, ours, strict=True))
        for least in scores
    }
    best = max(agreed, key=agreed.__getitem__, default=None)
    return best and {"follows_from": best, "accuracy": agreed[best] / len(people)}


def print_agreement(found: dict) -> None:
    print(f"\n{found['labels']:>6} labels{'we: ok':>20}{'we: not ok':>14}")
    for name, counts in zip(("people: ok", "people: not ok"), found["confusion"], strict=True):
        print(f"{name:<19}{counts[0]:>14}{counts[1]:>14}")
    names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1", "kappa": "Cohen's kappa"}
    figures = (f"{name} {'–' if found[key] is None else f'{found[key]:.3f}'}" for key, name in names.items())
    print("\n" + " · ".join(figures))
    best = found["best_follows_from"]
    if best and best["accuracy"] > found["accuracy"]:
        print("at `--follows-from {follows_from:.3f}` accuracy would be best: {accuracy:.3f}".format(**best))
    for one in found["disagreements"][:5]:
        print("  {id}: people say {people}, we {ours}".format(**one) + (f": {one['why']}" if one["why"] else ""))


def write_agreement(folder: Path, found: dict) -> None:
    """Write labels.json and confusion.png."""
    write_json(folder / "labels.json", found)
    figure, axis = figure_grid(1, 1, (3.6, 3.2))
    top = max(max(row) for row in found["confusion"])
    axis.imshow(found["confusion"], cmap="Blues", vmin=0, vmax=top)
    for y, row in enumerate(found["confusion"]):
        for x, count in enumerate(row):
            axis.text(x, y, count, ha="center", va="center", fontsize=16, color="white" if 2 * count > top else "black")
    axis.set_xticks((0, 1), LABELS, fontsize=10)
    axis.set_yticks((0, 1), LABELS, fontsize=10)
    axis.set(xlabel="our verdict", ylabel="people's label")
    axis.spines[:].set_visible(False)
    axis.set_title(f"{found['labels']} drawings, accuracy {found['accuracy']:.1%}", fontsize=10)
    save(figure, folder / "confusion.png")


def _share(part: float, of: float) -> float | None:
    return part / of if of else None


def _word(ok: bool) -> str:
    return next(word for word, value in LABELS.items() if value == ok)
