"""Judging answers: is there a reasoning, an SVG, is it legal, does it render? And the figures over many."""

from collections import Counter
from dataclasses import dataclass, field

from prompt_template import extract_reasoning, extract_svg
from qwen_svg.svg.render import png_bytes
from svg_constraint import DIALECTS, Verdict, check


@dataclass
class Judgement:
    answer: str
    reasoning: str | None
    svg: str | None
    verdicts: dict[str, Verdict | None] = field(default_factory=dict)  # by dialect; None without an SVG
    png: bytes | None = None  # 256 × 256; None when there is nothing to draw or it cannot be drawn
    scores: dict[str, float] = field(default_factory=dict)  # of scoring/, by name, where they were asked for

    @property
    def score(self) -> float:
        """Structural score in the prompt dialect, 0 without an SVG."""
        verdict = self.verdicts["prompt"]
        return verdict.score if verdict else 0.0

    def legal(self, dialect: str) -> bool:
        verdict = self.verdicts[dialect]
        return bool(verdict and verdict.valid)

    def summary(self) -> str:
        """One line for tables: "legal", or what is wrong in the prompt dialect."""
        return in_words(self.verdicts["prompt"], self.png)

    def to_json(self) -> dict:
        violations = self.verdicts["prompt"].violations if self.verdicts["prompt"] else []
        return {
            "answer": self.answer,
            "reasoning": self.reasoning,
            "svg": self.svg,
            "legal": {dialect: self.legal(dialect) for dialect in DIALECTS},
            "structural_score": self.score,
            "renders": self.png is not None,
            "violations": [f"line {v.line}: {v.rule}: {v.message}" for v in violations],
            "scores": self.scores,
        }


def in_words(verdict: Verdict | None, png: bytes | None) -> str:
    """Return one line: "legal", or the rules that are broken. verdict: None without an SVG."""
    if verdict is None:
        return "no <svg> section"
    if verdict.valid:
        return "legal" + ("" if png else ", but does not render")
    return "; ".join(f"{rule} ×{n}" for rule, n in Counter(v.rule for v in verdict.violations).most_common())


def judge(answer: str) -> Judgement:
    svg = extract_svg(answer)
    result = Judgement(answer, extract_reasoning(answer), svg)
    result.verdicts = {dialect: check(svg, dialect) if svg else None for dialect in DIALECTS}
    if svg:
        try:
            result.png = png_bytes(svg)
        except ValueError:
            result.png = None
    return result


def figures(judgements: list[Judgement]) -> dict:
    """Return shares in [0, 1] over the answers, mean scores, and answers broken by rule.

    `violations`: for each rule of the prompt dialect, how many answers break it at least once.
    """
    n = len(judgements)
    broken: Counter[str] = Counter()
    for judgement in judgements:
        verdict = judgement.verdicts["prompt"]
        broken.update({violation.rule for violation in verdict.violations} if verdict else {"no-svg"})
    return {
        "svg_accuracy": sum(j.svg is not None for j in judgements) / n,
        "reasoning_accuracy": sum(j.reasoning is not None for j in judgements) / n,
        "constraint_accuracy": {d: sum(j.legal(d) for j in judgements) / n for d in DIALECTS},
        "structural_score": sum(j.score for j in judgements) / n,
        "render_rate": sum(j.png is not None for j in judgements) / n,
        "scores": {name: sum(j.scores[name] for j in judgements) / n for name in judgements[0].scores},
        "samples": n,
        "violations": dict(broken.most_common()),
    }
