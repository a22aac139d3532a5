"""The figures of a test: shares with their confidence intervals, bits per byte; and the table that shows them."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

from qwen_svg.evaluation.judge import Judgement
from qwen_svg.model.cross_entropy import CrossEntropy
from svg_constraint import DIALECTS

Z = NormalDist().inv_cdf(0.975)  # 1.96: 95 % of a normal distribution lie within so many standard deviations
FEW = 100  # answers; with fewer of them a share is shown beside its interval
NOT_SENT = ("intervals", "violations")  # to wandb: what metrics.json is for


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, successes / n with n above 0 (Wilson 1927).

    Unlike share ± 1.96 standard errors it stays within [0, 1], and 10 of 10 is not taken for certain.
    """
    share = successes / n
    center = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    spread = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, center - spread), min(1.0, center + spread)


def bits_per_byte(nats: float, texts: list[str]) -> float:
    """Return the summed cross-entropy of texts as bits for each byte of them, in UTF-8.

    It compares models whose tokenizers differ: what has fewer tokens has more to say with each.
    """
    return nats / math.log(2) / sum(len(text.encode("utf-8")) for text in texts)


def loss_figures(loss: CrossEntropy, texts: list[str], dtype: Any) -> dict[str, Any]:
    """Return the figures of the cross-entropy of reference answers. loss: over all their tokens, ends of turn too.

    dtype: of the model that gave it.
    """
    return {
        "cross_entropy": loss.mean,
        "perplexity": loss.perplexity,
        "bits_per_byte": bits_per_byte(loss.nats, texts),
        "cross_entropy_samples": len(texts),
        "dtype": str(dtype).removeprefix("torch."),
    }


@dataclass(frozen=True)
class Column:
    """Who answers the test, and how: the references, the base, the fine-tuned model, the same constrained."""

    judged: list[Judgement]
    answers: list[Any] | None = None  # an engine's, with tokens, seconds and finished; None: the references
    losses: dict | None = None  # of `loss_figures`; None: the column has no cross-entropy of its own
    engine: str = ""  # what computed the answers

    def metrics(self) -> dict:
        none = dict.fromkeys(("cross_entropy", "perplexity", "bits_per_byte"))
        engine = {"engine": self.engine} if self.answers else {}
        return (self.losses or none) | figures(self.judged, self.answers) | engine


def figures(judgements: list[Judgement], answers: list[Any] | None = None) -> dict:
    """Return shares in [0, 1] over the answers, their intervals, mean scores, costs, and answers broken by rule.

    `intervals` has the names, and the nesting, of the shares. `violations`: for each rule of the prompt dialect, how
    many answers break it at least once. `tasks`: the same figures of each task, where there are several.
    """
    n, tasks = len(judgements), sorted({j.task for j in judgements})
    counts: dict[str, Any] = {
        "svg_accuracy": sum(j.svg is not None for j in judgements),
        "reasoning_accuracy": sum(j.reasoning is not None for j in judgements),
        "constraint_accuracy": {dialect: sum(j.legal(dialect) for j in judgements) for dialect in DIALECTS},
        "render_rate": sum(j.renders for j in judgements),
        "drawn_rate": sum(j.drawn for j in judgements),
    }
    if "draw" not in tasks:
        counts["as_reference"] = sum(j.as_reference for j in judgements)
    found: dict[str, Any] = {}
    if len(tasks) > 1:
        found["tasks"] = {task: _of_task(task, judgements, answers) for task in tasks}
    if answers is not None:
        counts["finished"] = sum(a.finished for a in answers)
        found["mean_tokens"] = sum(a.tokens for a in answers) / n
        found["mean_seconds"] = sum(a.seconds for a in answers) / n
    claims, of_claims = claim_figures(judgements)
    broken: Counter[str] = Counter()
    for judgement in judgements:
        verdict = judgement.verdicts["prompt"]
        broken.update({violation.rule for violation in verdict.violations} if verdict else {"no-svg"})
    return found | {
        **_each(counts, lambda count: count / n),
        **claims,
        "structural_score": sum(j.score for j in judgements) / n,
        "scores": {name: sum(j.scores[name] for j in judgements) / n for name in judgements[0].scores},
        "samples": n,
        "intervals": _each(counts, lambda count: list(wilson(count, n))) | of_claims,
        "violations": dict(broken.most_common()),
    }


def _of_task(task: str, judgements: list[Judgement], answers: list[Any] | None) -> dict:
    numbers = [i for i, judgement in enumerate(judgements) if judgement.task == task]
    return figures([judgements[i] for i in numbers], answers and [answers[i] for i in numbers])


