"""Training data → messages, the form that other trainers read: TRL, Unsloth, LLaMA-Factory, Axolotl.

Reads   JSONL of {id, description, svg_content}, as train.py takes it, edits and repairs among them.
Writes  OUTPUT (JSON lines: id, messages), and beside it, in .jinja, the chat template by which the base's own tokenizer
        makes of them the tokens that train.py trains on, with the answer marked as what there is a loss on.

    python -m corpus.to_chat data/svg_results.jsonl --output data/chat.jsonl
    python -m corpus.to_chat data/svg_results.jsonl --output data/chat.jsonl --run first

The user's message is the whole instruction, the assistant's the answer. Configs of the other trainers that train what
train.py does are in configs/other_trainers/ (docs/recipes.md). `python -m corpus.from_chat` is the way back.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run
from qwen_svg.common.files import data_files, refuse_existing, require_data_files
from qwen_svg.common.run_folder import open_run
from qwen_svg.model.find import require_base

DATA_PATH: list[str] = ["data/svg_results.jsonl"]  # the samples, all of each file; the flag may be left out
OUTPUT: str = "data/chat.jsonl"  # a file that does not exist yet
RUN: str = ""  # a run of train.py: only what it trains on, its training split; "" = all samples
TOKENIZER: str = "Qwen/Qwen2.5-1.5B-Instruct"  # of the base that will be trained: hub id, local folder or .gguf file
PROMPT_FORM: Literal["chat", "raw"] = "chat"  # as in train.py


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what is not there, or would be written over, before anything heavy is imported."""
    require_data_files(c.DATA_PATH)
    require_base(c.TOKENIZER)
    if c.RUN:
        open_run(c.RUN)
    for path in outputs(c):
        refuse_existing("OUTPUT", path)


def outputs(c: SimpleNamespace) -> tuple[Path, Path]:
    return Path(c.OUTPUT), Path(c.OUTPUT).with_suffix(".jinja")


if __name__ == "__main__":
    c = start(__file__, positional="DATA_PATH")
    check_constants(c)

import json

from prompt_template import build_prompt
from qwen_svg.common.dataset import ReadResult, stream_files
from qwen_svg.common.files import atomic_write, require_writable, write_text
from qwen_svg.common.run_split import samples_of
from qwen_svg.model.chat_template import trained_chat_template
from qwen_svg.model.tokenizer import load_tokenizer


def main(c: SimpleNamespace) -> None:
    lines, template = outputs(c)
    require_writable(lines, template)
    jinja = trained_chat_template(load_tokenizer(c.TOKENIZER), c.PROMPT_FORM, mark_answers=True)
    files, count = [ReadResult(file) for file, _ in data_files(c.DATA_PATH)], 0
    samples = samples_of(open_run(c.RUN).folder, "train", c.DATA_PATH) if c.RUN else stream_files(files)
    with atomic_write(lines) as part, part.open("w", encoding="utf-8") as file:
        for sample in samples:
            messages = [
                {"role": "user", "content": build_prompt(*sample.asked)},
                {"role": "assistant", "content": sample.answer},
            ]
            file.write(json.dumps({"id": sample.id, "messages": messages}, ensure_ascii=False) + "\n")
            count += 1
    write_text(template, jinja)
    report = [line for read in files for line in read.report()]
    print("\n".join([f"{c.RUN}: the {count} samples of its training split"] if c.RUN else report))
    print(f"{lines}: {count} samples as messages · {template}: the chat template of {c.TOKENIZER}")


if __name__ == "__main__":
    run(main, c)
