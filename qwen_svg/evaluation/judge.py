"""Judging an answer: is there a reasoning, an SVG, is it legal, does it render, does it show anything?"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from prompt_template import extract_reasoning, extract_svg
from qwen_svg.svg.render import is_blank, png_bytes
from svg_constraint import DIALECTS, Verdict, check


@dataclass
class Judgement:
    answer: str
    reasoning: str | None
    svg: str | None
    verdicts: dict[str, Verdict | None]  # by dialect; None without an SVG
    png: bytes | None  # 256 × 256; None when there is nothing to draw or it cannot be drawn
    scores: dict[str, float] = field(default_factory=dict)  # of scoring/, by name, where they were asked for
    claims: list[tuple[str, bool]] = field(default_factory=list)  # of the description: does it hold of the drawing?
    unseen: bool = False  # does the description combine what no training sample does?
    task: str = "draw"  # or "edit", "repair"
    as_reference: bool = False  # of an edit or a repair: is the picture the reference's, pixel by pixel?

    @property
    def score(self) -> float:
        """Structural score in the prompt dialect, 0 without an SVG."""
        verdict = self.verdicts["prompt"]
        return verdict.score if verdict else 0.0

    @property
    def renders(self) -> bool:
        return self.png is not None

    @cached_property
    def drawn(self) -> bool:
        """Does it render, and show anything?"""
        return not is_blank(self.png)

    @property
    def why_not_drawn(self) -> str:
        """What a picture's place says where there is nothing to see; "" for what is drawn."""
        if self.svg is None:
            return "no <svg> section"
        if not self.renders:
            return "does not render"
        return "" if self.drawn else "blank"

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
            "renders": self.renders,
            "drawn": self.drawn,
            "violations": [f"line {v.line}: {v.rule}: {v.message}" for v in violations],
            "scores": self.scores,
            "claims": len(self.claims),
            "broken_claims": [claim for claim, holds in self.claims if not holds],
        }


def in_words(verdict: Verdict | None, png: bytes | None) -> str:
    """Return one line: "legal", or the rules that are broken. verdict: None without an SVG."""
    if verdict is None:
        return "no <svg> section"
    if not verdict.valid:
        return "; ".join(f"{rule} ×{n}" for rule, n in Counter(v.rule for v in verdict.violations).most_common())
    if png is None:
        return "legal, but does not render"
    return "legal, but blank" if is_blank(png) else "legal"


def judge(answer: str) -> Judgement:
    svg = extract_svg(answer)
    verdicts = {dialect: check(svg, dialect) if svg else None for dialect in DIALECTS}
    try:
        png = png_bytes(svg) if svg else None
    except ValueError:
        png = None
    return Judgement(answer, extract_reasoning(answer), svg, verdicts, png)
