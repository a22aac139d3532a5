"""Generated answers: batched ones equal single ones, stops are honoured, the order is kept."""

import gc
import math
import random
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prompt_template import extract_svg
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import encode, stop_tokens
from qwen_svg.generation import llama_cpp, llama_cpp_decoder, transformers_decoder
from qwen_svg.generation.constrained import _automaton, grammar_for, tokens_needed
from qwen_svg.generation.decoder import GivenUp
from qwen_svg.generation.engine import Engine, answer_from_tokens, generate_answers, rows_for
from qwen_svg.generation.llama_cpp import Weights, exported, is_installed
from qwen_svg.generation.llama_cpp_decoder import LlamaCppDecoder
from qwen_svg.generation.pick_engine import pick_engine as pick_drawing
from qwen_svg.generation.sampling import sample
from qwen_svg.generation.transformers_decoder import TransformersDecoder
from qwen_svg.model.gguf import write_gguf
from qwen_svg.model.load import load_base
from qwen_svg.model.source import ModelSource
from svg_constraint import check
from tests.tiny import answer

needs_llama_cpp = pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")


@pytest.fixture(scope="module")
def torch_model(tiny_base):
    return load_base(str(tiny_base), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def gguf_file(torch_model, tokenizer, tmp_path_factory):
    file = tmp_path_factory.mktemp("gguf") / "tiny.f32.gguf"
    write_gguf(file, torch_model, tokenizer, "tiny", "float32", {})
    return file


@pytest.fixture(scope="module", params=["transformers", "llama.cpp"])
def model(request, torch_model):
    """The same weights for both engines."""
    if request.param == "transformers":
        return torch_model
    if not is_installed():
        pytest.skip("xllamacpp is not installed")
    return Weights(request.getfixturevalue("gguf_file"))


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


def test_a_step_reads_no_more_than_so_many_tokens_of_prompts(torch_model, tokenizer, prompts, monkeypatch):
    """Nobody's drawing stands still for longer, and a client that leaves is noticed between two steps."""
    limit = 2 * max(map(len, prompts))
    monkeypatch.setattr(transformers_decoder, "STEP_LIMIT", {"cpu": limit})
    read = []
    hook = torch_model.register_forward_pre_hook(
        lambda _, __, inputs: read.append(inputs["input_ids"].shape), with_kwargs=True
    )
    try:
        together = [one.text for one in generate(torch_model, tokenizer, prompts * 2, batch_size=8)]
    finally:
        hook.remove()
    assert max(rows * tokens for rows, tokens in read) <= limit and max(rows for rows, _ in read) == 8
    # A single prompt is read however long it is: in pieces.
    monkeypatch.setattr(transformers_decoder, "STEP_LIMIT", {"cpu": 100})
    assert [one.text for one in generate(torch_model, tokenizer, prompts * 2, batch_size=8)] == together


def test_greedy_answers_are_the_librarys(model, torch_model, tokenizer, prompts):
    for prompt, answer_ in zip(prompts, generate(model, tokenizer, prompts, batch_size=3), strict=True):
        out = torch_model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False, repetition_penalty=1.0)
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


def test_rows_stop_at_the_end_of_turn_or_behind_their_svg(torch_model, tokenizer, prompts, monkeypatch):
    monkeypatch.setattr(transformers_decoder, "KEEP_SHARE", 0)  # rows keep their places …
    monkeypatch.setattr(transformers_decoder, "STEP_LIMIT", {"cpu": 10**6})  # … and are let in together
    closed = "<reasoning>\nends in </svg>\n</reasoning>\n<svg>a</svg>"
    texts = [closed + "chatter" * 9, "sorry<|im_end|>never read", "no end, no end, no end, no end"]
    scripted = Scripted(torch_model, tokenizer, texts)
    answers = generate_answers(scripted, tokenizer, [prompts[0]] * 3, 5000, 60, 3, 0.0, 1, "test")
    assert answers[0].text == closed and answers[0].finished
    assert answers[1].text == "sorry" and answers[1].finished
    assert answers[2].text.startswith("no end, no end") and not answers[2].finished and answers[2].tokens == 60


