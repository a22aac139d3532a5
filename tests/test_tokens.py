"""Token ids and batches: the end of turn is learned, padding is on the left, steps are random and of like length."""

from itertools import pairwise

import torch

from prompt_template import format_prompt
from qwen_svg.common.dataset import Sample
from qwen_svg.common.tokens import IGNORED, Encoded, encode
from qwen_svg.model.batches import LeftPaddingCollator, batches_by_length
from qwen_svg.training.sampler import LengthGroupedSampler
from tests.tiny import answer


def test_answer_ends_with_the_end_of_turn_and_reads_back(tokenizer):
    sample = Sample("1", "a gold circle", answer())
    (row,) = encode(tokenizer, [sample], "chat")
    assert row.answer[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.decode(row.answer[:-1]) == sample.answer
    assert tokenizer.decode(row.prompt) == format_prompt(tokenizer, sample.description)


def test_collator_pads_left_and_labels_the_answer():
    rows = [Encoded("a", [5, 6], [7, 8, 2]), Encoded("b", [5], [9, 2])]
    batch = LeftPaddingCollator(pad_id=0)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 2], [0, 0, 5, 9, 2]]
    assert batch["attention_mask"].tolist() == [[1] * 5, [0, 0, 1, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 7, 8, 2], [IGNORED, IGNORED, IGNORED, 9, 2]]
    assert batch["shift_labels"].tolist() == [7, 8, 2, 9, 2]
    assert batch["logits_to_keep"].nonzero().tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]]


def test_collator_labels_the_prompt_too_when_asked():
    batch = LeftPaddingCollator(pad_id=0, loss_on="all")([Encoded("a", [5, 6], [7, 2]), Encoded("b", [5], [2])])
    assert batch["shift_labels"].tolist() == [6, 7, 2, 2]  # a row's first token has nothing before it


def test_pad_that_equals_the_end_of_turn_keeps_its_label():
    """GGUF tokenizers pad with the end-of-turn token; masking labels by token id would unlearn to stop."""
    batch = LeftPaddingCollator(pad_id=2)([Encoded("a", [5, 6], [7, 2]), Encoded("b", [5], [2])])
    assert batch["shift_labels"].tolist() == [7, 2, 2]


def test_sampler_covers_everything_in_random_steps_of_like_length():
    lengths = torch.randint(400, 1560, (1003,), generator=torch.Generator().manual_seed(0)).tolist()
    sampler = LengthGroupedSampler(lengths, step=4, seed=3)
    order = list(sampler)
    assert sorted(order) == list(range(1003))
    assert order == list(LengthGroupedSampler(lengths, step=4, seed=3))
    steps = [[lengths[i] for i in order[j : j + 4]] for j in range(0, 1003, 4)]
    padded = sum(max(step) * len(step) for step in steps)
    assert padded / sum(lengths) < 1.02
    # No saw-tooth: the longest of each step goes up about as often as down, in no long runs.
    longest = [max(step) for step in steps]
    rises = sum(b > a for a, b in pairwise(longest))
    assert 0.4 < rises / len(longest) < 0.6


def test_sampler_reshuffles_by_epoch_and_repeats_an_epoch_exactly():
    sampler = LengthGroupedSampler(list(range(100, 140)), step=4, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert first != second and list(sampler) == first
    steps = [{frozenset(order[j : j + 4]) for j in range(0, 40, 4)} for order in (first, second)]
    assert len(LengthGroupedSampler([1] * 5, 4, 0)) == 5 and steps[0]


def test_batches_by_length_go_from_long_to_short():
    rows = [Encoded(str(n), [1] * n, [2]) for n in (3, 9, 5, 7, 1)]
    assert [[row.length for row in batch] for batch in batches_by_length(rows, 2)] == [[10, 8], [6, 4], [2]]
