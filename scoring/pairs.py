"""Preference pairs: of each description's drawings, the best by a score as chosen and the worst as rejected.

Reads   INPUT, the drawings that `generate.py --n 8 --input descriptions.txt` wrote: several lines for a description.
Writes  OUTPUT, JSON lines with id, description, chosen, rejected (whole answers) and their scores. A new file.

    python -m scoring.pairs --input drawings.jsonl --output pairs.jsonl --score text_match

What is not legal, or shows nothing, scores 0.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from types import SimpleNamespace

from qwen_svg.common.constants import PositiveFloat, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing

INPUT: str = ""  # table with description and svg_content, if wanted id; the flag may be left out
OUTPUT: str = "data/pairs.jsonl"  # a file that does not exist yet
SCORE: str = "text_match"  # of scoring/; NAME=MODEL for another model than its file says
MARGIN: PositiveFloat = 0.01  # the least difference of two scores that is a preference; smaller ones are noise


def check_constants(c: SimpleNamespace) -> None:
    if not c.INPUT:
        raise UserError("there is nothing to compare; give the drawings with `--input`.")
    refuse_existing("OUTPUT", c.OUTPUT)


if __name__ == "__main__":
    c = start(__file__, positional="INPUT")
    check_constants(c)

from qwen_svg.common.tables import rows, text_in
from qwen_svg.evaluation.judge import judge
from qwen_svg.svg.render import is_blank
from scoring.candidate import Candidate
from scoring.scores import find_score


def main(c: SimpleNamespace) -> None:
    output = Path(c.OUTPUT)
    output.parent.mkdir(parents=True, exist_ok=True)  # now: scoring may take hours
    _, score = find_score(c.SCORE, references=False)
    drawings = read_drawings(c.INPUT)
    pairs = list(preferences(drawings, score, c.MARGIN))
    if not pairs:
        raise UserError(
            f"no two drawings of a description in {c.INPUT} differ by MARGIN {c.MARGIN:g}; draw more of each."
        )
    with output.open("x", encoding="utf-8") as file:
        file.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    print(f"{output}: {len(pairs)} pairs, {len(drawings) - len(pairs)} descriptions without a preference")
    print(f"next: python -m reinforce.train_dpo --pairs {quote(str(output))}")


def read_drawings(path: str) -> dict[tuple[str, str], list[Candidate]]:
    """Return the drawings of each (id, description): several files may count from 1. UserError names a bad row."""
    found: dict[tuple[str, str], list[Candidate]] = {}
    for row in rows(path):
        description, fault = text_in(row, "description")
        if fault:
            raise UserError(f"{row.place}: {fault}.")
        answer, fault = text_in(row, "svg_content")
        if not fault:  # a line that says why nothing was drawn has none
            id = str(row.values.get("id") or description)
            found.setdefault((id, description), []).append(Candidate(answer, description))
    if not found:
        raise UserError(f"INPUT {path} holds no drawing.")
    return found


def preferences(
    drawings: dict[tuple[str, str], list[Candidate]], score: Callable[[list[Candidate]], list[float]], margin: float
) -> Iterator[dict]:
    """Yield a pair for each description whose best and worst drawing are at least `margin` apart."""

    def good(candidate: Candidate) -> bool:
        judged = judge(candidate.answer)
        return judged.legal("prompt") and not is_blank(judged.png)

    scores = iter(score([candidate for several in drawings.values() for candidate in several]))
    for (id, description), several in drawings.items():
        ranked = sorted(((next(scores) * good(one), one) for one in several), key=lambda pair: pair[0])
        (low, worst), (high, best) = ranked[0], ranked[-1]
        if high - low >= margin:
            yield {
                "id": id,
                "description": description,
                "chosen": best.answer,
                "rejected": worst.answer,
                "chosen_score": high,
                "rejected_score": low,
            }


if __name__ == "__main__":
    run(main, c)