def test_an_answer_ends_with_its_svg_whatever_an_engine_adds(tokenizer):
    closed = "<reasoning>\nends in </svg>\n</reasoning>\n<svg>a</svg>"
    tokens = tokenizer(closed + "chatter", add_special_tokens=False)["input_ids"]
    ended = answer_from_tokens(tokenizer, tokens, stop_tokens(tokenizer), 1.0)
    assert ended.text == closed and ended.finished and ended.tokens < len(tokens)


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


# --- one row never harms another ------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [100, 449])
def test_a_prompt_that_is_read_in_pieces_is_the_same_prompt(torch_model, tokenizer, prompts, piece, monkeypatch):
    whole = torch_model(torch.tensor([prompts[2]])).logits[0, -1]
    monkeypatch.setattr(transformers_decoder, "STEP_LIMIT", {"cpu": piece})
    read = []
    hook = torch_model.register_forward_hook(lambda _, __, out: read.append(out.logits[0, -1].clone()))
    try:
        engine = Engine(torch_model, tokenizer, 2)
        (row,) = rows_for(prompts[2:3], 5000, 2, 0.0, 1)
        engine.add(row)
        while not row.tokens:
            engine.step()
    finally:
        hook.remove()
    assert len(read) == -(-len(prompts[2]) // piece)
    torch.testing.assert_close(read[-1], whole, rtol=1e-4, atol=1e-4)


def test_others_go_on_between_the_pieces_of_a_long_prompt(model, tokenizer, prompts, monkeypatch):
    """A long prompt that comes in between takes as many steps as it has pieces, every second one."""
    alone = [one.text for one in generate(model, tokenizer, prompts[:2], batch_size=1)]
    long = prompts[0] * 3
    monkeypatch.setattr(transformers_decoder, "STEP_LIMIT", {"cpu": 500})
    monkeypatch.setattr(llama_cpp_decoder, "STEP_LIMIT", 500)
    engine = Engine(model, tokenizer, 3)
    rows = rows_for(prompts[:2], 5000, 24, 0.0, 1)
    (late,) = rows_for([long], 5000, 24, 0.0, 1)
    for row in rows:
        engine.add(row)
    while not all(row.tokens for row in rows):
        engine.step()
    engine.add(late)
    before = len(rows[0].tokens)
    steps = 0
    while not late.tokens:
        engine.step()
        steps += 1
    pieces = -(-len(long) // 500)
    assert 2 * pieces - 1 <= steps <= 2 * pieces and len(rows[0].tokens) >= before + pieces - 1
    while engine.busy:
        engine.step()
    assert [engine.answer(row).text for row in rows] == alone
    assert late.tokens == generate_tokens(model, tokenizer, long)


def generate_tokens(model, tokenizer, prompt, temperature=0.0, seed=1, max_new=24):
    (row,) = rows_for([prompt], 10**6, max_new, temperature, seed)
    engine = Engine(model, tokenizer, 1)
    for _ in engine.run([row]):
        pass
    return row.tokens


def test_a_prompt_that_is_given_up_is_not_read_to_its_end(torch_model, tokenizer, prompts):
    """Not even to the end of the forward pass: another thread says so while the first layer runs."""
    engine = Engine(torch_model, tokenizer, 2)
    staying, leaving = rows_for(prompts[:2], 5000, 4, 0.0, 1)
    engine.add(staying)
    engine.step()
    engine.add(leaving)
    layers, ran = torch_model.model.layers, []
    hooks = [
        layers[0].register_forward_hook(lambda *_: setattr(leaving, "given_up", True)),
        layers[-1].mlp.register_forward_hook(lambda *_: ran.append(len(leaving.tokens))),
    ]
    try:
        while not leaving.ended:
            engine.step()
    finally:
        for hook in hooks:
            hook.remove()
    assert isinstance(leaving.error, GivenUp) and not leaving.tokens and len(ran) <= 1  # a step of the other row
    while engine.busy:
        engine.step()
    assert staying.tokens == generate_tokens(torch_model, tokenizer, prompts[0], max_new=4)


class Broken(Exception):
    pass


class Breaking:
    """Raises when it is called for the `after`-th time; is called through before."""

    def __init__(self, function, after=5, result=None):
        self.function, self.after, self.result = function, after, result

    def __call__(self, *args, **kwargs):
        self.after -= 1
        if self.after < 0:
            if self.result is None:
                raise Broken
            return self.result(*args)
        return self.function(*args, **kwargs)


def break_constraint(engine, row, monkeypatch):
    row.constraint.mask = Breaking(row.constraint.mask)


def break_taking(engine, row, monkeypatch):
    row.constraint.take = Breaking(row.constraint.take)


def allow_nothing(engine, row, monkeypatch):
    row.constraint.mask = Breaking(row.constraint.mask, result=lambda n: np.zeros(n, dtype=bool))


def break_mask_width(engine, row, monkeypatch):
    row.constraint.mask = Breaking(row.constraint.mask, result=lambda n: np.ones(n + 1, dtype=bool))


def break_sampler(engine, row, monkeypatch):
    row.sampler, row.temperature = None, math.nan


def break_tokenizer(engine, row, monkeypatch):
    def ended(tokenizer, tokens, stops):
        if tokens is row.tokens and len(tokens) > 5:
            raise Broken
        return tokens[-1] in stops

    monkeypatch.setattr("qwen_svg.generation.engine._ended", ended)


def scores_of_row(value):
    def breaking(engine, row, monkeypatch):
        write = engine.decoder.write

        def written(rows):
            scores = write(rows)
            if row in rows:
                scores[rows.index(row)] = value
            return scores

        monkeypatch.setattr(engine.decoder, "write", written)

    return breaking


WAYS = {
    "constraint": break_constraint,
    "constraint's reading": break_taking,
    "nothing allowed": allow_nothing,
    "a mask of another width": break_mask_width,
    "sampler": break_sampler,
    "tokenizer": break_tokenizer,
    "scores nan": scores_of_row(math.nan),
    "scores inf": scores_of_row(math.inf),
    "scores -inf": scores_of_row(-math.inf),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_row_that_breaks_breaks_alone(model, tokenizer, prompts, way, monkeypatch):
    """It is in the middle; the others have exactly the tokens they have alone, and the next one gets its slot."""
    budget = tokens_needed(tokenizer) + 60

    def constrained_rows(engine):
        rows = [
            rows_for([prompt], 5000, budget, 0.9, seed)[0]
            for prompt, seed in zip(prompts[:4], (3, 4, 5, 6), strict=True)
        ]
        engine.constrain(rows)
        for row in rows:
            row.limit = 30  # cut, so that the test is quick
        return rows

    alone = []
    for i in range(4):
        engine = Engine(model, tokenizer, 1)
        row = constrained_rows(engine)[i]
        list(engine.run([row]))
        alone.append(row.tokens)
    engine = Engine(model, tokenizer, 3)
    rows = constrained_rows(engine)
    WAYS[way](engine, rows[1], monkeypatch)
    returned = [row for advanced in engine.run(rows) for row in advanced if row.error]
    assert [row.tokens for row in (rows[0], rows[2], rows[3])] == [alone[i] for i in (0, 2, 3)]
    assert returned == [rows[1]] and rows[1].ended and not engine.busy
    with pytest.raises(type(rows[1].error)):
        engine.answer(rows[1])


@pytest.mark.parametrize("temperature", [1e-38, 1e-40, 5e-324, 1e-3, 0.0009, 1e38, 1e308, math.inf, -1.0])
@pytest.mark.parametrize("constrained", [True, False])
def test_sampling_is_safe_at_every_temperature(model, tokenizer, prompts, temperature, constrained):
    engine = Engine(model, tokenizer, 2)
    (odd,) = rows_for(prompts[:1], 5000, 400, temperature, 7)
    (other,) = rows_for(prompts[1:2], 5000, 400, 0.8, 7)
    if constrained:
        engine.constrain([odd, other])
    odd.limit = other.limit = 12
    list(engine.run([odd, other]))
    assert odd.error is None is other.error and len(odd.tokens) == len(other.tokens) == 12
    if temperature < 1e-3:
        (greedy,) = rows_for(prompts[:1], 5000, 400, 0.0, 7)
        if constrained:
            engine.constrain([greedy])
        greedy.limit = 12
        list(engine.run([greedy]))
        assert odd.tokens == greedy.tokens


def test_sampling_survives_any_finite_scores():
    for scores in ([3e38, -3e38, 0.0], [-torch.inf, 3e38, -torch.inf], [1e-45, 0.0, -1e-45]):
        values = torch.tensor(scores)
        for temperature in (1e-3, 1.0, 1e300, math.inf):
            token = sample(values - values.max(), temperature, torch.Generator().manual_seed(1))
            assert scores[token] > -torch.inf


@pytest.mark.parametrize("seed", [0, -1, 2**31, -(2**63), 2**63 - 1, 2**64, 10**40])
def test_every_whole_number_is_a_seed(seed):
    first, again, next_one = (
        rows_for([[1], [1]], 9, 9, 1.0, s)[0].sampler.initial_seed() for s in (seed, seed, seed + 1)
    )
    assert first == again != next_one


@pytest.mark.parametrize("where", ["reading", "writing", "letting in"])
def test_a_pass_that_fails_fails_those_that_took_part(model, tokenizer, prompts, where, monkeypatch):
    monkeypatch.setattr(llama_cpp_decoder, "STEP_LIMIT", 1024)
    engine = Engine(model, tokenizer, 2)
    first, second, third = rows_for(prompts[:3], 5000, 12, 0.0, 1)
    engine.add(first)
    for _ in range(4):
        engine.step()
    engine.add(second)
    engine.add(third)  # has no slot yet
    if where == "letting in":
        monkeypatch.setattr(engine.decoder, "admit", Breaking(None, 0))
    else:
        name = {"reading": "read", "writing": "write"}[where]
        breaking = Breaking(getattr(engine.decoder, name), 0 if where == "reading" else 1)
        monkeypatch.setattr(engine.decoder, name, breaking)
    if where == "writing":
        while not second.tokens:  # both are in
            engine.step()
    failed = [row for row in engine.step() if row.error] or [row for row in engine.step() if row.error]
    assert set(failed) == ({second} if where == "reading" else {first, second})
    monkeypatch.undo()
    while engine.busy:
        engine.step()
    expected = [generate_tokens(model, tokenizer, prompt, max_new=12) for prompt in prompts[:3]]
    assert third.tokens == expected[2] and not third.error
    assert where != "reading" or first.tokens == expected[0]


def test_engine_is_llama_cpp_for_files_on_a_cpu_where_it_is_installed(monkeypatch):
    file, run = ModelSource("m.gguf"), ModelSource("owner/name", adapter=Path("outputs/first"))
    monkeypatch.setattr("qwen_svg.generation.pick_engine.is_installed", lambda: True)
    monkeypatch.setattr("qwen_svg.generation.pick_engine.pick_device", lambda: torch.device("cpu"))
    assert pick_drawing("auto", file) == "llama.cpp"
    assert pick_drawing("auto", run) == pick_drawing("auto", ModelSource("owner/name")) == "transformers"
    assert pick_drawing("llama.cpp", file) == "llama.cpp" and pick_drawing("transformers", file) == "transformers"
    with pytest.raises(UserError, match=r"cannot run outputs/first \(its base is owner/name, no \.gguf file\); make a"):
        pick_drawing("llama.cpp", run)
    monkeypatch.setattr("qwen_svg.generation.pick_engine.pick_device", lambda: torch.device("cuda"))
    assert pick_drawing("auto", file) == "transformers"
    monkeypatch.setattr("qwen_svg.generation.pick_engine.is_installed", lambda: False)
    assert pick_drawing("auto", file) == "transformers"
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(UserError, match=r"^ENGINE 'llama\.cpp' needs xllamacpp; .*llama_cpp\.txt` brings it.* or take"):
        pick_drawing("llama.cpp", file)


@needs_llama_cpp
@pytest.mark.parametrize("content", [b"", b"GGUF but nothing else", b"GGUF" + b"\xff" * 5000])
def test_a_file_that_llama_cpp_cannot_read_is_named(tmp_path, content):
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UserError, match=r"llama\.cpp cannot load .*m\.gguf \(.+\); try `--engine transformers`"):
        Weights(tmp_path / "m.gguf")


@needs_llama_cpp
def test_another_layout_of_the_library_is_refused(monkeypatch):
    llama_cpp._api.cache_clear()
    monkeypatch.setitem(llama_cpp.FUNCTIONS, "llama_no_such_function", (None,))
    with pytest.raises(UserError, match="another version than this project knows"):
        llama_cpp._api()
    monkeypatch.undo()
    assert llama_cpp._api().llama_context_default_params().n_batch == 2048


@needs_llama_cpp
def test_a_prompt_that_is_given_up_stops_within_a_batch(gguf_file, tokenizer, prompts):
    """Another thread says so while the batch is computed; the other row goes on."""
    weights = Weights(gguf_file)
    engine = Engine(weights, tokenizer, 2)
    staying, leaving = (rows_for([prompt], 10**6, 4, 0.0, 1)[0] for prompt in (prompts[0], prompts[1] * 3))
    list(zip(range(2), engine.run([staying]), strict=False))
    engine.add(leaving)
    decode, asked = engine.decoder.context.decode, []

    def decode_and_leave(*batch):
        *rest, abort = batch if len(batch) == 5 else (*batch, None)
        return decode(*rest, abort and (lambda: ask() or abort()))

    def ask():
        asked.append(1)
        leaving.given_up = len(asked) > 3

    engine.decoder.context.decode = decode_and_leave
    while not leaving.ended:
        engine.step()
    assert isinstance(leaving.error, GivenUp) and len(asked) == 4
    list(engine.run())
    assert staying.tokens == generate_tokens(weights, tokenizer, prompts[0], max_new=4)


@needs_llama_cpp
def test_the_text_of_a_half_precision_file_is_transformers(torch_model, tokenizer, prompts, tmp_path):
    write_gguf(tmp_path / "m.gguf", torch_model, tokenizer, "tiny", "float16", {})
    weights = Weights(tmp_path / "m.gguf")
    assert weights.positions == torch_model.config.max_position_embeddings
    expected = generate(load_base(str(tmp_path / "m.gguf"), torch.device("cpu"), torch.float32), tokenizer, prompts, 1)
    expected = [replace(one, seconds=ANY) for one in expected]
    assert generate(weights, tokenizer, prompts, batch_size=1) == expected
    assert generate(exported(torch_model, tokenizer), tokenizer, prompts, batch_size=1) == expected


@needs_llama_cpp
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_constrained_answers_of_llama_cpp_are_legal(gguf_file, tokenizer, prompts, temperature):
    budget = tokens_needed(tokenizer) + 60
    answers = generate_answers(
        Weights(gguf_file), tokenizer, prompts, 5000, budget, 3, temperature, 1, "test", constrained=True
    )
    assert all(check(extract_svg(one.text)).valid and one.finished for one in answers)


@needs_llama_cpp
def test_only_what_differs_from_the_prompt_before_is_read(gguf_file, tokenizer, prompts):
    """The second drawing of a description reads one token; one of another description the same as from nothing."""
    weights = Weights(gguf_file)
    rows = rows_for([prompts[0], prompts[0], prompts[2], prompts[2][:-3]], 5000, 24, 0.0, 1)
    engine, read = Engine(weights, tokenizer, 1), []
    for row in rows:
        read.append(engine.decoder.unread(row))
        list(engine.run([row]))
    same = next(i for i, (a, b) in enumerate(zip(prompts[0], prompts[2], strict=False)) if a != b)
    assert read == [len(prompts[0]), 1, len(prompts[2]) - same, 1]
    assert [row.tokens for row in rows] == [generate_tokens(weights, tokenizer, row.prompt) for row in rows]


@needs_llama_cpp
def test_a_row_beyond_the_store_waits_and_gets_a_larger_one(gguf_file, tokenizer, prompts, monkeypatch):
    weights = Weights(gguf_file)
    alone = [generate_tokens(weights, tokenizer, prompt, max_new=12) for prompt in (prompts[0], prompts[0] * 2)]
    monkeypatch.setattr(llama_cpp_decoder, "CELLS", len(prompts[0]) + 40)
    engine = Engine(weights, tokenizer, 2)
    short, long = (rows_for([prompt], 10**6, 12, 0.0, 1)[0] for prompt in (prompts[0], prompts[0] * 2))
    engine.add(short)
    engine.step()
    engine.add(long)
    while not short.ended:
        engine.step()
        assert not long.tokens
    list(engine.run())
    assert [short.tokens, long.tokens] == alone


def test_whoever_needs_all_answers_is_told_at_once(model, tokenizer, prompts, monkeypatch):
    for decoder in (TransformersDecoder, LlamaCppDecoder):
        monkeypatch.setattr(decoder, "write", Breaking(None, 0))
    with pytest.raises(Broken):
        generate(model, tokenizer, prompts)


def test_what_is_remembered_of_the_grammar_is_bounded(model, tokenizer, prompts, monkeypatch):
    """Forgetting changes no answer."""
    budget = tokens_needed(tokenizer) + 80

    def texts():
        rows = rows_for(prompts[:3], 5000, budget, 1.0, 1)
        engine = Engine(model, tokenizer, 3)
        engine.constrain(rows)
        list(engine.run(rows))
        return [row.tokens for row in rows]

    expected = texts()
    monkeypatch.setattr("qwen_svg.generation.constrained.REMEMBERED", 20)
    assert texts() == expected and len(_automaton().steps) < 20 + 40  # a token more, of so many characters


def shuffled_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges, whose ids come in an order of its own."""
    alphabet = ["<end>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    random.Random(seed).shuffle(alphabet)
    backend = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


def test_no_tokenizer_gets_the_grammar_of_one_that_is_gone(monkeypatch):
    """Its address is used again: a cache by id() gave the next tokenizer there the wrong grammar."""
    monkeypatch.setattr("qwen_svg.generation.constrained.to_lark", lambda rules: 'start: "<svg>"')  # compiles at once
    addresses = set()
    for seed in range(60):
        tokenizer = shuffled_tokenizer(seed)
        matcher = grammar_for(tokenizer, len(tokenizer), (tokenizer.eos_token_id,)).matcher.deep_copy()
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.flatnonzero(np.unpackbits(bits, bitorder="little")[: len(tokenizer)])
        assert tokenizer.convert_ids_to_tokens(allowed.tolist()) == ["<"]
        used_again = id(tokenizer) in addresses
        if used_again:
            break
        addresses.add(id(tokenizer))
        del tokenizer
        gc.collect()
    if not used_again:
        pytest.skip("the allocator has used no address again")
