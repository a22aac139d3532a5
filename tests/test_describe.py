"""New descriptions: what is let in, what is refused, and that a run goes on where it was stopped."""

import json
import random
import re
import subprocess
import sys
import threading
from collections import Counter

import pytest

from corpus import describe
from corpus.description.collection import Collection
from corpus.description.duplicates import Known
from corpus.description.refuse import fault
from corpus.description.request import descriptions_in
from corpus.description.themes import THEMES
from qwen_svg.common.errors import UserError
from tests.chat_server import chat_server
from tests.paths import ROOT, SHARED
from tests.scripts import run_main

COLOURS = "crimson amber teal navy ivory olive violet copper silver charcoal turquoise salmon".split()
THINGS = "teapot lighthouse bicycle cactus umbrella violin snail lantern anchor mushroom windmill acorn".split()
PLACES = "beside a wooden fence;under heavy rain;on a marble shelf;against rolling hills;inside a glass jar".split(";")


@pytest.fixture
def run_describe(tmp_path):
    output = tmp_path / "out" / "descriptions.jsonl"

    def start(server, *arguments):
        given = ["--base-url", server.url, "--model", "m", "--output", output, *arguments]
        run_main(describe, *map(str, given))
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]

    start.output = output
    return start


def inventive(body, number):
    """A model with 720 ideas, in an order of its own for each request, that repeats itself and breaks the rules."""
    ideas = [f"a {colour} {thing} {place}" for colour in COLOURS for thing in THINGS for place in PLACES]
    lines = random.Random(number).sample(ideas, 12)
    lines += [lines[0], lines[1].replace("a ", "the ", 1), "a woman with a hat", "a red Ferrari", "word " * 15]
    return "Here are your descriptions:\n" + "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))


def theme_of(body):
    return re.search(r"on the theme: (.*)\.\n", body["messages"][0]["content"]).group(1)


def test_descriptions_are_new_legal_and_spread_over_the_themes(run_describe, capsys):
    with chat_server(inventive) as server:
        records = run_describe(server, "--count", 130)
    assert len(records) == 130 and [list(record) for record in records] == [["id", "description", "theme"]] * 130
    assert len({record["id"] for record in records}) == 130
    known = Known()
    assert not any(fault(record["description"]) or known.add(record["description"]) for record in records)
    by_theme = Counter(record["theme"] for record in records)
    assert set(by_theme) <= set(THEMES) and len(by_theme) >= 8
    printed = capsys.readouterr().out
    for reason in ("said already", "shows people", "names a brand", "more than 14 words"):
        assert re.search(rf"[1-9]\d*  .*{reason}", printed)
    for body in server.requests:
        text = body["messages"][0]["content"]
        assert all(shot in text for shot in THEMES[theme_of(body)])
        assert body["temperature"] == 1.0
    assert len({body["seed"] for body in server.requests}) > 1


def test_a_request_names_what_is_there_already(run_describe):
    with chat_server(inventive) as server:
        records = run_describe(server, "--count", 60, "--themes", "kites, teapots", "--concurrency", 1)
        asked = server.requests[-1]["messages"][0]["content"]
    assert {theme_of(body) for body in server.requests} == {"kites", "teapots"}
    assert sum(record["description"] in asked for record in records) >= 10


def test_killed_and_started_again_it_ends_with_the_same_number_and_no_repetition(run_describe):
    stuck, let_go = threading.Event(), threading.Event()

    def reply(body, number):
        if number >= 3 and not let_go.is_set():
            stuck.set()
            let_go.wait(20)
        return inventive(body, number)

    with chat_server(reply) as server:
        given = ["--base-url", server.url, "--model", "m", "--output", str(run_describe.output), "--concurrency", "1"]
        command = [sys.executable, "-m", "corpus.describe", "--count", "80", *given]
        process = subprocess.Popen(command, cwd=ROOT)
        assert stuck.wait(20)
        process.kill()
        process.wait()
        let_go.set()
        before = run_describe.output.read_text()
        assert before.count("\n") >= 30
        run_describe.output.write_text(before + '{"id": "beef", "descr')
        records = run_describe(server, "--count", 80, "--concurrency", 1)
        assert run_describe.output.read_text().startswith(before) and len(records) == 80
        known = Known()
        assert not any(known.add(record["description"]) for record in records)
        requests = len(server.requests)
        assert run_describe(server, "--count", 80) == records and len(server.requests) == requests


def test_a_model_that_repeats_itself_is_not_asked_for_ever(run_describe):
    with chat_server(lambda body, number: "a teal teapot\na teal teapot under rain\nA teal teapot.") as server:
        with pytest.raises(UserError, match="nothing new, at 2 of 50"):
            run_describe(server, "--count", 50)
        assert len(server.requests) <= describe.NOTHING_NEW + 16
    assert len(run_describe.output.read_text().splitlines()) == 2


