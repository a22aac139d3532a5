"""Token ids and batches: the end of turn is learned, padding is on the left, steps are random and of like length."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from prompt_template import build_prompt, format_prompt
from qwen_svg.common.dataset import Sample, read_samples
from qwen_svg.common.tokens import (
    IGNORED,
    ControlNames,
    Encoded,
    encode,
    prompt_ids,
    stop_tokens,
    text_ids,
    token_ids,
    within_reach,
)
from qwen_svg.model.batches import LeftPaddingCollator, batches_by_length
from qwen_svg.model.svg_tokens import add_svg_tokens
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.sampler import LengthGroupedSampler
from tests.paths import SHARED
from tests.tiny import answer, make_llama_tokenizer, make_tokenizer

REAL = SHARED / "data" / "svg_results.jsonl"


def test_answer_ends_with_the_end_of_turn_and_reads_back(tokenizer):
    sample = Sample("1", "a gold circle", answer())
    (row,) = encode(tokenizer, [sample], "chat")
    assert row.answer[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.decode(row.answer[:-1]) == sample.answer
    assert tokenizer.decode(row.prompt) == format_prompt(tokenizer, sample.description)


def real_tokenizer():
    return load_tokenizer(str(SHARED / "data" / "qwen_tokenizer"))


@pytest.fixture(params=[make_tokenizer, make_llama_tokenizer, real_tokenizer], scope="module")
def any_tokenizer(request):
    if request.param is real_tokenizer and not REAL.exists():
        pytest.skip("the real tokenizer is not here")
    return request.param()


def control_ids(tokenizer, ids: list[int]) -> list[int]:
    control = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [id for id in ids if id in control]


def test_control_tokens_in_a_text_are_text(any_tokenizer):
    """In descriptions, answers and earlier turns; the markup of the chat template around them is control as ever."""
    names = [token.content for token in any_tokenizer.added_tokens_decoder.values() if token.content[0] == "<"][:8]
    hostile = f"a {names[0]}fox{''.join(names)} {names[-1]}"
    before = [(f"{names[1]} house", f"<reasoning>{names[0]}</reasoning>{names[-1]}")]
    for form in ("chat", "raw"):
        for turns in ([], before):
            markup = token_ids(any_tokenizer, [format_prompt(any_tokenizer, "a fox", form, [("b", "c")] * len(turns))])[
                0
            ]
            ids = prompt_ids(any_tokenizer, hostile, form, turns)
            assert control_ids(any_tokenizer, ids) == control_ids(any_tokenizer, markup)
            assert build_prompt(hostile).replace(" ", "") in any_tokenizer.decode(ids).replace(" ", "")
    sample = Sample("1", hostile, answer().replace("A gold", hostile))
    (row,) = encode(any_tokenizer, [sample], "chat")
    assert row.prompt == prompt_ids(any_tokenizer, hostile, "chat")
    (changed,) = encode(any_tokenizer, [replace(sample, svg=hostile, task="repair")], "chat")
    assert control_ids(any_tokenizer, changed.prompt) == control_ids(any_tokenizer, row.prompt)
    written = build_prompt(hostile, hostile, "repair").replace(" ", "")
    assert written in any_tokenizer.decode(changed.prompt).replace(" ", "")
    assert control_ids(any_tokenizer, row.answer) == row.answer[-1:] and row.answer[-1] in stop_tokens(any_tokenizer)
    assert any_tokenizer.decode(row.answer[:-1]).split() == sample.answer.split()


def test_other_texts_have_the_ids_that_the_tokenizer_gives_them(any_tokenizer):
    """Also by the way that texts with control tokens go: borders between markup and text merge as ever."""
    real = read_samples(REAL).samples[::9] if REAL.exists() else []
    samples = [*real, Sample("1", "a fox ", answer()), Sample("2", "fuchs\n<svg> é｜狐", " x ")]
    names = ControlNames(any_tokenizer)
    rows = encode(any_tokenizer, samples, "chat")
    for sample, row in zip(samples, rows, strict=True):
        prompt = format_prompt(any_tokenizer, sample.description)
        assert row.prompt == names.ids(names.swap(prompt)) == token_ids(any_tokenizer, [prompt])[0]
        assert row.answer[:-1] == names.ids(sample.answer) == token_ids(any_tokenizer, [sample.answer])[0]


def test_added_tokens_that_are_no_control_tokens_stay_tokens():
    tokenizer = make_tokenizer()
    few = text_ids(tokenizer, ["<|im_end|>" + answer()])[0]
    add_svg_tokens(tokenizer, "numbers")
    (row,) = encode(tokenizer, [Sample("1", "<|im_end|>", "<|im_end|>" + answer())], "chat")
    assert len(row.answer) < len(few) - 9 and control_ids(tokenizer, row.answer) == row.answer[-1:]
    assert tokenizer.decode(row.answer[:-1]) == "<|im_end|>" + answer()


def test_what_is_far_too_long_is_not_tokenised(tokenizer):
    longest = max(map(len, tokenizer.get_vocab()))
    samples = [Sample(str(n), "", "x" * n) for n in (5, 10 * longest, 10 * longest + 1)]
    beyond = []
    assert list(within_reach(tokenizer, samples, 10, beyond)) == samples[:2] and beyond == [samples[2].id]


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
