"""Drawings that another system has made: a folder of SVGs, or JSON lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import rows
from qwen_svg.evaluation.prompts import Prompt


@dataclass(frozen=True)
class Made:
    """What was answered to a prompt, and what it took, where that is known."""

    answer: str  # "" where there is none
    svg: str | None  # as it is to be drawn
    tokens: int | None = None
    seconds: float | None = None
    finished: bool | None = None  # ended by itself, and was not cut at a limit


def made_elsewhere(model: str) -> bool:
    """Does MODEL name drawings instead of something that draws?"""
    path = Path(model).expanduser()
    return path.suffix == ".jsonl" or (path.is_dir() and next(path.glob("*.svg"), None) is not None)


def read_made(model: str, prompts: list[Prompt], missing_fail: bool) -> dict[str, Made]:
    """Return the drawings of a folder (ID.svg) or of JSON lines {id, svg} or {id, answer}, by id of the prompt.

    missing_fail: take a prompt without a drawing for one that the system failed at. Else that is a UserError, as are
    a line that is not what it should be, and drawings of other prompts only.
    """
    path = Path(model).expanduser()
    found = dict(_of_folder(path) if path.is_dir() else _of_lines(path))
    missing = [prompt.id for prompt in prompts if prompt.id not in found]
    if len(missing) == len(prompts):
        named = f", and has {next(iter(found))!r} for example" if found else ""
        raise UserError(f"MODEL {model} has no drawing for any prompt: the first one's id is {missing[0]!r}{named}.")
    if missing and not missing_fail:
        raise UserError(
            f"MODEL {model} has no drawing for {len(missing)} of {len(prompts)} prompts, the first of them "
            f"{missing[0]!r}; add them, or count them as failures with `--missing-fail`."
        )
    return {prompt.id: found.get(prompt.id, Made("", None)) for prompt in prompts}


def _of_folder(folder: Path) -> Iterator[tuple[str, Made]]:
    for file in sorted(folder.glob("*.svg")):
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
        yield file.stem, Made(text, text)


def _of_lines(path: Path) -> Iterator[tuple[str, Made]]:
    if not path.is_file():
        raise UserError(f"MODEL {path} does not exist; give a run, a model, or drawings that were made elsewhere.")
    seen = set()
    for row in rows(str(path)):
        id = str(row.values.get("id", ""))
        fault = row.fault or ("" if id else "no 'id'")
        answer = next((row.values[name] for name in ("svg", "svg_content", "answer") if name in row.values), None)
        if not fault and not isinstance(answer, str | None):
            fault = "its drawing is no text"
        if not fault and id in seen:
            fault = f"id {id!r} was used before"
        if not fault and answer is None and not row.values.keys() & {"svg", "svg_content", "answer"}:
            fault = "neither 'svg' nor 'answer'"
        if fault:
            raise UserError(f'{row.place}: {fault}; a line is like {{"id": …, "svg": …}}.')
        seen.add(id)
        answer = answer or ""
        svg = answer if "svg" in row.values and answer.strip() else extract_svg(answer)
        yield id, Made(answer, svg, row.values.get("tokens"), row.values.get("seconds"))
