"""What does corpus.compose make? Speed, different descriptions, tokens, and whether its drawings hold their claims.

    python -m benchmarks.scenes_data [--json] [--samples 3000] [TOKENIZER …]

For each level: samples a second of this process's CPU; tokens of an answer in each tokenizer (a folder or a .gguf) and
the share of samples that fit 1,560; of the first 300, the share of claims that scoring.composition finds to hold. And
once: how many descriptions of a file of all levels are different (--samples of it).
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy reads it

import sys
import time
from statistics import mean

from benchmarks.measure import report
from corpus.composing.samples import samples
from qwen_svg.common.dataset import Sample
from qwen_svg.common.kinship import description_key
from qwen_svg.common.tokens import encode
from qwen_svg.model.tokenizer import load_tokenizer
from scoring import composition
from scoring.candidate import Candidate

CHECKED = 300  # samples whose claims are checked
COUNTED = 1000  # samples whose tokens are counted
LIMIT = 1560  # tokens of prompt and answer


def main() -> None:
    arguments = sys.argv[1:]
    count = int(arguments[arguments.index("--samples") + 1]) if "--samples" in arguments else 3000
    tokenizers = [a for a in arguments if not a.startswith("-") and not a.isdigit()]
    figures: dict[str, dict] = {}
    for level in ("1", "2", "3"):
        began = time.process_time()
        made = list(samples(7, COUNTED, level, 0.1))
        found = {"per_cpu_second": COUNTED / (time.process_time() - began)}
        for name in tokenizers:
            tokenizer = load_tokenizer(name)
            rows = encode(tokenizer, [Sample(s["id"], s["description"], s["svg_content"]) for s in made], "chat")
            lengths = [len(row.answer) for row in rows]
            fit = mean(row.length <= LIMIT for row in rows)
            found[name] = {"least": min(lengths), "mean": mean(lengths), "most": max(lengths), "fit": fit}
        checked = [Candidate(s["svg_content"], s["description"]) for s in made[:CHECKED]]
        composition.score(checked[:1])  # the families are made once
        began = time.process_time()
        claims = [claim.holds for one in checked for claim in composition.claims_of(one.description, one.svg)]
        seconds = time.process_time() - began
        found |= {"hold": mean(claims), "claims": len(claims), "checked_per_cpu_second": CHECKED / seconds}
        figures[level] = found
        print(level, found)
    began, different, total = time.process_time(), set(), 0
    for sample in samples(7, count, "all", 0.1):
        different.add(description_key(sample["description"]))
        total += 1
    figures["all"] = {"samples": total, "different": len(different), "cpu_seconds": time.process_time() - began}
    print("all", figures["all"])
    report(figures)


if __name__ == "__main__":
    main()
