"""Step 1: how long are my samples, in tokens of the base model?

Reads   JSONL of {id, description, svg_content} and a tokenizer (hub id, local folder or .gguf file).
Writes  <OUTPUT_DIR>/token_lengths.png and token_lengths.json; a table on the terminal.

    python preprocess_token_lengths.py --data-path data/svg_results.jsonl
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from qwen_svg.common.constants import Above, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import data_files, require_data_files, write_json
from qwen_svg.model.find import require_base

# Input
DATA_PATH: list[str] = ["data/svg_results.jsonl"]  # JSON lines with id, description, svg_content; all of each file
TOKENIZER: str = "Qwen/Qwen2.5-1.5B-Instruct"  # hub id, local folder or .gguf file
SVG_TOKENS: Literal["", "markup", "numbers"] = ""  # count with the new tokens that train.py adds
PROMPT_FORM: Literal["chat", "raw"] = "chat"  # "chat" (instruct bases) or "raw" (the template alone), as in train.py
ON_BAD_LINE: Literal["skip", "stop"] = "skip"  # "skip" bad lines and count them, or "stop" at the first
MEND_ANSWERS: Literal["keep", "mend", "drop"] = "keep"  # those with fences, chatter …; as in train.py
# Limit
MAX_LENGTH: Annotated[int, Above(0, 10**6)] = 1560  # prompt + answer; drawn and counted against, as in train.py
# Output
OUTPUT_DIR: str = "outputs/token_lengths"  # created when missing


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what is not there, before anything heavy is imported."""
    require_data_files(c.DATA_PATH)
    require_base(c.TOKENIZER)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import numpy as np

from prompt_template import build_prompt
from qwen_svg.common.dataset import ReadResult, in_batches, stream_files, together
from qwen_svg.common.tokens import token_ids, within_reach
from qwen_svg.model.svg_tokens import add_svg_tokens
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.token_lengths import PARTS, draw, measure

CANDIDATE_LIMITS = (512, 768, 1024, 1280, 1560, 2048, 3072, 4096)


def main(c: SimpleNamespace) -> None:
    tokenizer = load_tokenizer(c.TOKENIZER)
    if c.SVG_TOKENS:
        add_svg_tokens(tokenizer, c.SVG_TOKENS)
    files = [ReadResult(file) for file, _ in data_files(c.DATA_PATH)]
    lengths, over = {part: [] for part in PARTS}, []
    beyond: list[str] = []  # longer than any limit of the table, and not measured
    samples = stream_files(files, c.ON_BAD_LINE, c.MEND_ANSWERS)
    for batch in in_batches(within_reach(tokenizer, samples, max(*CANDIDATE_LIMITS, c.MAX_LENGTH), beyond), 256):
        for part, counts in measure(tokenizer, batch, c.PROMPT_FORM).items():
            lengths[part] += counts
        totals = lengths["total"][-len(batch) :]
        over += [sample.id for sample, n in zip(batch, totals, strict=True) if n > c.MAX_LENGTH]
    print("\n".join(line for read in files for line in read.report()))
    if not lengths["total"]:
        longest = max(*CANDIDATE_LIMITS, c.MAX_LENGTH)
        raise UserError(f"each sample of {', '.join(c.DATA_PATH)} is longer than {longest} tokens.")
    figures = summarise(lengths, c.MAX_LENGTH, len(beyond))
    figures["template_tokens"] = template_tokens(tokenizer)
    figures["lines"] = together(files).counts()
    figures["dropped_ids"] = over + beyond

    folder = Path(c.OUTPUT_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "token_lengths.json", figures)
    draw(lengths, c.MAX_LENGTH, folder / "token_lengths.png")
    print_table(lengths, figures)
    print(f"\n{folder / 'token_lengths.png'} · {folder / 'token_lengths.json'}")


def template_tokens(tokenizer: Any) -> int:
    """Return the length of the instruction template with an empty description, without chat markup."""
    return len(token_ids(tokenizer, [build_prompt("")])[0])


def summarise(lengths: dict[str, list[int]], limit: int, beyond: int = 0) -> dict:
    """Return the figures of token_lengths.json: sample counts and percentiles (linear interpolation).

    beyond: samples too long to be measured, which are in the counts alone.
    """
    figures: dict = {
        "samples": len(lengths["total"]) + beyond,
        "limit": limit,
        "over_limit": sum(n > limit for n in lengths["total"]) + beyond,
    }
    for part in PARTS:
        p50, p90, p95, p99 = np.percentile(lengths[part], (50, 90, 95, 99))
        figures[part] = {
            "p50": float(p50),
            "p90": float(p90),
            "p95": float(p95),
            "p99": float(p99),
            "max": max(lengths[part]),
            "mean": round(float(np.mean(lengths[part])), 2),
        }
    return figures


def print_table(lengths: dict[str, list[int]], figures: dict) -> None:
    print(f"\n{'tokens':<10}" + "".join(f"{name:>8}" for name in ("p50", "p90", "p95", "p99", "max")))
    for part in PARTS:
        row = [figures[part][name] for name in ("p50", "p90", "p95", "p99", "max")]
        print(f"{part:<10}" + "".join(f"{value:>8.0f}" for value in row))
    print(f"template  {figures['template_tokens']:>8}")
    print(f"\n{'limit':<10}{'fit':>8}{'share':>8}{'dropped':>9}")
    for limit in sorted({*CANDIDATE_LIMITS, figures["limit"]}):
        fit = sum(n <= limit for n in lengths["total"])
        mark = "  <- MAX_LENGTH" if limit == figures["limit"] else ""
        share = fit / figures["samples"]
        print(f"{limit:<10}{fit:>8}{share:>8.1%}{figures['samples'] - fit:>9}{mark}")
    dropped = figures["dropped_ids"]
    if dropped:
        shown = ", ".join(dropped[:8]) + (f" … and {len(dropped) - 8} more" if len(dropped) > 8 else "")
        print(f"dropped at {figures['limit']}: {shown} (all in token_lengths.json)")


if __name__ == "__main__":
    run(main, c)
