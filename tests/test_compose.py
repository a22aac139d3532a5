"""Composed scenes: legal, sayable by the grammar, true, without repetition, the same for the same seed."""

import json
import re
import tracemalloc
from collections import Counter
from itertools import islice

import pytest
from PIL import Image

from corpus import compose
from corpus.composing import things
from corpus.composing.held_out import is_held_out
from corpus.composing.samples import Seen, samples
from corpus.composing.shapes import SHAPES
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.dataset import read_samples, split_samples
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.generation.grammar import Automaton
from qwen_svg.generation.svg_grammar import answer_grammar
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.svg.render import render_rgb
from svg_constraint import check
from tests.paths import SHARED
from tests.scripts import constants_of, run_main

QWEN = SHARED / "data" / "qwen_tokenizer"


@pytest.fixture(scope="module")
def made():
    return list(samples(seed=5, count=240, level="all", unseen=0.1))


def test_every_answer_is_legal_and_can_be_said_by_the_grammar(made):
    automaton = Automaton(answer_grammar())
    for sample in made:
        assert not check(extract_svg(sample["svg_content"])).violations
    for sample in made[:40]:
        assert automaton.is_complete(automaton.advance(automaton.start, sample["svg_content"])), sample["svg_content"]


def test_numbers_are_whole_and_the_reasoning_is_short_and_says_them_first(made):
    for sample in made:
        reasoning, svg = extract_reasoning(sample["svg_content"]), extract_svg(sample["svg_content"])
        assert "." not in svg.replace("www.w3.org", "")
        assert len(reasoning.split()) <= 60
        assert [line[:2] for line in reasoning.splitlines()] == [f"{n}." for n in range(1, 8)]
        numbers = re.findall(r"\d+", reasoning.splitlines()[2])
        for x, y, size in re.findall(r"translate\((\d+),(\d+)\) scale\((\d+)\)", svg):
            assert {x, y, size} <= set(numbers)


def test_a_shapes_numbers_follow_from_the_words_before_them():
    scales, xs, ys = (
        {"small": "5", "medium": "8", "large": "14"},
        {"left": "64", "middle": "128", "right": "192"},
        {"top": "64", "middle": "128", "bottom": "192"},
    )
    plain = [sample for sample in samples(seed=6, count=80, level="1", unseen=0.1) if "inside" not in sample["group"]]
    for sample in plain:
        lines = extract_reasoning(sample["svg_content"]).splitlines()
        for said, noted in zip(lines[0][3:].split(", "), lines[2][3:].split("; "), strict=True):
            size, _, thing, *place = said.split()
            column = next((word for word in place if word in ("left", "right")), "middle")
            row = next((word for word in place if word in ("top", "bottom")), "middle")
            assert noted == f"{size} scale {scales[size]} {thing} {column} {xs[column]} {row} {ys[row]}"


def test_descriptions_are_of_their_length_in_plain_english_and_never_the_same(made):
    descriptions = [sample["description"] for sample in made]
    assert len({*descriptions}) == len(made)
    for text in descriptions:
        assert 5 <= len(text.split()) <= 25
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]|  ", text)


@pytest.mark.skipif(not QWEN.is_dir(), reason="no shared data")
def test_answers_have_90_to_350_tokens(made):
    tokenizer = load_tokenizer(str(QWEN))
    lengths = [len(ids) for ids in tokenizer([sample["svg_content"] for sample in made])["input_ids"]]
    assert min(lengths) >= 90 and max(lengths) <= 350


def test_the_same_seed_gives_the_same_samples_however_many_are_made():
    few = list(islice(samples(7, 40, "1", 0.1), 20))
    assert few == list(samples(7, 20, "1", 0.1))
    assert few != list(samples(8, 20, "1", 0.1))


