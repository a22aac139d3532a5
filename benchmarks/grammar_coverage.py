"""How much of what is legal and taught can be said under the grammar, and is all that it lets through legal?

    python -m benchmarks.grammar_coverage --data data/svg_results.jsonl [--json] [--own data/twemoji.jsonl]

own: the share of `corpus.build_dataset`'s answers that the grammar takes; of the file, or, where there is none, of 300
drawings that are built now. real: the same of the answers in --data that `svg_constraint` finds legal (prompt).
illegal: of 5,000 random walks (`--walks`), ended as `qwen_svg/generation/constrained.py` ends answers, those it finds
illegal. Half the steps of a walk take any token of the mask, half any first letter and then any token with it, so that
what ends a part is as likely as what goes on. Also printed: what a mask costs along own answers, in this process's CPU
time.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.measure import report
from corpus import build_dataset
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.dataset import read_samples
from qwen_svg.common.errors import run
from qwen_svg.generation.constrained import GrammarConstraint, grammar_for, tokens_needed
from qwen_svg.generation.grammar import Automaton
from qwen_svg.generation.svg_grammar import answer_grammar
from svg_constraint import check
from tests.tiny import make_tokenizer

BUILT = 300  # drawings
MOST_TOKENS = 900  # of a walk, above the least that an answer needs
TIMED = 40  # answers along which masks are timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--own", default="data/twemoji.jsonl")
    parser.add_argument("--walks", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    automaton = Automaton(answer_grammar())
    own = answers(arguments.own) if Path(arguments.own).is_file() else built()
    real = [answer for answer in answers(arguments.data) if is_legal(answer)]
    figures: dict[str, float] = {name: share(automaton, texts) for name, texts in (("own", own), ("real", real))}
    print(f"own {figures['own']:.2%} of {len(own)}, real {figures['real']:.2%} of {len(real)}")
    tokenizer = make_tokenizer()
    spent = [mask_seconds(tokenizer, answer) for answer in own[:: max(1, len(own) // TIMED)]]
    print(f"a mask and its token: {1e6 * mean(spent):.0f} µs of CPU")
    figures["illegal"] = sum(not is_legal(walk(tokenizer, seed)) for seed in range(arguments.walks))
    print(f"illegal: {figures['illegal']} of {arguments.walks} walks")
    report(figures)


def answers(path: str | Path) -> list[str]:
    return [sample.answer for sample in read_samples(path).samples]


def built() -> list[str]:
    """Return the answers of some drawings, built now."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.jsonl"
        arguments = ["--limit", str(BUILT), "--output", str(path)]
        build_dataset.main(constants_in_force(build_dataset.__file__, arguments))
        return answers(path)


def share(automaton: Automaton, texts: list[str]) -> float:
    return mean(automaton.is_complete(automaton.advance(automaton.start, text)) for text in texts)


def is_legal(answer: str) -> bool:
    svg = extract_svg(answer)
    return bool(svg and extract_reasoning(answer) and check(svg).valid)


def constraint(tokenizer: Any, budget: int) -> GrammarConstraint:
    grammar = grammar_for(tokenizer, len(tokenizer), (tokenizer.eos_token_id,))
    needed = tokens_needed(tokenizer)
    return GrammarConstraint(tokenizer, grammar, needed + budget, needed)


def walk(tokenizer: Any, seed: int) -> str:
    """Return a random answer, of any length up to a budget that is random too."""
    draw = np.random.default_rng(seed)
    row = constraint(tokenizer, int(draw.integers(MOST_TOKENS)))
    for token in tokenizer.encode("<reasoning>a</reasoning>", add_special_tokens=False):
        row.mask(len(tokenizer))
        row.take(token)
    while not row.state.text.endswith("</svg>"):
        allowed = row.mask(len(tokenizer)).nonzero()[0]
        if draw.random() < 0.5:
            firsts = [row.tokens_of.texts[token][:1] for token in allowed]
            first = draw.choice(sorted(set(firsts)))
            allowed = [token for token, begins in zip(allowed, firsts, strict=True) if begins == first]
        row.take(int(draw.choice(allowed)))
    return row.state.text


def mask_seconds(tokenizer: Any, answer: str) -> float:
    """Return the mean CPU time of making a mask and reading the token behind it."""
    tokens = tokenizer.encode(answer, add_special_tokens=False)
    row = constraint(tokenizer, 10 * len(tokens))
    began = time.process_time()
    for token in tokens:
        row.mask(len(tokenizer))
        row.take(token)
    return (time.process_time() - began) / len(tokens)


if __name__ == "__main__":
    run(lambda _: main(), None)