def test_examples_of_the_user_show_the_form_and_are_not_written_again(run_describe, tmp_path):
    examples = tmp_path / "examples.jsonl"
    lines = [f"a {colour} {thing} {PLACES[0]}" for colour in COLOURS for thing in THINGS]
    examples.write_text("".join(json.dumps({"description": line, "id": "x"}) + "\n" for line in lines))
    with chat_server(inventive) as server:
        records = run_describe(server, "--count", 40, "--examples", examples)
    assert not {record["description"] for record in records} & set(lines)
    for body in server.requests:
        shots = [line for line in lines if f"- {line}\n" in body["messages"][0]["content"]]
        assert len(shots) == describe.SHOTS


def test_a_model_that_gives_the_examples_back_has_said_nothing(run_describe):
    with (
        chat_server(lambda body, number: body["messages"][0]["content"]) as server,
        pytest.raises(UserError, match="nothing new, at 0 of 5"),
    ):
        run_describe(server, "--count", 5)


def test_wrong_input_is_one_sentence(run_describe, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"description": "a fox"}\n{"text": "a fox"}\n')
    with chat_server(inventive) as server:
        for arguments, named in (
            (["--examples", tmp_path / "bad.jsonl"], r"bad.jsonl:2"),
            (["--examples", tmp_path / "none.jsonl"], "EXAMPLES"),
            (["--count", 0], "COUNT"),
            (["--model", ""], "MODEL"),
            (["--base-url", ""], "BASE_URL"),
        ):
            with pytest.raises(UserError, match=named):
                run_describe(server, *arguments)
    assert not run_describe.output.exists()


# --- one description ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "description, reason",
    [
        ("a tall man with an umbrella", "shows people"),
        ("two children on a swing", "shows people"),
        ("a portrait of Ada Lovelace at a desk", "names somebody"),
        ("the skyline of Paris at night", "names somebody"),
        ("a nike shoe", "names a brand"),
        ("an open box of lego bricks", "names a brand"),
        ("a bag of mcdonald's fries", "names a brand"),
        ("a sign saying stop", "has writing"),
        ('a mug with "best dog" on it', "has writing"),
        ("the logo of a coffee shop", "has writing"),
        ("une maison 家 rouge", "not in English"),
        ("this is a simple picture of a tree", "speaks about"),
        ("a stone on a stone beside a stone", "three times"),
        ("teapot", "fewer than 2 words"),
        (" ".join(["blue"] * 15), "more than 14 words"),
        ("a " + "very" * 60 + " long word", "200 characters"),
    ],
)
def test_what_cannot_be_drawn_here_is_refused(description, reason):
    assert reason in fault(description)


@pytest.mark.parametrize(
    "description",
    [
        " ".join(f"blue{i}" for i in range(14)),
        "A red fox asleep",
        "a men's coat with wide sleeves",
        "a boys’ school with red shutters",
        "a chess king beside two pawns",
        "a woodpecker on a mango tree",
        "a marionette with crossed strings",
        "a puma on a rock",
        "a baby elephant by a river",
        *(line for lines in THEMES.values() for line in lines),
    ],
)
def test_what_can_be_drawn_is_let_in(description):
    assert fault(description) == ""


def test_nearly_the_same_is_seen_and_another_thing_is_not():
    known = Known()
    assert known.add("a crimson sunset over a calm ocean") == ""
    assert known.add("Crimson sunset over the calm ocean!") == "said already"
    assert known.add("over a calm ocean, a crimson sunset") == "said already"
    assert known.add("crimson sunsets over calm oceans") == "nearly said already"
    assert known.add("a crimson dress on a hanger") == known.add("a teal teapot on a shelf") == ""


@pytest.mark.skipif(not (SHARED / "data" / "svg_results.jsonl").exists(), reason="the original data is not here")
def test_few_of_the_original_descriptions_are_refused():
    lines = (SHARED / "data" / "svg_results.jsonl").read_text(encoding="utf-8").splitlines()
    descriptions = [json.loads(line)["description"] for line in lines]
    refused = [description for description in descriptions if fault(description)]
    assert len(refused) < 0.06 * len(descriptions)


def test_answers_come_in_many_forms():
    answer = '# Animals\n\n1. A red fox.\n2) "an owl"\n* **a hen**\n• UFO over hills\n(4) 3 pears\nHere you are:\n```\n'
    found = descriptions_in(answer)
    assert found == ["a red fox", "an owl", "a hen", "UFO over hills", "3 pears"]


def test_the_poorest_themes_are_next():
    collection = Collection(["a", "b", "c"], wanted=100)
    collection.by_theme["b"] = ["x"] * 30
    assert collection.next_themes(per_request=10, at_most=4) == ["a", "c", "a", "c"]
    collection.size = 95
    assert collection.next_themes(per_request=10, at_most=4) == ["a"]
