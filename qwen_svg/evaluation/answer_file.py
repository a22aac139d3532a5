"""answers.jsonl of a benchmark: a line for each prompt as soon as it is answered, gone on with after a stop."""

from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.jsonl import append_all, written_before
from qwen_svg.evaluation.made_drawings import Made
from qwen_svg.evaluation.prompts import Prompt


def answered_before(path: Path, prompts: list[Prompt], way: dict) -> dict[str, Made]:
    """Return what an earlier call has drawn, by id.

    way: how drawings are made. Raises UserError where the file was begun in another way, or for another prompt.
    """
    texts = {prompt.id: prompt.text for prompt in prompts}
    found = {}
    for record in written_before(path, "id", "way"):
        if record["way"] != way:
            names = ", ".join(name for name in way if record["way"].get(name) != way[name]) or "setting"
            raise UserError(f"{path} was begun with another {names}; give another NAME, or draw as before.")
        if texts.get(record["id"], record["prompt"]) != record["prompt"]:
            raise UserError(f"{path} has {record['id']!r} drawn for another prompt; give another NAME.")
        found[record["id"]] = Made(*(record[name] for name in ("answer", "svg", "tokens", "seconds", "finished")))
    return found


def keep_answers(path: Path, answered: list[tuple[Prompt, Made]], way: dict) -> None:
    append_all(path, [{"id": prompt.id, "way": way, "prompt": prompt.text, **vars(made)} for prompt, made in answered])
