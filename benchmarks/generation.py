"""How fast are answers decoded? Tokens per second beside the plain way: one sample at a time, adapter not merged.

    python -m benchmarks.generation [--json] [RUN_DIR]

RUN_DIR: a finished run (default outputs/quickstart). Its model answers descriptions of its own data: PLAIN of them by
`generate` of transformers, one after the other; 32 of them in slots, merged, without and with the grammar. Each
contender runs in every round; ratios are of the same round. Greedy, at most MAX_NEW tokens an answer.
"""

import statistics
import sys
from pathlib import Path

import torch
import yaml

from benchmarks.measure import peak_bytes, report, seconds
from qwen_svg.common.dataset import read_samples
from qwen_svg.common.tokens import encode
from qwen_svg.generation.engine import generate_answers
from qwen_svg.model.adapter import merge_adapter
from qwen_svg.model.device import pick_device, pick_dtype
from qwen_svg.model.load import load_base
from qwen_svg.model.tokenizer import load_tokenizer

PLAIN, SAMPLES, MAX_NEW, ROUNDS = 3, 32, 160, 2
SLOTS = (16, 32)


def main() -> None:
    run = Path(next((a for a in sys.argv[1:] if not a.startswith("-")), "outputs/quickstart"))
    config = yaml.safe_load((run / "config.yml").read_text(encoding="utf-8"))
    tokenizer, device = load_tokenizer(config["base_model"]), pick_device()
    dtype = pick_dtype(device, config["fp16"])
    samples = read_samples(config["data_path"][0]).samples
    samples = samples[:: len(samples) // SAMPLES][:SAMPLES]
    prompts = [row.prompt for row in encode(tokenizer, samples, config["prompt_form"])]
    from peft import PeftModel

    plain = PeftModel.from_pretrained(load_base(config["base_model"], device, dtype), str(run)).eval()
    merged = merge_adapter(load_base(config["base_model"], device, dtype), run)

    contenders = {"one at a time, not merged": lambda: one_at_a_time(plain, prompts[:PLAIN], tokenizer)}
    for slots in SLOTS:
        contenders[f"{slots} slots, merged"] = lambda n=slots: in_slots(merged, tokenizer, prompts, n, False)
    contenders[f"{SLOTS[-1]} slots, merged, grammar"] = lambda: in_slots(merged, tokenizer, prompts, SLOTS[-1], True)
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            tokens: list[int] = []
            elapsed = seconds(lambda w=work, t=tokens: t.append(w()))
            speeds[name].append(tokens[0] / elapsed)
    reference = speeds["one at a time, not merged"]
    figures = {}
    for name, values in speeds.items():
        ratio = statistics.median(value / other for value, other in zip(values, reference, strict=True))
        figures[name] = {"tokens_per_second": statistics.median(values), "ratio": ratio}
        print(f"{name:<30}{statistics.median(values):>8.1f} tokens/s {ratio:>6.2f}x")
    figures["peak_gigabytes"] = peak_bytes() / 1e9
    report(figures)


@torch.no_grad()
def one_at_a_time(model, prompts: list[list[int]], tokenizer) -> int:
    """Return the number of tokens generated."""
    total = 0
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        out = model.generate(
            input_ids=ids, max_new_tokens=MAX_NEW, do_sample=False, eos_token_id=tokenizer.eos_token_id
        )
        total += out.shape[1] - len(prompt)
    return total


def in_slots(model, tokenizer, prompts: list[list[int]], slots: int, constrained: bool) -> int:
    answers = generate_answers(model, tokenizer, prompts, 10_000, MAX_NEW, slots, 0.0, 0, f"{slots} slots", constrained)
    return sum(answer.tokens for answer in answers)


if __name__ == "__main__":
    main()
