"""Generated answers: batched ones equal single ones, stops are honoured, the order is kept."""

import sys
from types import SimpleNamespace

import pytest
import torch

from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import encode, stop_tokens
from qwen_svg.generation.engine import Engine, answer_from_tokens, generate_answers, rows_for
from qwen_svg.generation.vllm_engine import VLLMEngine, pick_engine
from qwen_svg.model.load import load_base
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


@pytest.mark.parametrize("batch_size", [2, 3, 5])
@pytest.mark.parametrize("growth", [2, 256])
def test_slots_that_are_filled_again_answer_like_single_prompts(
    model, tokenizer, prompts, batch_size, growth, monkeypatch
):
    """Limits differ, so rows end at different steps; small growth makes the cache grow, shift and trim all the time."""
    monkeypatch.setattr("qwen_svg.generation.kv_cache.GROWTH", growth)
    total = max(map(len, prompts)) + 9

    def texts(size: int, temperature: float) -> list[tuple[str, int]]:
        answers = generate_answers(model, tokenizer, prompts, total, 500, size, temperature, 3, "test")
        return [(a.text, a.tokens) for a in answers]

    single = texts(1, 0.0)
    assert [tokens for _, tokens in single] == [total - len(prompt) for prompt in prompts]
    assert texts(batch_size, 0.0) == single
    assert texts(batch_size, 0.8) == texts(1, 0.8) != single


def test_a_step_reads_no_more_than_so_many_tokens_of_prompts(model, tokenizer, prompts, monkeypatch):
    """Nobody's drawing stands still for longer, and a client that leaves is noticed between two steps."""
    limit = 2 * max(map(len, prompts))
    monkeypatch.setattr("qwen_svg.generation.engine.PROMPT_TOKENS", {"cpu": limit})
    read = []
    hook = model.register_forward_pre_hook(
        lambda _, __, inputs: read.append(inputs["input_ids"].shape), with_kwargs=True
    )
    try:
        together = [one.text for one in generate(model, tokenizer, prompts * 2, batch_size=8)]
    finally:
        hook.remove()
    assert max(rows * tokens for rows, tokens in read) <= limit and max(rows for rows, _ in read) == 8
    # A single prompt is read however long it is.
    monkeypatch.setattr("qwen_svg.generation.engine.PROMPT_TOKENS", {"cpu": 1})
    assert [one.text for one in generate(model, tokenizer, prompts * 2, batch_size=8)] == together


def test_greedy_answers_are_the_librarys(model, tokenizer, prompts):
    for prompt, answer_ in zip(prompts, generate(model, tokenizer, prompts, batch_size=3), strict=True):
        out = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False, repetition_penalty=1.0)
        assert tokenizer.decode(out[0, len(prompt) :], skip_special_tokens=True) == answer_.text


class Scripted:
    """Stands before a model: whatever the prompt, row i is made to write text i."""

    def __init__(self, model, tokenizer, texts):
        self.model, self.device = model, model.device
        self.rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        self.step = -1

    def __call__(self, **inputs):
        out = self.model(**inputs)
        self.step += 1
        for scores, row in zip(out.logits[:, -1], self.rows, strict=True):
            scores[row[min(self.step, len(row) - 1)]] = 1e9
        return out


def test_rows_stop_at_the_end_of_turn_or_behind_their_svg(model, tokenizer, prompts, monkeypatch):
    monkeypatch.setattr("qwen_svg.generation.engine.KEEP_SHARE", 0)  # rows keep their places …
    monkeypatch.setattr("qwen_svg.generation.engine.PROMPT_TOKENS", {"cpu": 10**6})  # … and are let in together
    closed = "<reasoning>\nends in </svg>\n</reasoning>\n<svg>a</svg>"
    texts = [closed + "chatter" * 9, "sorry<|im_end|>never read", "no end, no end, no end, no end"]
    scripted = Scripted(model, tokenizer, texts)
    answers = generate_answers(scripted, tokenizer, [prompts[0]] * 3, 5000, 60, 3, 0.0, 1, "test")
    assert answers[0].text == closed and answers[0].finished
    assert answers[1].text == "sorry" and answers[1].finished
    assert answers[2].text.startswith("no end, no end") and not answers[2].finished and answers[2].tokens == 60


