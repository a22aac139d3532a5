"""Drawing the prompts of a benchmark, side by side, each kept as soon as it is done."""

from collections.abc import Iterator
from contextlib import closing

from prompt_template import extract_svg
from qwen_svg.common.progress import Progress
from qwen_svg.evaluation.made_drawings import Made
from qwen_svg.evaluation.prompts import Prompt
from qwen_svg.generation.best_of_n import DrawingPlan, Request, draw_each
from qwen_svg.generation.predictor import Change, Predictor


def draw_prompts(predictor: Predictor, prompts: list[Prompt], plan: DrawingPlan) -> Iterator[tuple[Prompt, Made]]:
    """Yield each prompt when it is drawn; of several drawings (plan.n) the best. What cannot be drawn is empty."""
    by_id = {prompt.id: prompt for prompt in prompts}
    # Alike in length, they share steps best.
    longest_first = sorted(prompts, key=lambda prompt: -len(prompt.text + (prompt.svg or "")))
    requests = [Request(prompt.id, prompt.text, change=_change(prompt)) for prompt in longest_first]
    with (
        Progress(len(prompts), "drawing", "drawing") as bar,
        closing(draw_each(predictor, requests, plan)) as drawn,
    ):
        for request in drawn:
            bar.update()
            yield by_id[request.id], _made(request)


def _change(prompt: Prompt) -> Change | None:
    return None if prompt.svg is None else Change(prompt.svg, prompt.task)


def _made(request: Request) -> Made:
    if request.fault:
        return Made("", None)
    best = request.attempts[0].drawing
    return Made(best.answer, extract_svg(best.answer), best.tokens, round(best.seconds, 3), best.finished)
