"""One drawing → samples: in the dialect, with reasoning and comments, compared with the original picture."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from corpus.dataset.fingerprint import fingerprint
from corpus.dataset.recolour import recoloured
from corpus.icons.wordings import wordings
from corpus.optimization.document import write_answer
from corpus.optimization.refusal import Refused
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.sources import Drawing
from corpus.workers import CRASHED, in_processes
from prompt_template import extract_svg
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import check

DECIMALS_TRIED = (0, 1)  # integers first; one decimal where they change the picture


@dataclass(frozen=True)
class Rules:
    """What is kept, and in which form; the constants of corpus/build_dataset.py."""

    dialect: str
    compact: bool
    max_characters: int
    max_error: tuple[float, float]
    copies: int
    seed: int


def build_all(found: Iterable[tuple[int, Drawing]], rules: Rules, processes: int) -> Iterator[tuple[int, dict]]:
    """Yield (piece, line) for (piece, drawing), in order. No drawing stops it, not even one that crashes a process."""
    work = partial(_build_of_piece, rules=rules)
    for (piece, _), lines in in_processes(work, found, processes, lambda job: [refused(job[1], CRASHED)]):
        for line in lines:
            yield piece, line


def _build_of_piece(job: tuple[int, Drawing], rules: Rules) -> list[dict]:
    return build(job[1], rules)


def build(drawing: Drawing, rules: Rules) -> list[dict]:
    """Return lines for the join: the sample and its recoloured copies, or one that says why there is none.

    Of a sample: `record` as it is written, `original` SVG, `fingerprint` (base64), and of an icon `wordings`,
    descriptions by kind. Of a refusal: `refused`, `source`.
    """
    if drawing.fault or not drawing.description:
        return [refused(drawing, drawing.fault or "no description")]
    try:
        return list(_lines(drawing, rules))
    except Refused as refusal:
        return [refused(drawing, str(refusal))]
    except Exception as error:  # a bug of ours or of a library: counted under its name, and the batch goes on
        return [refused(drawing, f"error: {type(error).__name__}")]


def _lines(drawing: Drawing, rules: Rules) -> Iterator[dict]:
    try:
        before = render_rgb(drawing.svg)
    except ValueError:
        raise Refused("does not render") from None
    parts, line = _first_legal(drawing, before, rules)
    if drawing.words:
        svg = extract_svg(line["record"]["svg_content"]) or ""
        line["wordings"] = wordings(drawing.words, svg)
    yield line
    for colour, description, copy in recoloured(drawing.description, parts, rules.copies, f"{rules.seed} {drawing.id}"):
        text, svg = _answer(description, copy, rules)
        if len(text) <= rules.max_characters:
            yield _line(drawing, f"{drawing.id}-{colour}", description, text, svg, render_rgb(svg))


def _first_legal(drawing: Drawing, before: Any, rules: Rules) -> tuple[list, dict]:
    """Return the shapes on the coarsest grid that keeps the picture, and their line. Raises Refused."""
    try:
        drawn = resolve(drawing.svg)
    except Refused as refusal:
        raise Refused(f"not in the dialect: {refusal}") from None
    reason = ""
    for decimals in DECIMALS_TRIED:
        parts = shorten(drawn, rules.dialect, decimals)
        text, svg = _answer(drawing.description, parts, rules)
        verdict = check(svg, rules.dialect)
        if not verdict.valid:
            reason = f"not legal: {verdict.violations[0].rule}"
            continue
        after = render_rgb(svg)
        error, worst_tile = picture_difference(before, after)
        if error <= rules.max_error[0] and worst_tile <= rules.max_error[1]:
            if len(text) > rules.max_characters:
                raise Refused(f"longer than {rules.max_characters} characters")
            return parts, _line(drawing, drawing.id, drawing.description, text, svg, after)
        reason = "the picture differs"
    raise Refused(reason)


def _answer(description: str, parts: list, rules: Rules) -> tuple[str, str]:
    text = write_answer(description, parts, rules.compact)
    return text, extract_svg(text) or ""


def _line(drawing: Drawing, id: str, description: str, text: str, svg: str, picture: Any) -> dict:
    record = {"id": id, "description": description, "svg_content": text, "group": drawing.group}
    return {
        "record": record | {"source": drawing.source, "license": drawing.license},
        "original": drawing.svg,
        "fingerprint": base64.b64encode(fingerprint(picture, svg)).decode("ascii"),
    }


def refused(drawing: Drawing, reason: str) -> dict:
    return {"refused": reason, "source": drawing.source}
