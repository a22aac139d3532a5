"""Generated answers: batched ones equal single ones, stops are honoured, the order is kept."""

import pytest
import torch

from common.dataset import Sample
from common.decoding import generate_answers
from common.model import load_base
from common.tokens import encode
from tests.tiny import answer


@pytest.fixture(scope="module")
def model(tiny_base):
    return load_base(str(tiny_base), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def prompts(tokenizer):
    samples = [Sample(str(i), "a fox" + ", red" * i, answer()) for i in (3, 0, 5, 1, 2)]
    return [row.prompt for row in encode(tokenizer, samples, "chat")]


def generate(model, tokenizer, prompts, batch_size=2, temperature=0.0, max_new=24, seed=1):
    return generate_answers(model, tokenizer, prompts, 5000, max_new, batch_size, temperature, seed, "test")


def test_batches_with_left_padding_answer_like_single_prompts(model, tokenizer, prompts):
    single = generate(model, tokenizer, prompts, batch_size=1)
    for batch_size in (2, 5):
        batched = generate(model, tokenizer, prompts, batch_size=batch_size)
        assert [a.text for a in batched] == [a.text for a in single]
    assert all(a.tokens == 24 and not a.finished for a in single)


def test_sampling_repeats_with_its_seed(model, tokenizer, prompts):
    first, again, other = (
        [a.text for a in generate(model, tokenizer, prompts, temperature=1.0, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


class Scripted(torch.nn.Module):
    """Wraps a model's generate: whatever the prompt, the rows are forced to the given texts."""

    def __init__(self, model, tokenizer, texts):
        super().__init__()
        self.model, self.device = model, model.device
        self.rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

    def generate(self, input_ids, **kwargs):
        width = input_ids.shape[1]

        def allowed(row: int, ids: torch.Tensor) -> list[int]:
            script = self.rows[row]
            return [script[min(len(ids) - width, len(script) - 1)]]

        return self.model.generate(input_ids=input_ids, prefix_allowed_tokens_fn=allowed, **kwargs)


def test_rows_stop_at_the_end_of_turn_or_behind_their_svg(model, tokenizer, prompts):
    closed = "<reasoning>\nends in </svg>\n</reasoning>\n<svg>a</svg>"
    texts = [closed + "chatter" * 9, "sorry<|im_end|>never read", "no end, no end, no end, no end"]
    scripted = Scripted(model, tokenizer, texts)
    answers = generate_answers(scripted, tokenizer, [prompts[0]] * 3, 5000, 60, 3, 0.0, 1, "test")
    assert answers[0].text == closed and answers[0].finished
    assert answers[1].text == "sorry" and answers[1].finished
    assert answers[2].text.startswith("no end, no end") and not answers[2].finished and answers[2].tokens == 60


def test_the_limit_counts_the_prompt(model, tokenizer, prompts):
    longest = max(map(len, prompts))
    answers = generate_answers(model, tokenizer, prompts, longest + 7, 500, 5, 0.0, 1, "test")
    assert [a.tokens for a in answers] == [7] * 5
