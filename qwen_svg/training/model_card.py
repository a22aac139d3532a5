"""README.md of a run: what the adapter is, what it was made from, how to use it."""

from pathlib import Path
from shlex import quote
from types import SimpleNamespace

from qwen_svg.common.files import read_json
from qwen_svg.common.processes import processes


def write_model_card(
    folder: Path, c: SimpleNamespace, ids: dict, before: float, after: float, steps: int, best: int | None = None
) -> None:
    """Write README.md. best: the step whose adapter was kept, where early stopping has chosen one."""
    facts = read_json(folder / "environment.json")
    tasks = ", ".join(f"{n} × {task}" for task, n in facts["data"].get("tasks", {}).items())
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    (folder / "README.md").write_text(
        f"""---
base_model: {c.BASE_MODEL}
library_name: peft
pipeline_tag: text-generation
tags: [svg, lora]
---

# {folder.name}: a LoRA adapter that draws

Answers a description with a short reasoning and an SVG of 256 × 256. Made by Qwen-SVG's `train.py`.

| | |
|---|---|
| base model | {c.BASE_MODEL} |
| adapter | LoRA, rank {c.LORA_RANK}, alpha {c.LORA_ALPHA}{" (rank-stabilised)" * c.LORA_RANK_STABILISED}, \
{", ".join(c.LORA_TARGETS)} |
| data | {facts["data"]["path"]} (sha256 {facts["data"]["sha256"][:16]}…) |
| tasks | {tasks or "draw"} |
| split | {len(ids["train"])} train, {len(ids["valid"])} valid, {len(ids["test"])} test; {len(ids["dropped"])} dropped |
| steps | {steps} of batch {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes()}, learning rate {c.LEARNING_RATE:g}\
{f"; the adapter is that of step {best}, the best" if best else ""} |
| validation cross-entropy | {before:.4f} before, {after:.4f} after (nats per token) |
| trained on | {facts["device"]}, {facts["dtype"]}{f", base in {c.BASE_QUANTIZATION}" if c.BASE_QUANTIZATION else ""} |
| made with | {packages} |

![loss](loss.png)

The licences of the base model and of the training data apply to this adapter too. All constants of the run
are in `config.yml`; `python evaluate_test.py --model {quote(folder.name)}` scores it.\
{" The tokenizer in this folder has the new SVG tokens." * bool(c.SVG_TOKENS)}
""",
        encoding="utf-8",
    )