def test_a_thing_alone_is_named_in_few_words_and_fills_the_canvas():
    automaton, told = Automaton(answer_grammar()), 0
    alone = list(samples(seed=9, count=150, level="0", unseen=0.1))
    for sample in alone:
        assert len(sample["description"].split()) <= 12 and not re.search(r"\ba [aeio]|  ", sample["description"])
        svg = extract_svg(sample["svg_content"])
        assert not check(svg).violations
        assert re.findall(r"translate\((\d+),(\d+)\) scale\((\d+)\)", svg) in (
            [("128", "128", "12")],
            [("128", "128", "14")],
        )
        left, top, right, bottom = Image.fromarray(255 - render_rgb(svg).min(axis=2)).getbbox()
        assert max(right - left, bottom - top) >= 100
        told += sample["group"].split(": ")[-1].split()[2] in sample["description"]
    assert 70 <= told <= 120  # a colour that is not told is the thing's usual one
    for sample in alone[:20]:
        assert automaton.is_complete(automaton.advance(automaton.start, sample["svg_content"])), sample["svg_content"]


def test_memory_does_not_grow_with_the_samples():
    for _ in samples(1, 20, "1", 0.1):
        pass  # what is kept once
    tracemalloc.start()
    for _ in samples(1, 300, "1", 0.1):
        pass
    _, few = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in samples(1, 900, "1", 0.1):
        pass
    _, many = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert many < few + 300_000


def test_no_description_passes_twice_in_any_spelling():
    seen = Seen()
    assert seen.is_new("a red circle") and not seen.is_new("A  red circle") and seen.is_new("a blue circle")


def test_combinations_that_are_held_out_are_in_the_test_part_alone(tmp_path):
    path = tmp_path / "scenes.jsonl"
    run_main(compose, "--output", str(path), "--samples", "300", "--level", "1", "--unseen", "0.2")
    read = read_samples(path).samples
    kinds = Counter(unseen_kind(sample.group) for sample in read)
    assert 30 <= kinds["color"] + kinds["relation"] <= 90 and kinds[""] >= 200
    parts = split_samples(read, seed=1)
    assert {unseen_kind(sample.group) for name in ("train", "valid") for sample in parts[name]} == {""}
    assert sum(bool(unseen_kind(sample.group)) for sample in parts["test"]) == kinds["color"] + kinds["relation"]
    # what the groups say is so: a held-out pair of colour and shape is in no other drawing
    for sample in read:
        drawn = re.findall(rf"<!-- (\w+) ({'|'.join(SHAPES)}) -->", sample.answer)
        held = any(is_held_out(("color", colour, shape)) for colour, shape in drawn)
        assert held == (unseen_kind(sample.group) == "color")


def test_every_colour_and_thing_is_trained_on_in_other_company():
    plain = list(samples(2, 500, "1", 0.0))
    words = Counter(word for sample in plain for word in re.findall(r"<!-- (\w+) (\w+) -->", sample["svg_content"]))
    assert {thing for _, thing in words} >= {*SHAPES}
    assert {"red", "orange", "white", "navy"} <= {colour for colour, _ in words}


def test_pictograms_begin_near_their_middle_and_stay_on_their_grid():
    assert len(things.pictograms()) >= 60
    for pictogram in things.pictograms().values():
        assert 1 <= len(pictogram.parts) <= 8
        assert min(pictogram.box) >= -8 and max(pictogram.box) <= 8, pictogram.name
        for part in pictogram.parts:
            assert max(abs(n) for n in things.numbers(part.geometry)[:2]) <= things.REACH, pictogram.name


def test_the_file_is_what_the_contract_says(tmp_path, capsys):
    path = tmp_path / "scenes.jsonl"
    run_main(compose, "--output", str(path), "--samples", "30", "--seed", "7")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) == 30
    assert {tuple(record) for record in records} == {("id", "description", "svg_content", "group")}
    assert "30 samples" in capsys.readouterr().out
    with pytest.raises(UserError, match="OUTPUT"):
        constants_of(compose)
