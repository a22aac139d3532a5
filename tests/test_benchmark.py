"""benchmark.py: prompts in, a card out; from a model, from drawings made elsewhere, from an endpoint."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark
from prompt_template import build_prompt
from qwen_svg.common.errors import UserError, run
from qwen_svg.evaluation.bootstrap import mean_interval, paired_difference
from qwen_svg.evaluation.prompts import read_prompts
from svg_constraint import SVG_OPEN
from tests.chat_server import chat_server
from tests.paths import SHARED
from tests.scripts import run_main

PUBLIC = SHARED / "benchmarks"
needs_public = pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs ../shared/benchmarks")

CIRCLE = f'{SVG_OPEN}<!-- red circle --><circle cx="128" cy="128" r="64" fill="red"/></svg>'
SQUARE = f'{SVG_OPEN}<!-- blue square --><rect x="64" y="64" width="128" height="128" fill="blue"/></svg>'
NOTHING = f"{SVG_OPEN}</svg>"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.csv").write_text("id,desc\na,a red circle\nb,a blue square\nc,nothing at all\n")
    return tmp_path


def card_of(folder: str) -> dict:
    return json.loads((benchmark.BENCHMARKS / folder / "card.json").read_text())


# --- prompts --------------------------------------------------------------------------------------------------


@needs_public
def test_the_published_sets_are_read_whole():
    files = [PUBLIC / "svgenius/text_svg" / f"{grade}_svg_captions.json" for grade in ("easy", "medium", "hard")]
    found = read_prompts([str(file) for file in files])
    assert len(found) == 299 and all("<svg" in prompt.reference for prompt in found)
    first = json.loads(files[0].read_text())[0]
    assert found[0].text == "an icon of a wallet with a lock on it" and found[0].reference == first["answer"]
    assert found[0].id in first["image"]
    intro = read_prompts([str(PUBLIC / "introsvg/test.csv")], limit=300)
    assert len(intro) == 300 and intro[0].id == "52e9a7da-9791-4c47-9227-ef5b7fd807a0" and not intro[0].reference


@needs_public
def test_published_edits_and_repairs_are_read_whole():
    grades = ("easy_svg", "medium_svg", "hard")
    found = read_prompts([str(PUBLIC / f"svgenius/bug_fixion/{grade}_errors_dataset.json") for grade in grades])
    assert len(found) == 300 and {prompt.task for prompt in found} == {"repair"}
    first = json.loads((PUBLIC / "svgenius/bug_fixion/easy_svg_errors_dataset.json").read_text())[0]
    assert (found[0].svg, found[0].reference) == (first["bug_svg"], first["ground_truth"].strip())
    grades = ("easy", "medium", "hard")
    found = read_prompts([str(PUBLIC / f"svgenius/style_editing/{grade}_results.json") for grade in grades])
    assert len(found) == 236 and {prompt.task for prompt in found} == {"edit"}
    (name, first), *_ = json.loads((PUBLIC / "svgenius/style_editing/easy_results.json").read_text())[0].items()
    assert (found[0].text, found[0].svg, found[0].reference) == (
        first["command"], first["original"], first["modified"].strip(),
    )  # fmt: skip
    assert found[0].id == name.removesuffix(".svg")


def changes_file(folder) -> str:
    """An edit, a repair with a fence around it, and one with a lost tag that nobody can know."""
    red, blue = CIRCLE, CIRCLE.replace('fill="red"', 'fill="blue"')
    records = [
        {"id": "edit", "description": "make it blue", "svg": red, "svg_content": f"<reasoning>b</reasoning>{blue}"},
        {"id": "fence", "description": "Fix it.", "task": "repair", "svg": f"```{SQUARE}```", "svg_content": SQUARE},
        {"id": "gone", "description": "Fix it.", "task": "repair", "svg": NOTHING[:-6], "svg_content": SQUARE},
    ]
    (folder / "changes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return "changes.jsonl"


def test_a_copy_and_rules_stand_in_for_a_model_that_changes(here):
    prompts = changes_file(here)
    for baseline, right in (("copy", 0), ("rules", 1)):
        run_main(benchmark, "--baseline", baseline, "--prompts", prompts, "--profile", "changes")
        card = card_of(f"changes-{baseline}")
        assert card["n"] == 3 and card["metrics"]["same_picture"]["value"] == pytest.approx(right / 3)


def test_a_model_is_asked_for_changes_by_their_templates(here):
    with chat_server(lambda body, number: CIRCLE.replace("red", "blue")) as server:
        arguments = ["--model", server.url, "--served-model", "m", "--profile", "changes"]
        run_main(benchmark, *arguments, "--prompts", changes_file(here))
        asked = {body["messages"][0]["content"] for body in server.requests}
    assert asked == {
        build_prompt("make it blue", CIRCLE), build_prompt("Fix it.", f"```{SQUARE}```", "repair"),
        build_prompt("Fix it.", NOTHING[:-6], "repair"),
    }  # fmt: skip
    assert card_of("changes-m")["metrics"]["same_picture"]["value"] == pytest.approx(1 / 3)  # the edit


def test_all_forms_of_prompts_are_read(tmp_path):
    (tmp_path / "lines.txt").write_text("a fox\n\n a hat \n")
    (tmp_path / "rows.jsonl").write_text('{"id": 7, "caption": "a cup", "svg": "<svg/>"}\n{"prompt": "a jar"}\n')
    found = read_prompts([str(tmp_path / "lines.txt")])
    assert [(prompt.id, prompt.text) for prompt in found] == [("1", "a fox"), ("2", "a hat")]
    found = read_prompts([str(tmp_path / "rows.jsonl")])
    assert [(p.id, p.text, p.reference) for p in found] == [("7", "a cup", "<svg/>"), ("2", "a jar", "")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.csv", "id,desc\na,\n", "p.csv:2: no text in 'desc'"),
        ("p.csv", "id,desc\na,x\na,y\n", "p.csv:3: id 'a' was used before"),
        ("p.csv", "id,label\na,x\n", "none of the columns description, desc"),
        ("p.json", '[{"question": ["a", "b"]}]', "p.json, record 1: no text in 'question'"),
        ("p.json", "[{", "p.json:1 is not JSON"),
        ("p.jsonl", '{"prompt": "a"}\nno\n', "p.jsonl:2: the line is not JSON"),
        ("p.txt", "\n \n", "holds no prompt"),
        ("p.md", "a fox", "is none of .json"),
    ],
)
def test_a_bad_prompt_file_is_one_sentence(here, capsys, name, text, words):
    (here / name).write_text(text)
    with pytest.raises(SystemExit) as stopped:
        run(lambda _: run_main(benchmark, "--prompts", name), SimpleNamespace())
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and words in said and said.count("\n") == 1, said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PROMPTS is not given"),
        (["--prompts", "no.csv"], "PROMPTS no.csv does not exist"),
        (["--prompts", "prompts.csv", "--profile", "our"], "there is no PROFILE 'our'; did you mean ours?"),
        (["--prompts", "prompts.csv", "--model", "http://x/v1"], "with `--served-model`"),
        (["--prompts", "prompts.csv", "--best-of", "4"], "at TEMPERATURE 0 all drawings are the same"),
        (["--prompts", "prompts.csv", "--score", "dino"], "give `--best-of 8`"),
        (["--prompts", "prompts.csv", "--weights", "clip"], "WEIGHTS clip is not like"),
        (["--prompts", "prompts.csv", "--weights", "openai/clip=x"], "looks with no such model; openai/clip-vit"),
        (["--prompts", "prompts.csv", "--model", "made.jsonl"], "made.jsonl does not exist"),
        (["--prompts", "prompts.csv", "--model", "nowhere/at/all"], "MODEL nowhere/at/all does not exist"),
        (["--prompts", "prompts.csv", "--references", "nowhere"], "REFERENCES nowhere is no folder"),
        (["--compare", "one"], "COMPARE takes two cards, not 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(here, capsys, arguments, words):
    with pytest.raises(SystemExit) as stopped:
        run(lambda _: run_main(benchmark, *arguments), SimpleNamespace())
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and words in said and said.count("\n") == 1, said
    assert not list(here.glob("outputs/benchmarks/*/*"))


# --- drawings made elsewhere ----------------------------------------------------------------------------------


def test_a_folder_of_drawings_gets_its_card(here):
    (here / "theirs").mkdir()
    for id, svg in (("a", CIRCLE), ("b", SQUARE), ("c", NOTHING)):
        (here / "theirs" / f"{id}.svg").write_text(svg)
    run_main(benchmark, "--model", "theirs", "--prompts", "prompts.csv")
    card = card_of("ours-theirs")
    assert card["profile"] == "ours" and card["prompts"] == "prompts.csv" and card["n"] == 3
    assert (card["success"], card["legal"], card["blank"], card["tokens"]) == (1, 2 / 3, 1 / 3, None)
    assert card["metrics"]["legal in kaggle"]["value"] == 1
    assert card["metrics"]["bytes"]["value"] == np.mean([len(svg) for svg in (CIRCLE, SQUARE, NOTHING)])
    assert card["metrics"]["composition"]["n"] == 2  # "nothing at all" claims nothing
    assert card["metrics"]["dino"] is None and "no references" in card["missing"]["dino"]
    assert card["metrics"]["text_match"] is None and "--weights openai/clip" in card["missing"]["text_match"]
    folder = benchmark.BENCHMARKS / "ours-theirs"
    assert (folder / "svg/a.svg").read_text() == CIRCLE
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and ">blank<" in page and "a red circle" in page
    assert "| success | 1 |" in (folder / "card.md").read_text()


def test_a_folder_with_half_of_the_drawings_is_refused_or_said_to_have_failed(here):
    (here / "theirs").mkdir()
    (here / "theirs/a.svg").write_text(CIRCLE)
    asked = ["--model", "theirs", "--prompts", "prompts.csv"]
    with pytest.raises(UserError, match=r"no drawing for 2 of 3 prompts, the first of them 'b'.*--missing-fail"):
        run_main(benchmark, *asked)
    run_main(benchmark, *asked, "--missing-fail")
    assert card_of("ours-theirs")["success"] == 1 / 3
    (here / "theirs/a.svg").rename(here / "theirs/z.svg")
    with pytest.raises(UserError, match="no drawing for any prompt: the first one's id is 'a', and has 'z'"):
        run_main(benchmark, *asked, "--missing-fail")


def test_lines_of_another_system_hold_answers_or_drawings(here):
    lines = [
        {"id": "a", "answer": f"<reasoning>a circle</reasoning>\n{CIRCLE}"},
        {"id": "b", "svg": SQUARE, "tokens": 50},
        {"id": "c", "answer": "I cannot draw."},
    ]
    (here / "made.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run_main(benchmark, "--model", "made.jsonl", "--prompts", "prompts.csv")
    card = card_of("ours-made")
    assert card["success"] == 2 / 3 and card["tokens"] == 50 and card["metrics"]["tokens"]["n"] == 1
    (here / "made.jsonl").write_text('{"id": "a", "answer": "x"}\n{"id": "b"}\n')
    with pytest.raises(UserError, match=r"made.jsonl:2: neither 'svg' nor 'answer'"):
        run_main(benchmark, "--model", "made.jsonl", "--prompts", "prompts.csv")
    assert card_of("ours-made") == card  # nothing is lost


# --- drawn here -----------------------------------------------------------------------------------------------


def test_a_model_draws_and_a_stopped_benchmark_is_gone_on_with(here, tiny_base, monkeypatch):
    asked = ["--model", str(tiny_base), "--prompts", "prompts.csv", "--max-new-tokens", "300", "--name", "tiny"]
    run_main(benchmark, *asked, "--limit", "2")
    answers = benchmark.BENCHMARKS / "ours-tiny/answers.jsonl"
    before = answers.read_text().splitlines()
    assert card_of("ours-tiny")["legal"] == 1 and card_of("ours-tiny")["tokens"] > 0 and len(before) == 2
    answers.write_text("".join(line + "\n" for line in before) + '{"id": "c", "wa')  # a kill in the middle of a line
    run_main(benchmark, *asked)
    after = answers.read_text().splitlines()
    assert after[:2] == before and [json.loads(line)["id"] for line in after[2:]] == ["c"]
    assert card_of("ours-tiny")["n"] == 3
    monkeypatch.setattr(benchmark, "Predictor", None)  # all is there: nothing is loaded
    run_main(benchmark, *asked)
    with pytest.raises(UserError, match="was begun with another temperature; give another NAME"):
        run_main(benchmark, *asked, "--temperature", "0.5")


def test_the_best_of_several_is_said_to_be_one(here, tiny_base):
    asked = ["--model", str(tiny_base), "--prompts", "prompts.csv", "--limit", "1", "--max-new-tokens", "300"]
    run_main(benchmark, *asked, "--best-of", "2", "--temperature", "0.7", "--score", "composition", "--name", "two")
    drawn = card_of("ours-two")["drawn"]
    assert drawn["kept"] == "best of 2 by composition" and drawn["temperature"] == 0.7
    assert len((benchmark.BENCHMARKS / "ours-two/answers.jsonl").read_text().splitlines()) == 1


def test_an_endpoint_is_asked_with_our_instruction_and_may_fail(here):
    def reply(body: dict, number: int):
        text = body["messages"][0]["content"]
        return "no picture" if "nothing" in text else f"```svg\n{CIRCLE if 'circle' in text else SQUARE}\n```"

    with chat_server(reply) as server:
        asked = ["--model", server.url, "--served-model", "org/Draws-8B", "--prompts", "prompts.csv"]
        run_main(benchmark, *asked)
    assert len(server.requests) == 3 and "### Description" in server.requests[0]["messages"][0]["content"]
    assert card_of("ours-org-Draws-8B")["success"] == 2 / 3


# --- intervals ------------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_that_of_theory():
    values = list(np.random.default_rng(1).normal(5, 2, 400))
    mean, low, high = mean_interval(values)
    spread = 1.96 * np.std(values) / 20
    assert mean == pytest.approx(np.mean(values)) and (low, high) == pytest.approx(
        (mean - spread, mean + spread), abs=0.03
    )
    assert mean_interval(values) == (mean, low, high)
    hard = [value + 1 for value in values]
    assert paired_difference(hard, values) == pytest.approx((1, 1, 1))  # what both find hard does not widen it
