"""Other trainers' data → training data: messages, conversations (ShareGPT), prompt and completion, Alpaca.

Reads   INPUT: a table (.jsonl, .json, .csv, .parquet; file, pattern, folder) or a hub dataset.
Writes  OUTPUT (JSON lines: id, description, svg_content; of an edit or a repair svg and task too).

    python -m corpus.from_chat data/chat.jsonl --output data/mine.jsonl

The description is what the user says; where that is this project's whole instruction, it is taken out of it. The answer
is the assistant's first. Turns of a system are left out, and so are rows without an answer, which are counted.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing

INPUT: str = ""  # the flag may be left out
OUTPUT: str = ""  # a .jsonl that does not exist yet


def check_constants(c: SimpleNamespace) -> None:
    if not c.INPUT or not c.OUTPUT:
        raise UserError("INPUT or OUTPUT is not given: `python -m corpus.from_chat data/chat.jsonl --output FILE`.")
    refuse_existing("OUTPUT", c.OUTPUT)


if __name__ == "__main__":
    c = start(__file__, positional="INPUT")
    check_constants(c)

import json
from collections.abc import Iterator
from shlex import quote

from prompt_template import extract_reasoning, extract_svg, read_prompt
from qwen_svg.common.files import atomic_write, require_writable
from qwen_svg.common.tables import rows

ASKS = ("user", "human", "prompt", "instruction")  # roles and columns
ANSWERS = ("assistant", "gpt", "completion", "response", "output")


def main(c: SimpleNamespace) -> None:
    require_writable(Path(c.OUTPUT))
    written = without_reasoning = left_out = 0
    with atomic_write(Path(c.OUTPUT)) as part, part.open("w", encoding="utf-8") as file:
        for row in rows(c.INPUT):
            asked, answer = asked_and_answered(row.values)
            if not (asked and extract_svg(answer)):
                left_out += 1
                continue
            written += 1
            without_reasoning += extract_reasoning(answer) is None
            id = str(row.values.get("id") or written)
            record = {"id": id, **fields_of(asked), "svg_content": answer}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if not written:
            raise UserError(f"INPUT {c.INPUT} holds no message with an <svg> behind one of a user.")
    print(f"{c.OUTPUT}: {written} samples; {left_out} rows without description or <svg> are left out")
    if without_reasoning:
        print(
            f"{without_reasoning} have no <reasoning>; `python -m corpus.build_dataset --sources {quote(c.OUTPUT)} "
            "--svg-column svg_content --output data/with-reasoning.jsonl` writes it"
        )


def asked_and_answered(values: dict) -> tuple[str, str]:
    """Return what is asked for first in a row, and the first answer to it; "" for what is missing."""
    said = list(turns(values))
    asked = next((i for i, (who, text) in enumerate(said) if who in ASKS and text), len(said))
    answer = next((text for who, text in said[asked:] if who in ANSWERS and text), "")
    return (said[asked][1] if asked < len(said) else ""), answer


def turns(values: dict) -> Iterator[tuple[str, str]]:
    """Yield (who, text) of a row's messages, whichever of the usual columns holds them."""
    listed = values.get("messages") or values.get("conversations") or []
    if isinstance(listed, str):  # a CSV's
        try:
            listed = json.loads(listed)
        except ValueError:
            listed = []
    for column in (*ASKS, *ANSWERS) if not listed else ():
        value = values.get(column)
        listed = [*listed, *(value if isinstance(value, list) else [{"role": column, "content": value}])]
    for turn in listed:
        if isinstance(turn, dict):
            text = turn.get("content", turn.get("value"))
            yield str(turn.get("role", turn.get("from"))), text.strip() if isinstance(text, str) else ""


def fields_of(asked: str) -> dict[str, str]:
    """Return what stands in this project's instruction, as fields of a sample, or, of any other words, the words."""
    description, svg, task = read_prompt(asked) or (asked, None, "draw")
    return {"description": description.strip()} | ({} if svg is None else {"svg": svg, "task": task})


if __name__ == "__main__":
    run(main, c)
