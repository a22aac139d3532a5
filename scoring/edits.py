"""Was it changed as asked, and nothing else? Is what was broken whole? Edits and repairs, judged by geometry.

Reads   FILES: JSON lines of corpus.edits (svg, svg_content, and `edit` or `task`); lines without svg are passed over.
        INPUT is one more of FILES. With ANSWERS, what a model answered: JSON lines {id, answer}; without, svg_content.
Writes  on the terminal how many edits of each kind are right, and how many repairs.

    python -m scoring.edits --input data/edits.jsonl --answers outputs/answers.jsonl --json
    python -m scoring.edits --input data/edits.jsonl --baselines

An edit is right where what was asked holds and all else is as it was. Both are looked at in the shapes: each one's
outline on the canvas (1.5 units apart at most), its paint, its stroke and its opacity, in painting order; neither text
nor comments count, and a circle may be written as a path. What was asked is checked by itself, not by likeness to
svg_content: a move that says no distance may be of any, from 8 units on, and 15 % of it to the side; "bigger" is a
tenth or more; a stated distance or factor may be missed by a tenth, an angle by some 2 degrees; a colour, however it is
written, is right within 0.1 in OKLab and nearer to the one asked for than to the old one; darker and lighter keep the
hue, within 45 degrees. What is turned, enlarged or flipped stays where it is, within a quarter of its size. What is
added is looked for as scoring.composition does.

A repair is right where the text behind the reasoning is the SVG alone, is legal, and shows the same picture as
svg_content by the bound of corpus.optimize (256 pixels: 0.01 on average, 0.10 in the worst tile).

--baselines: also what copying the input scores, and a repairer by rule (scoring/editing/mend.py).
--json: the last line is {"samples", "edits", "edits_hold", "unchanged", "edits_right", "repairs", "repaired", "legal"}:
how many samples, edits and repairs there are; of the edits the share in which what was asked holds, in which nothing
else changed, and both; the share of repairs that are right; the share of all answers whose SVG is legal. A share of
nothing is null.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run

FILES: list[str] = []  # tables with svg, svg_content, and edit or task; the flag may be left out
INPUT: str = ""  # one more of FILES
ANSWERS: str = ""  # JSON lines {id, answer}: what is judged in place of svg_content
BASELINES: bool = False  # judge a copy of the input and a repairer by rule, too
JSON: bool = False  # print the figures as the last line


def check_constants(c: SimpleNamespace) -> None:
    if not (c.FILES or c.INPUT):
        raise UserError("there is nothing to judge; name tables with svg and svg_content: `--input data/edits.jsonl`.")


if __name__ == "__main__":
    c = start(__file__, positional="FILES")
    check_constants(c)

import json
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from corpus.optimization.compare import same_picture
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.tables import rows, text_in
from qwen_svg.evaluation.metrics import wilson
from qwen_svg.svg.render import render_rgb
from scoring.editing.judge import judge_edit
from scoring.editing.mend import mended
from svg_constraint import check


@dataclass(frozen=True)
class Change:
    """A drawing to be changed. edit: what is claimed of it afterwards; None, it is to be repaired."""

    id: str
    svg: str
    reference: str  # an answer
    edit: dict | None
    kinds: tuple[str, ...]  # of the edit, or of what is broken


@dataclass(frozen=True)
class Verdict:
    legal: bool
    holds: bool = False  # of a repair: it is right
    unchanged: bool = False

    @property
    def right(self) -> bool:
        return self.holds and self.unchanged


def judge(change: Change, answer: str) -> Verdict:
    """Return the verdict on one answer, a reasoning and an SVG."""
    if change.edit is None:
        svg = behind_reasoning(answer)
        legal = check(svg).valid
        return Verdict(legal, *[legal and looks_like(svg, change)] * 2)
    svg = extract_svg(answer)
    legal = svg is not None and check(svg).valid
    judged = judge_edit(change.svg, svg, change.edit)
    return Verdict(legal, judged.holds, judged.unchanged)


def behind_reasoning(answer: str) -> str:
    """Return all there is but the reasoning: a fence around a drawing is a fault of it."""
    if extract_reasoning(answer) is not None:
        answer = answer.partition("</reasoning>")[2]
    return answer.strip()


def looks_like(svg: str, change: Change) -> bool:
    """Raises UserError where the reference does not render: then nothing could be right."""
    try:
        wanted = render_rgb(extract_svg(change.reference) or "")
    except ValueError as error:
        raise UserError(f"the drawing in svg_content of {change.id} cannot be rendered ({error}).") from None
    try:
        return same_picture(render_rgb(svg), wanted)
    except ValueError:
        return False


def main(c: SimpleNamespace) -> None:
    changes = read_changes([*c.FILES, *filter(None, [c.INPUT])])
    answers = read_answers(c.ANSWERS, changes) if c.ANSWERS else {change.id: change.reference for change in changes}
    verdicts = judged(changes, lambda change: answers.get(change.id, ""))
    print_figures(changes, verdicts)
    if c.BASELINES:
        for name, of in (("a copy of the input", lambda change: change.svg), ("the repairer by rule", by_rule)):
            print(f"\n{name}:")
            print_figures(changes, judged(changes, of))
    if c.JSON:
        print(json.dumps(figures(changes, verdicts)))


def by_rule(change: Change) -> str:
    return mended(change.svg) if change.edit is None else change.svg


def judged(changes: Sequence[Change], answer: Callable[[Change], str]) -> list[Verdict]:
    return [judge(change, answer(change)) for change in tqdm(changes, desc="edits", leave=False, disable=None)]


def read_changes(files: Sequence[str]) -> list[Change]:
    """Return what is to be changed, in the order of the files. Raises UserError for a line that cannot be judged."""
    found = []
    for row in (row for file in files for row in rows(file)):
        if row.fault:
            raise UserError(f"{row.place}: {row.fault}.")
        if not row.values.get("svg"):
            continue
        reference, fault = text_in(row, "svg_content")
        edit, is_repair = row.values.get("edit"), row.values.get("task") == "repair"
        if not (is_repair or (isinstance(edit, dict) and {"kind", "shapes"} <= edit.keys())):
            fault = fault or "no 'edit' with kind and shapes, as corpus.edits writes it, and no 'task' repair"
        if fault:
            raise UserError(f"{row.place}: {fault}.")
        kinds = tuple(row.values.get("faults") or ("repair",)) if is_repair else (edit["kind"],)
        id = str(row.values.get("id") or row.place)
        found.append(Change(id, row.values["svg"], reference, None if is_repair else edit, kinds))
    if not found:
        raise UserError(f"{', '.join(files)} has no edits and no repairs; `python -m corpus.edits` makes some.")
    return found


def read_answers(path: str, changes: Sequence[Change]) -> dict[str, str]:
    if not Path(path).is_file():
        raise UserError(f"ANSWERS {path} does not exist; give JSON lines with id and answer.")
    answers = {str(row.values.get("id")): str(row.values.get("answer") or "") for row in rows(path)}
    if foreign := [name for name in answers if name not in {change.id for change in changes}]:
        raise UserError(f"ANSWERS {path} has an answer for {foreign[0]!r}, which is not in FILES; give the same ids.")
    return answers


def figures(changes: Sequence[Change], verdicts: Sequence[Verdict]) -> dict:
    edits = [v for change, v in zip(changes, verdicts, strict=True) if change.edit is not None]
    repairs = [v for change, v in zip(changes, verdicts, strict=True) if change.edit is None]
    return {
        "samples": len(changes),
        "edits": len(edits),
        "edits_hold": share([v.holds for v in edits]),
        "unchanged": share([v.unchanged for v in edits]),
        "edits_right": share([v.right for v in edits]),
        "repairs": len(repairs),
        "repaired": share([v.right for v in repairs]),
        "legal": share([v.legal for v in verdicts]),
    }


def share(holds: Sequence[bool]) -> float | None:
    return sum(holds) / len(holds) if holds else None


def print_figures(changes: Sequence[Change], verdicts: Sequence[Verdict]) -> None:
    """A line for each kind of edit and of fault: how many are right. A repair counts for each fault it had."""
    pairs = list(zip(changes, verdicts, strict=True))
    for what, repair in (("edits", False), ("repairs", True)):
        of_it = [(change, v) for change, v in pairs if (change.edit is None) == repair]
        for kind in sorted({kind for change, _ in of_it for kind in change.kinds}):
            print_line(f"  {kind}", [v for change, v in of_it if kind in change.kinds])
        if of_it:
            print_line(what, [v for _, v in of_it])
    print_line("legal", [Verdict(v.legal, v.legal, v.legal) for v in verdicts])


def print_line(name: str, verdicts: Sequence[Verdict]) -> None:
    right, n = sum(v.right for v in verdicts), len(verdicts)
    low, high = wilson(right, n)
    print(f"{name:<20}{right:>6} of {n:<6}{right / n:7.1%}  [{low:.1%} to {high:.1%}]")


if __name__ == "__main__":
    run(main, c)