class FakeVLLM:
    """vLLM's names as of 0.33, answering with this project's own decoder: what is passed to it is what is tested."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer, self.calls = model, tokenizer, []

    def modules(self):
        llm = SimpleNamespace(LLM=self.make, SamplingParams=SimpleNamespace)
        request = SimpleNamespace(LoRARequest=lambda name, number, path: (name, number, path))
        return {"vllm": llm, "vllm.lora": SimpleNamespace(request=request), "vllm.lora.request": request}

    def make(self, **settings):
        self.settings = settings
        return self

    def generate(self, prompts, params, lora_request=None):
        self.calls.append((params, lora_request))
        outputs = []
        for prompt, settings in zip(prompts, params, strict=True):
            ids = torch.tensor([prompt["prompt_token_ids"]])
            out = self.model.generate(ids, max_new_tokens=settings.max_tokens, do_sample=False)
            outputs.append(SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(out[0, ids.shape[1] :].tolist()))]))
        return outputs


def test_vllm_is_told_rank_limits_and_stops_and_answers_the_same(model, tokenizer, prompts, monkeypatch, tmp_path):
    fake = FakeVLLM(model, tokenizer)
    for name, module in fake.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    engine = VLLMEngine("base", tmp_path, rank=48, dtype=torch.float16, max_total=1560, seed=3)
    assert fake.settings["max_lora_rank"] == 64 and fake.settings["enable_lora"]
    assert fake.settings["max_model_len"] == 1560 and fake.settings["dtype"] == "float16"
    total = max(map(len, prompts)) + 9
    expected = generate_answers(model, tokenizer, prompts, total, 500, 2, 0.0, 3, "test")
    answers = engine.generate_answers(tokenizer, prompts, total, 500, 0.0, 3, with_adapter=True)
    assert [(a.text, a.tokens, a.finished) for a in answers] == [(a.text, a.tokens, a.finished) for a in expected]
    params, request = fake.calls[0]
    assert [p.max_tokens for p in params] == [total - len(prompt) for prompt in prompts]
    assert all(tokenizer.eos_token_id in p.stop_token_ids for p in params)
    assert len({p.seed for p in params}) == len(params)
    assert request == ("adapter", 1, str(tmp_path))
    engine.generate_answers(tokenizer, prompts[:1], total, 500, 0.0, 3, with_adapter=False)
    assert fake.calls[1][1] is None
    with pytest.raises(UserError, match="up to rank 512"):
        VLLMEngine("base", tmp_path, rank=1024, dtype=torch.float16, max_total=1560, seed=3)


def test_an_answer_ends_with_its_svg_whatever_an_engine_adds(tokenizer):
    closed = "<reasoning>\nends in </svg>\n</reasoning>\n<svg>a</svg>"
    tokens = tokenizer(closed + "chatter", add_special_tokens=False)["input_ids"]
    ended = answer_from_tokens(tokenizer, tokens, stop_tokens(tokenizer), 1.0)
    assert ended.text == closed and ended.finished and ended.tokens < len(tokens)


def test_engine_is_vllm_only_where_it_can_run(monkeypatch):
    plain = {"BASE_MODEL": "owner/name", "BASE_QUANTIZATION": "", "SVG_TOKENS": False}
    trained = SimpleNamespace(**plain)
    assert pick_engine("auto", trained) == "transformers"
    with pytest.raises(UserError, match="--engine transformers"):
        pick_engine("vllm", trained)
    monkeypatch.setattr("qwen_svg.generation.vllm_engine.find_spec", lambda name: object())
    assert pick_engine("auto", trained) == pick_engine("vllm", trained) == "vllm"
    assert pick_engine("transformers", trained) == "transformers"
    for odd in ({"BASE_MODEL": "models/small.gguf"}, {"SVG_TOKENS": True}, {"BASE_QUANTIZATION": "nf4"}):
        assert pick_engine("auto", SimpleNamespace(**plain | odd)) == "transformers"


@pytest.mark.parametrize("growth", [2, 256])
def test_rows_that_come_and_go_between_steps_leave_the_others_as_they_are(
    model, tokenizer, prompts, growth, monkeypatch
):
    """A server's day: one row begins alone, others join as there are slots, one is given up half way."""
    monkeypatch.setattr("qwen_svg.generation.kv_cache.GROWTH", growth)
    alone = [a.text for a in generate(model, tokenizer, prompts, batch_size=1)]
    slots = Engine(model, tokenizer, 3)
    rows = rows_for(prompts, 5000, 24, 0.0, 1)
    seen: list[set[int]] = []
    slots.add(rows[0])
    for step in range(1000):
        if not slots.busy:
            break
        seen.append({rows.index(row) for row in slots.step()})
        if step in (3, 5, 6, 7):
            slots.add(rows[len([s for s in (3, 5, 6, 7) if s <= step])])
        if step == 9:
            slots.drop(rows[1])
            slots.drop(rows[4])
    assert max(map(len, seen)) == 3 and not any(4 in s for s in seen)
    assert [slots.answer(rows[i]).text for i in (0, 2, 3)] == [alone[i] for i in (0, 2, 3)]
    assert not rows[1].ended and alone[1].startswith(slots.answer(rows[1]).text.rstrip("\ufffd"))


def test_a_row_that_waits_can_be_dropped_and_dropping_twice_is_nothing(model, tokenizer, prompts):
    slots = Engine(model, tokenizer, 1)
    first, second = rows_for(prompts[:2], 5000, 4, 0.0, 1)
    slots.add(first)
    slots.add(second)
    for _ in range(2):
        slots.drop(second)
    while slots.busy:
        slots.step()
    assert first.ended and not second.tokens
    slots.drop(first)
