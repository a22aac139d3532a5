"""Preference pairs: of each description's drawings, the best by a score as chosen and the worst as rejected.

Reads   INPUT, the drawings that `generate.py --n 8 --input descriptions.txt` wrote: several lines for a description.
Writes  OUTPUT, JSON lines with id, description, chosen, rejected (whole answers) and their scores. A new file.

    python -m scoring.pairs --input drawings.jsonl --output pairs.jsonl --score text_match

What is not legal, or shows nothing, scores 0.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from common.constants import constants_in_force
from common.errors import UserError, run
from scoring.candidate import Candidate

INPUT: str = ""  # .jsonl with id, description and svg_content; the flag may be left out
OUTPUT: str = "data/pairs.jsonl"  # a file that does not exist yet
SCORE: str = "text_match"  # of scoring/; NAME=MODEL for another model than its file says
MARGIN: float = 0.01  # the least difference of two scores that is a preference; smaller ones are noise


def main() -> None:
    c = constants_in_force(__file__, positional="INPUT")
    from common.before_imports import settle
    from scoring.scores import find_score

    settle()
    if not c.INPUT:
        raise UserError("there is nothing to compare; give the drawings with `--input`.")
    output = Path(c.OUTPUT)
    if output.exists():
        raise UserError(f"OUTPUT {output} exists; give another one.")
    _, score = find_score(c.SCORE, references=False)
    drawings = read_drawings(c.INPUT)
    pairs = list(preferences(drawings, score, c.MARGIN))
    if not pairs:
        raise UserError(
            f"no two drawings of a description in {c.INPUT} differ by MARGIN {c.MARGIN:g}; draw more of each."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("x", encoding="utf-8") as file:
        file.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    print(f"{output}: {len(pairs)} pairs, {len(drawings) - len(pairs)} descriptions without a preference")
    print(f"next: python -m reinforce.train_dpo --pairs {output}")


def read_drawings(path: str) -> dict[str, list[Candidate]]:
    """Return the drawings of each id. Raises UserError for a row without one, naming it."""
    from common.tables import rows, text_in

    found: dict[str, list[Candidate]] = {}
    for row in rows(path):
        (description, fault), id = text_in(row, "description"), str(row.values.get("id"))
        if fault:
            raise UserError(f"{row.place}: {fault}.")
        answer, fault = text_in(row, "svg_content")
        if not fault:  # a line that says why nothing was drawn has none
            found.setdefault(id, []).append(Candidate(answer, description))
    if not found:
        raise UserError(f"INPUT {path} holds no drawing.")
    return found


def preferences(
    drawings: dict[str, list[Candidate]], score: Callable[[list[Candidate]], list[float]], margin: float
) -> Iterator[dict]:
    """Yield a pair for each id whose best and worst drawing are at least `margin` apart."""
    from common.judge import judge
    from common.render import is_blank

    def good(candidate: Candidate) -> bool:
        judged = judge(candidate.answer)
        return judged.legal("prompt") and not is_blank(judged.png)

    scores = iter(score([candidate for several in drawings.values() for candidate in several]))
    for id, several in drawings.items():
        ranked = sorted(((next(scores) * good(one), one) for one in several), key=lambda pair: pair[0])
        (low, worst), (high, best) = ranked[0], ranked[-1]
        if high - low >= margin:
            yield {
                "id": id,
                "description": best.description,
                "chosen": best.answer,
                "rejected": worst.answer,
                "chosen_score": high,
                "rejected_score": low,
            }


if __name__ == "__main__":
    run(main)
