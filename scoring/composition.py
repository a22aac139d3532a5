"""Did it draw what was asked? The share of a description's claims that hold of the drawing, as it is seen.

Reads   FILES, and DESCRIPTION or the tables' column of that name; INPUT is one more of FILES. With ANSWERS, other
        drawings for the same descriptions: JSON lines {id, answer}.
Writes  on the terminal a line for each drawing, then how many claims of each kind hold, and what could not be read.

    python -m scoring.composition drawing.svg --description "three red apples above a blue table"
    python -m scoring.composition --input data/scenes.jsonl --json
    python -m scoring.composition --input data/scenes.jsonl --answers outputs/answers.jsonl --json

Claims: there is such a thing; its color, its size, how many of it there are, its place, its relation to others; the
ground, the background, day, dusk or night. They are read with a fixed vocabulary (scoring/scene/vocabulary.py: the
things of corpus.compose, and other words for them); other words are passed over and named. The drawing is taken as it
is rendered: each shape's pixels, what hides what, and the paint; no comment and no name is looked at. A thing is there
where a part of the drawing is more like its family (drawn from parameters; scale, place and color are free) than like
any other thing. Color, size, place and relation of a thing that is not there do not hold; and where there are several
that the description does not ask for, they must hold of all.

--json: the last line is {"samples", "claims", "hold", "unread"}: how many descriptions, how many claims they make, the
share that holds, and how many runs of words could not be read.
"""

from collections.abc import Sequence
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
INPUT: str = ""  # one more of FILES
DESCRIPTION: str = ""  # of FILES that bring none themselves
ANSWERS: str = ""  # JSON lines {id, answer}: drawings to score in place of those in the tables
JSON: bool = False  # print the figures as the last line, and no line for each drawing


def check_constants(c: SimpleNamespace) -> None:
    if not (c.FILES or c.INPUT):
        raise UserError("there is nothing to score; name .svg files, or tables with svg_content and description.")


if __name__ == "__main__":
    c = start(__file__, positional="FILES")
    check_constants(c)

import json
from collections import Counter
from functools import lru_cache

from qwen_svg.common.tables import rows
from qwen_svg.evaluation.metrics import wilson
from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import read_candidates
from scoring.scene.check import KINDS, Claim, check_claims
from scoring.scene.claims import read_claims
from scoring.scene.drawing import read_drawing
from scoring.scene.things_in import content_of

NAMED_UNREAD = 12  # words that could not be read, the commonest ones
KEPT = 4096  # drawings whose claims are remembered: an evaluation asks for some twice


def score(candidates: Sequence[Candidate]) -> list[float]:
    """Return the share of claims that hold, for each; 0 where nothing renders, or no claim could be read."""
    require(candidates, "description")

    def hold(claims: list[list[Claim]]) -> list[float]:
        return [sum(claim.holds for claim in found) / len(found) if found else 0.0 for found in claims]

    return in_batches(candidates, 1, lambda one: claims_of(one.description, one.svg), hold, "composition")


@lru_cache(KEPT)
def claims_of(description: str, svg: str | None) -> list[Claim]:
    """Return a description's claims, and whether each holds of the drawing."""
    claims = read_claims(description)
    drawing = read_drawing(svg) if svg else None
    content = content_of(drawing, {phrase.thing for phrase in claims.phrases}) if drawing else None
    return check_claims(claims, content)


def main(c: SimpleNamespace) -> None:
    found = read_candidates([*c.FILES, *filter(None, [c.INPUT])], c.DESCRIPTION)
    if c.ANSWERS:
        found = with_answers(found, c.ANSWERS)
    names, candidates = zip(*found, strict=True)
    scores = score(candidates)
    if not c.JSON:
        for name, value in zip(names, scores, strict=True):
            print(f"{value:.4f}  {name}")
    unread = Counter(words for one in candidates for words in read_claims(one.description).unread)
    claims = [claim for one in candidates for claim in claims_of(one.description, one.svg)]
    print_figures(claims, unread)
    if c.JSON:
        share = sum(claim.holds for claim in claims) / max(1, len(claims))
        figures = {"samples": len(candidates), "claims": len(claims), "hold": share, "unread": unread.total()}
        print(json.dumps(figures))


def with_answers(found: list[tuple[str, Candidate]], path: str) -> list[tuple[str, Candidate]]:
    """Put the answers in place of the drawings, by id; who has none has drawn nothing."""
    answers = {str(row.values.get("id")): row.values.get("answer") for row in rows(path)}
    known = {name for name, _ in found}
    if foreign := [name for name in answers if name not in known]:
        raise UserError(
            f"ANSWERS {path} has an answer for {foreign[0]!r}, which is not in the input; give the same ids."
        )
    return [(name, Candidate(str(answers.get(name) or ""), one.description, one.reference)) for name, one in found]


def print_figures(claims: list[Claim], unread: Counter[str]) -> None:
    made = Counter(claim.kind for claim in claims)
    held = Counter(claim.kind for claim in claims if claim.holds)
    for kind in (*(kind for kind in KINDS if made[kind]), "all"):
        n, holding = (len(claims), held.total()) if kind == "all" else (made[kind], held[kind])
        if n:
            low, high = wilson(holding, n)
            print(f"{kind:<12}{holding:>7} of {n:<7}{holding / n:7.1%}  [{low:.1%} to {high:.1%}]")
    if unread:
        shown = ", ".join(words for words, _ in unread.most_common(NAMED_UNREAD))
        print(f"{unread.total()} runs of words were not read: {shown}{' …' if len(unread) > NAMED_UNREAD else ''}")


if __name__ == "__main__":
    run(main, c)