def claim_figures(judgements: list[Judgement]) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the shares of claims that hold, and their intervals: of all descriptions but the unseen, and of these.

    Empty where no description makes a claim that can be read. The claims of one drawing go together, so that an
    interval is that of a share of so many drawings, not of so many claims.
    """
    shares, intervals = {}, {}
    for name, unseen in (("claims", False), ("claims_unseen", True)):
        held = [[holds for _, holds in j.claims] for j in judgements if j.claims and j.unseen == unseen]
        if held:
            shares[name] = sum(map(sum, held)) / sum(map(len, held))
            intervals[name] = list(wilson(shares[name] * len(held), len(held)))
    return shares, intervals


def _each(counts: dict[str, Any], make: Callable[[int], Any]) -> dict[str, Any]:
    """Return what `make` makes of each number of a nested dict, in the same nesting."""
    return {name: _each(value, make) if isinstance(value, dict) else make(value) for name, value in counts.items()}


class Cell(NamedTuple):
    value: str
    interval: str = ""  # of a share of few answers


def metric_rows(metrics: dict[str, dict]) -> list[tuple[str, list[Cell]]]:
    """Return (label, one cell per column) for every figure, in the order people ask for them."""

    columns = list(metrics.values())

    def row(label: str, text: str, *keys: str, task: str = "") -> tuple[str, list[Cell]]:
        own = [figures["tasks"][task] for figures in columns] if task else columns
        return f"{task}: {label}" if task else label, [_cell(figures, text, keys) for figures in own]

    def rows_of(task: str) -> Iterator[tuple[str, list[Cell]]]:
        yield row("legal in prompt", "{:.1%}", "constraint_accuracy", "prompt", task=task)
        yield row("not blank", "{:.1%}", "drawn_rate", task=task)
        if task != "draw":
            yield row("pixels of the reference", "{:.1%}", "as_reference", task=task)
        for name in columns[0]["scores"]:
            yield row(f"{name} (0 to 1)", "{:.3f}", "scores", name, task=task)
        yield row("answers", "{}", "samples", task=task)

    claims = {"claims": "claims that hold", "claims_unseen": "claims of unseen combinations"}
    return [
        row("cross-entropy (nats per token)", "{:.4f}", "cross_entropy"),
        row("perplexity", "{:.3f}", "perplexity"),
        row("bits per byte", "{:.4f}", "bits_per_byte"),
        row("has an <svg> section", "{:.1%}", "svg_accuracy"),
        row("has a <reasoning> section", "{:.1%}", "reasoning_accuracy"),
        *(row(f"legal in {dialect}", "{:.1%}", "constraint_accuracy", dialect) for dialect in DIALECTS),
        row("structural score (0 to 1)", "{:.3f}", "structural_score"),
        row("renders", "{:.1%}", "render_rate"),
        row("not blank", "{:.1%}", "drawn_rate"),
        *(row(label, "{:.1%}", key) for key, label in claims.items() if key in columns[0]),
        *([row("pixels of the reference", "{:.1%}", "as_reference")] if "as_reference" in columns[0] else []),
        *(row(f"{name} (0 to 1)", "{:.3f}", "scores", name) for name in columns[0]["scores"]),
        *(row for task in columns[0].get("tasks", ()) for row in rows_of(task)),
        row("answers ended by themselves", "{:.1%}", "finished"),
        row("mean tokens per answer", "{:.0f}", "mean_tokens"),
        row("mean seconds per answer", "{:.2f}", "mean_seconds"),
        row("answers", "{}", "samples"),
        row("samples for cross-entropy", "{}", "cross_entropy_samples"),
        row("weights in", "{}", "dtype"),
    ]


def _cell(figures: dict, text: str, keys: tuple[str, ...]) -> Cell:
    value, interval = _at(figures, keys), _at(figures["intervals"], keys)
    if value is None:
        return Cell("–")
    if interval is None or figures["samples"] >= FEW:
        return Cell(text.format(value))
    low, high = interval
    return Cell(text.format(value), f"[{100 * low:.0f}–{100 * high:.0f}]")


def _at(nested: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        nested = nested.get(key) if isinstance(nested, dict) else None
    return nested


def table_text(metrics: dict[str, dict]) -> str:
    """Return the table for a terminal; four columns with intervals are 110 characters wide."""
    rows = metric_rows(metrics)
    few = any(cell.interval for _, cells in rows for cell in cells)
    left = max(len(label) for label, _ in rows)
    right = 8 if few else 0  # of an interval: "[72–100]"
    lines = [" " * left + "".join(f"{name:>11} {'':<{right}}" for name in metrics)]
    lines += [
        f"{label:<{left}}" + "".join(f"{cell.value:>11} {cell.interval:<{right}}" for cell in cells)
        for label, cells in rows
    ]
    if few:
        lines.append(f"[low–high]: 95 % confidence interval of the share, in %, as there are fewer than {FEW} answers")
    return "\n".join(line.rstrip() for line in lines)


def flat(metrics: dict[str, dict], prefix: str = "test") -> dict[str, float]:
    """Return the figures by flat names, like test/tuned/cross_entropy, for wandb's summary."""
    return dict(_flat(metrics, prefix))


def _flat(nested: dict, prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in nested.items():
        if isinstance(value, dict) and name not in NOT_SENT:
            yield from _flat(value, f"{prefix}/{name}")
        elif isinstance(value, int | float):
            yield f"{prefix}/{name}", value
