"""Constrained decoding: are all answers legal, and what does a decoding step cost?

    python -m benchmarks.constrained [--json]

Legal: 200 answers of a tiny random Qwen2 at temperature 1.5, the hardest case, judged by svg_constraint (prompt). Cost:
SmolLM2-135M answers ROWS prompts with and without the grammar, in turn; compared is the time of a step, since answers
differ in length. What XGrammar and llguidance take for a mask is in RESULTS.md.
"""

import statistics
import tempfile
from pathlib import Path

import torch

from benchmarks.measure import report, seconds
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.generation.engine import generate_answers
from qwen_svg.model.load import load_base
from qwen_svg.model.tokenizer import load_tokenizer
from svg_constraint import check
from tests.tiny import make_base, make_prompts, make_tokenizer

BASE = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
SAMPLES, BUDGET = 200, 1500
ROWS, STEPS, ROUNDS = 8, 400, 3


def main() -> None:
    tokenizer = make_tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        model = load_base(str(make_base(Path(folder), tokenizer)), torch.device("cpu"), torch.float32)
    figures = {}
    for constrained in (False, True):
        answers = draw(model, tokenizer, SAMPLES, BUDGET, 32, 1.5, constrained)
        figures["legal" if constrained else "legal_free"] = sum(map(is_legal, answers))
    figures["of"] = SAMPLES
    print(f"tiny random model, temperature 1.5: {figures['legal']} of {SAMPLES} legal, {figures['legal_free']} without")

    tokenizer = load_tokenizer(BASE)
    model = load_base(BASE, torch.device("cpu"), torch.float32)
    draw(model, tokenizer, ROWS, STEPS, ROWS, 0.0, True)  # warm-up: compiles the grammar
    ratios, free = [], []
    for _ in range(ROUNDS):
        held, steps = step_seconds(model, tokenizer, STEPS, constrained=True)
        free.append(step_seconds(model, tokenizer, steps, constrained=False)[0])  # as many steps: one prefill each
        ratios.append(held / free[-1])
    figures |= {"overhead": statistics.median(ratios) - 1, "step_seconds": statistics.median(free)}
    print(f"SmolLM2-135M, {ROWS} rows: {1e3 * figures['step_seconds']:.1f} ms a step, {figures['overhead']:+.1%}")
    report(figures)


def step_seconds(model, tokenizer, steps: int, constrained: bool) -> tuple[float, int]:
    """Return the mean time of a step, and how many there were."""
    answers: list = []
    elapsed = seconds(lambda: answers.extend(draw(model, tokenizer, ROWS, steps, ROWS, 0.0, constrained)))
    taken = max(answer.tokens for answer in answers)
    return elapsed / taken, taken


def draw(model, tokenizer, count: int, budget: int, batch: int, temperature: float, constrained: bool) -> list:
    prompts = make_prompts(tokenizer, count)
    return generate_answers(model, tokenizer, prompts, 10_000, budget, batch, temperature, 0, "drawing", constrained)


def is_legal(answer) -> bool:
    svg = extract_svg(answer.text)
    return bool(svg and extract_reasoning(answer.text) and check(svg).valid)


if __name__ == "__main__":
    main()
