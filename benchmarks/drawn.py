"""What a model answers, greedily: of several benchmarks."""

from qwen_svg.common.dataset import Sample
from qwen_svg.common.tokens import encode
from qwen_svg.generation.engine import generate_answers
from qwen_svg.model.load import load_to_draw
from qwen_svg.model.source import find_source


def drawn(
    model: str, samples: list[Sample], slots: int = 16, progress: str = "drawing", constrained: bool = False
) -> list[str]:
    """Return the answers to samples, in their order. model: what `find_source` knows. slots: drawings side by side."""
    loaded = load_to_draw(find_source(model))
    prompts = [row.prompt for row in encode(loaded.tokenizer, samples, loaded.prompt_form)]
    answers = generate_answers(
        loaded.model, loaded.tokenizer, prompts, max_total=loaded.max_length, max_new=loaded.max_length,
        temperature=0.0, seed=0, batch_size=slots, progress=progress, constrained=constrained,
    )  # fmt: skip
    return [answer.text for answer in answers]
