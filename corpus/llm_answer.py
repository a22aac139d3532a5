"""An answer as the training data has it, for a drawing that is there already: a language model explains it.

The model is given the template's own instruction and the drawing, and writes the reasoning in seven steps and the
comments in the SVG. What it says is not believed: the SVG must be legal and draw the same picture.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corpus.chat_endpoint import AskFailed, Message
from prompt_template import build_prompt, extract_reasoning, extract_svg
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import check

STEPS = 7  # of the template's generation process
MAX_VIOLATIONS = 5  # named in a follow-up
_STEP = re.compile(r"^\W*(\d+)\s*[.):]", re.MULTILINE)


@dataclass(frozen=True)
class Answered:
    """text: `<reasoning>…</reasoning>` and the SVG; None: there is none, for the reason of the last attempt."""

    text: str | None
    reason: str  # "" where there is a text; few and without details, to be counted
    attempts: int  # times asked


@dataclass(frozen=True)
class AnswerFault:
    reason: str  # to be counted
    details: str  # to the model: a sentence or more


def answer_for(
    description: str,
    svg: str,
    ask: Callable[[list[Message]], str],
    dialect: str = "prompt",
    max_error: tuple[float, float] = (0.01, 0.10),
    attempts: int = 3,
) -> Answered:
    """Let a model write reasoning and comments for a drawing, and again with the fault named, up to `attempts` times.

    svg: legal in `dialect`. ask: like ChatEndpoint.ask; its AskFailed is a reason like others, and ends the attempts.
    max_error: greatest difference to svg's picture, mean and of the worst tile (qwen_svg/svg/render.py), 0 to 1.
    """
    picture = render_rgb(svg)
    question = {"role": "user", "content": _question(description, svg)}
    conversation = [question]
    fault = AnswerFault("not asked", "")
    for attempt in range(1, attempts + 1):
        try:
            said = ask(conversation)
        except AskFailed as failure:
            return Answered(None, str(failure), attempt)
        text, fault = _judge(said, picture, dialect, max_error)
        if fault is None:
            return Answered(text, "", attempt)
        # The last answer alone: earlier ones are long, and no better.
        conversation = [
            question,
            {"role": "assistant", "content": said},
            {"role": "user", "content": f"{fault.details} Mend that and give the whole answer again."},
        ]
    return Answered(None, fault.reason, attempts)


def _question(description: str, svg: str) -> str:
    return (
        f"{build_prompt(description)}\n\n"
        "### Drawing\n"
        "The drawing is made already:\n"
        f"```xml\n{svg}\n```\n"
        f"Write the answer that ends in this drawing: in <reasoning>...</reasoning> the {STEPS} steps above, numbered "
        f"1. to {STEPS}., one short line each, true of this drawing and written as if before it was made; then the "
        "same SVG, every element and number as it is, with each comment replaced by one that says what the block is "
        "of the thing drawn, and its color."
    )


def _judge(said: str, picture: Any, dialect: str, max_error: tuple[float, float]) -> tuple[str, AnswerFault | None]:
    """Return (the answer in its final form, None) or ("", what is wrong with it)."""
    reasoning = extract_reasoning(said)
    if reasoning is None:
        return "", AnswerFault("no reasoning", "The answer has no <reasoning>...</reasoning> section before the SVG.")
    if [int(number) for number in _STEP.findall(reasoning)] != list(range(1, STEPS + 1)):
        return "", AnswerFault("not seven steps", f"The reasoning must be {STEPS} lines that begin with 1. to {STEPS}.")
    if extract_svg(reasoning):
        return "", AnswerFault("SVG in the reasoning", "The reasoning holds an SVG; the drawing comes after it.")
    svg = extract_svg(said)
    if svg is None:
        return "", AnswerFault("no SVG", "The answer has no complete <svg ...>...</svg> behind the reasoning.")
    violations = check(svg, dialect).violations
    if violations:
        named = "; ".join(f"line {v.line}: {v.message}" for v in violations[:MAX_VIOLATIONS])
        return "", AnswerFault(f"not legal: {violations[0].rule}", f"The SVG breaks the constraints: {named}.")
    try:
        error, worst_tile = picture_difference(picture, render_rgb(svg))
    except ValueError:
        return "", AnswerFault("does not render", "The SVG cannot be rendered.")
    if error > max_error[0] or worst_tile > max_error[1]:
        return "", AnswerFault(
            "the picture differs", "The SVG draws another picture; keep every element and number as given."
        )
    return f"<reasoning>\n{reasoning}\n</reasoning>\n\n{svg}", None
