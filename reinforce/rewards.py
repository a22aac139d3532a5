"""What a drawing is rewarded for: five numbers in [0, 1], of which the training's constants make one.

    legality  1 for a legal drawing, else less with each violation
    renders   it shows something, not one colour all over
    likeness  a score of scoring/: does it look like the sample's own drawing, or like its description?
    length    as much is written, and as much is drawn, as in the sample: within a factor of two
    format    reasoning and drawing, each once and nothing besides, in words that are not the prompt's

A policy finds every way to a reward that is cheaper than drawing. So only pictures are compared, never comments or
reasoning; an illegal drawing has nothing but its legality and format; violations are counted, not set against legal
elements, which can be piled up; and neither repetition nor what is hidden is length, because it is measured compressed
and without what cannot be seen.

Two of them have the form that CTRL-S has (hmwang2002/CTRL-S @ 70b0f3fa, training/reward_function.py), where it is asked
for: length as efficiency, and the format as a gate to all the others.
"""

import math
import re
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from prompt_template import build_prompt, extract_svg
from reinforce.visible import visible
from scoring import render
from scoring.candidate import Candidate
from svg_constraint import Verdict, check

REWARDS = ("legality", "renders", "likeness", "length", "format")
QUOTE = 4  # words in a row that stand in the prompt are a quotation

Score = Callable[[Sequence[Candidate]], list[float]]

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_ROOT = re.compile(r"^<svg[^>]*>|</svg>$")
_ANSWER = re.compile(
    r"\s*<reasoning>((?:(?!</?reasoning>|<svg[\s>]).)+)</reasoning>\s*(<svg[\s>].*?</svg>)\s*", re.DOTALL
)


def make_rewards(dialect: str, likeness: Score, length_form: str = "factor", gate: bool = False) -> dict[str, Score]:
    """Return the rewards by name. dialect: what is legal; likeness: a score function of scoring/.

    length_form: "factor" or "efficiency". gate: an answer whose format is 0 has 0 in all of them.
    """
    length_of = {"factor": length, "efficiency": efficiency}[length_form]

    def legal(candidate: Candidate) -> bool:
        verdict = _verdict(candidate.svg, dialect)
        return bool(verdict and verdict.valid)

    def where_legal(score: Score) -> Score:
        def scored(candidates: Sequence[Candidate]) -> list[float]:
            asked = [candidate for candidate in candidates if legal(candidate)]
            scores = iter(score(asked) if asked else ())
            return [next(scores) if legal(candidate) else 0.0 for candidate in candidates]

        return scored

    def gated(score: Score) -> Score:
        def scored(candidates: Sequence[Candidate]) -> list[float]:
            values = zip(candidates, score(candidates), strict=True)
            return [value if answer_format(candidate) else 0.0 for candidate, value in values]

        return scored

    rewards = {
        "legality": lambda candidates: [legality(_verdict(candidate.svg, dialect)) for candidate in candidates],
        "renders": where_legal(render.score),
        "likeness": where_legal(likeness),
        "length": where_legal(lambda candidates: [length_of(candidate) for candidate in candidates]),
        "format": lambda candidates: [answer_format(candidate) for candidate in candidates],
    }
    return {name: gated(score) for name, score in rewards.items()} if gate else rewards


@lru_cache(4096)
def _verdict(svg: str | None, dialect: str) -> Verdict | None:
    return check(svg, dialect) if svg else None


def legality(verdict: Verdict | None) -> float:
    """Return 1 for a legal drawing, 1/2 with one violation, 1/3 with two …; half of that where it is no XML."""
    if verdict is None:
        return 0.0
    broken = any(violation.rule == "not-well-formed" for violation in verdict.violations)
    return 1 / (1 + len(verdict.violations)) / (1 + broken)


def length(candidate: Candidate) -> float:
    """Return how well the words, the SVG and what it draws fit the reference in size: the least of the three."""
    return min(map(_fit, _sizes(candidate.answer), _sizes(candidate.reference)))


def efficiency(candidate: Candidate) -> float:
    """Return 1 - ((n - m / 2) / m)² of an SVG of n characters, its reference has m: 1 up to half as long.

    At the reference's own length it is 3/4, at three halves of it 0.
    """
    measured, wanted = (len(extract_svg(answer) or "") for answer in (candidate.answer, candidate.reference))
    return max(0.0, 1 - (max(measured - wanted / 2, 0) / max(wanted, 1)) ** 2)


def _sizes(answer: str) -> tuple[int, int, int]:
    """Return the characters outside the SVG and of the SVG, and the bytes of what it shows."""
    svg = extract_svg(answer) or ""
    return len(answer) - len(svg), len(svg), content(svg)


def content(svg: str) -> int:
    """Return the bytes that the visible elements take compressed: repetition adds next to none."""
    elements = _ROOT.sub("", _COMMENT.sub("", visible(svg)).strip()) if svg else ""
    return len(zlib.compress(elements.encode("utf-8", "replace"), 9))


def _fit(measured: int, wanted: int) -> float:
    """Return 1 within a factor of two, falling to 0 at a factor of four."""
    return min(1.0, max(0.0, 2 - abs(math.log2(max(measured, 1) / max(wanted, 1)))))


def answer_format(candidate: Candidate) -> float:
    """Return 1 for a reasoning and an SVG alone; less where more than half of the words quote the prompt; else 0."""
    match = _ANSWER.fullmatch(candidate.answer)
    if not match or not match.group(1).strip() or match.group(2).count("<svg") > 1:
        return 0.0
    said = match.group(1) + " " + " ".join(_COMMENT.findall(match.group(2)))
    return min(1.0, 2 - 2 * quoted(said, build_prompt(candidate.description)))


def quoted(text: str, source: str) -> float:
    """Return the share, in [0, 1], of runs of QUOTE words in `text` that stand in `source` too."""
    runs, known = _runs(text), set(_runs(source))
    return sum(run in known for run in runs) / len(runs) if runs else 0.0


def _runs(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return list(zip(*(words[i:] for i in range(QUOTE)), strict=False))
