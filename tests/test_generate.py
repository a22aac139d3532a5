"""Drawing from the shell: one description, many seeds, files of descriptions gone on with, and a chat in a terminal."""

import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from tqdm import tqdm

import generate
from prompt_template import REPAIR, extract_svg
from qwen_svg.common import progress
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError, in_the_way, run
from qwen_svg.common.run_folder import mark_ended
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation import chat, engine
from qwen_svg.generation.batch import draw_file
from qwen_svg.generation.best_of_n import Attempt, DrawingPlan, Request, draw_each
from qwen_svg.generation.descriptions import read_descriptions
from qwen_svg.generation.drawings import save, save_as, slug
from qwen_svg.generation.engine import rows_for
from qwen_svg.generation.predictor import Drawing, Predictor, Settings
from qwen_svg.generation.terminal import Reasoning
from qwen_svg.model import find
from qwen_svg.model.find import find_model
from svg_constraint import check
from tests.paths import ROOT
from tests.scripts import run_main
from tests.tiny import answer, make_prompts

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
FREE = Settings(temperature=1.0, seed=5, max_new=20, free=True)

LEGAL = r"→ legal(, but blank)? · seed "  # a random model's drawings are specks


@pytest.fixture(scope="module")
def predictor(tiny_base):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would wait for each other, over matrices as small as these
    yield Predictor(str(tiny_base), slots=4)
    torch.set_num_threads(threads)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(find, "SHIPPED", Path("nowhere"))
    return tmp_path


def drawn(text: str, description: str = "a fox", tokens: int = 9) -> Drawing:
    made = judge(text)
    return Drawing(description, text, made.reasoning, made.svg, made.png, made.verdicts["prompt"], tokens, 1.0, True)


def shell(*arguments: str, cwd) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "generate.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ONE_THREAD)


# --- one description ------------------------------------------------------------------------------------------


def test_a_description_becomes_files_and_their_paths(tiny_base, tmp_path):
    ran = shell("a Blue button, with power/symbol", "--model", str(tiny_base), "--max-new-tokens", "340", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    *reasoning, verdict, svg, png = ran.stdout.rstrip("\n").split("\n")
    assert any(line.strip() for line in reasoning) and re.match(
        r"→ legal, but blank · seed 0 · \d+ tokens in [\d.]+ s$", verdict
    )
    paths = [tmp_path / line.strip() for line in (svg, png)]
    assert [path.name for path in paths] == [f"a-blue-button-with-power-symbol-1.{kind}" for kind in ("svg", "png")]
    assert check(paths[0].read_text(encoding="utf-8"), "prompt").valid and Image.open(paths[1]).size == (256, 256)


def test_a_file_is_changed_or_repaired(here, tiny_base, monkeypatch):
    asked = []
    made_row = Predictor.row

    def row(self, description, settings, before, change):
        asked.append((description, change))
        return made_row(self, description, settings, before, change)

    monkeypatch.setattr(Predictor, "row", row)
    model, svg = ["--model", str(tiny_base), "--max-new-tokens", "340"], extract_svg(answer())
    Path("coin.svg").write_text(svg)
    Path("broken.svg").write_text(svg[:60])
    assert run_main(generate, "make it red", "--edit", "coin.svg", *model, positional="DESCRIPTION") == 0
    assert run_main(generate, "--repair", "broken.svg", *model, positional="DESCRIPTION") == 0
    assert asked == [("make it red", (svg, "edit")), (REPAIR, (svg[:60], "repair"))]
    assert Path("outputs/drawings/make-it-red-1.svg").is_file() and Path("coin.svg").read_text() == svg
    assert Path("outputs/drawings/repair-this-drawing-1.svg").is_file()
    Path("empty.svg").write_text(" ")
    for arguments, words in (
        (["--edit", "broken.svg", "make it red"], "the SVG to be changed is not legal"),
        (["--repair", "empty.svg"], "empty.svg is empty"),
        (["--edit", "coin.svg"], "the description is empty"),
    ):
        with pytest.raises(UserError, match=words):
            run_main(generate, *arguments, *model, positional="DESCRIPTION")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the description is empty"),
        (["  \n"], "the description is empty"),
        (["a", "fox"], "put a text of several words in quotes"),
        (["a fox", "--interactive"], "give one of them"),
        (["a fox", "--n", "3", "--temperature", "0"], "every drawing is the same"),
        (["a fox", "--score", "text_match"], "SCORE chooses among several drawings"),
        (["a fox", "--n", "2", "--score", "txt", "--model", "a/b"], "there is no score 'txt'; did you mean text_match"),
        (["a fox", "--n", "2", "--score", "dino", "--model", "a/b"], "new drawings have none"),
        (["a fox", "--n", "0"], "N must be above 0"),
        (["a fox", "--temperature", "nan"], "--temperature must be a finite number"),
        (["a fox", "--output", "x.jsonl"], "give one with `--input`"),
        (["a fox", "--model", "no/such/folder"], "MODEL no/such/folder does not exist"),
        (["a fox", "--model", "small.gguf"], "MODEL small.gguf does not exist"),
        (["a fox"], "holds no run whose training has ended"),
        (["--edit", "no.svg", "make it red"], "EDIT no.svg is no file"),
        (["--repair", "no.svg"], "REPAIR no.svg is no file"),
        (["--edit", "no.svg", "--repair", "no.svg", "a"], "--edit and --repair change one drawing, one way"),
        (["--edit", "no.svg", "--input", "d.txt"], "leave the other, --input and --interactive out"),
        (["--input", "d.pdf"], "none of .txt, .jsonl, .csv"),
    ],
)
def test_what_is_wrong_is_one_sentence(here, capsys, arguments, words):
    model = ["--model", "a/b"] if "d.pdf" in arguments else []
    with pytest.raises(SystemExit) as stopped:
        run(lambda _: run_main(generate, *arguments, *model, positional="DESCRIPTION"), SimpleNamespace())
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and words in said and said.count("\n") == 1, said
    assert list(here.iterdir()) == []


def test_bytes_that_are_no_text_are_refused(tmp_path):
    command = [sys.executable.encode(), str(ROOT / "generate.py").encode(), b"a \xff fox"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert ran.returncode == 2 and ran.stderr.startswith(b"error: ") and b"not UTF-8" in ran.stderr


def test_the_model_is_the_newest_trained_run_unless_named(here):
    for age, name in enumerate(["new", "old", "untrained"]):
        folder = here / "outputs" / name
        folder.mkdir(parents=True)
        (folder / "config.yml").touch()
        if name != "untrained":
            (folder / "adapter_model.safetensors").touch()
            os.utime(folder / "adapter_model.safetensors", (1000 - age, 1000 - age))
    assert find_model("") == "outputs/new" and find_model("old") == "outputs/old"
    assert find_model("owner/name") == "owner/name"


def test_a_trial_is_the_newest_run_but_says_so_and_copying_makes_none_newer(here, capsys):
    for name, steps in (("long", 400), ("trial", 3)):
        folder = here / "outputs" / name
        folder.mkdir(parents=True)
        (folder / "config.yml").touch()
        (folder / "environment.json").write_text("{}")
        (folder / "adapter_model.safetensors").touch()
        mark_ended(folder, steps)
    os.utime(here / "outputs/long/adapter_model.safetensors")  # as copying does
    assert find_model("") == find_model("") == "outputs/trial"
    note = "note: outputs/trial, the newest run, was trained for 3 steps, outputs/long for 400: `--model long`\n"
    assert capsys.readouterr().out == note
    mark_ended(here / "outputs/long", 400)
    assert find_model("") == "outputs/long" and not capsys.readouterr().out


def test_nothing_is_overwritten_and_names_are_safe(tmp_path):
    good, none = drawn(answer(), "../a Füchsin\x00!"), drawn("I cannot draw", "../a Füchsin\x00!")
    assert [path.name for path in save(good, tmp_path)] == ["a-füchsin-1.svg", "a-füchsin-1.png"]
    assert [path.name for path in save(none, tmp_path)] == ["a-füchsin-2.txt"]
    (tmp_path / "a-füchsin-3.png").write_text("mine")
    assert [path.name for path in save(good, tmp_path)] == ["a-füchsin-4.svg", "a-füchsin-4.png"]
    assert (tmp_path / "a-füchsin-1.svg").read_text() == good.svg and (
        tmp_path / "a-füchsin-3.png"
    ).read_text() == "mine"
    assert slug("🦊 !") == "drawing" and len(slug("word " * 100).encode()) <= 48 and slug("con/nul") == "con-nul"


def test_the_reasoning_is_shown_while_it_is_written(tokenizer, capsys):
    text = "Well: <reasoning>\n1. A <b> and\n2. 🦊 \x1b[2J</reasoning><svg>"
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    (row,) = rows_for([[1]], 99, 99, 0.0, 0)
    seen, shown = [], Reasoning(tokenizer, tqdm(disable=True))
    for token in tokens:
        row.tokens.append(token)
        shown.watch(row)
        seen.append(capsys.readouterr().out)
    assert "".join(seen) == "1. A <b> and\n2. 🦊 \ufffd[2J\n"
    assert sum(map(bool, seen)) > 5


# --- several attempts -----------------------------------------------------------------------------------------


def test_the_best_is_legal_then_renders_then_shows_something(tmp_path):
    legal, empty = answer(), answer().replace('fill="gold"', 'fill="white"')
    illegal = answer().replace("<circle", '<circle id="x"')
    worse = answer().replace("</svg>", "<text>x</text></svg>").replace("<circle", '<circle id="x"')
    order = [legal, empty, illegal, worse, "nothing"]
    attempts = [Attempt(i, 1, drawn(text)) for i, text in enumerate(order)]
    ranks = [attempt.rank for attempt in attempts]
    assert ranks == sorted(ranks, reverse=True) and len(set(ranks)) == 5


def test_several_are_drawn_with_their_seeds(predictor):
    (request,) = draw_each(predictor, [Request("1", "a fox")], DrawingPlan(FREE, n=3))
    assert sorted(attempt.seed for attempt in request.attempts) == [5, 6, 7]
    assert [a.rank for a in request.attempts] == sorted((a.rank for a in request.attempts), reverse=True)
    alone = predictor.draw("a fox", replace(FREE, seed=6))
    assert [alone.answer] == [attempt.drawing.answer for attempt in request.attempts if attempt.seed == 6]


def test_a_score_decides_among_those_that_are_alike(predictor, tmp_path):
    """Legal drawings are ordered by it; one that is not legal stays behind, however well it scores."""
    held = replace(FREE, free=False, max_new=340)
    asked = []

    def by_length(drawings):
        asked.append([drawing.description for drawing in drawings])
        return [len(drawing.answer) / 10_000 for drawing in drawings]

    (request,) = draw_each(
        predictor, [Request("1", "a fox")], DrawingPlan(held, n=4, score=by_length, scored_by="length")
    )
    lengths = [len(attempt.drawing.answer) for attempt in request.attempts]
    ranks = [(attempt.drawing.drawn, length) for attempt, length in zip(request.attempts, lengths, strict=True)]
    assert asked == [["a fox"] * 4] and ranks == sorted(ranks, reverse=True) and len(set(lengths)) > 2
    assert [attempt.score for attempt in request.attempts] == [length / 10_000 for length in lengths]
    illegal = drawn(answer().replace("<circle", '<circle id="x"'))
    assert Attempt(1, 1, drawn(answer()), 0.1).rank > Attempt(2, 1, illegal, 0.9).rank
    assert Attempt(1, 1, drawn(answer()), 0.1).rank < Attempt(2, 1, drawn(answer()), 0.2).rank

    (tmp_path / "d.txt").write_text("a fox\n")
    output = tmp_path / "o.jsonl"
    scored = DrawingPlan(held, n=4, score=by_length, scored_by="length")
    draw_file(lambda: predictor, "m", scored, True, tmp_path / "d.txt", output)
    (record,) = map(json.loads, output.read_text().splitlines())
    assert record["score"] == len(record["svg_content"]) / 10_000 and record["way"]["score"] == "length"
    with pytest.raises(UserError, match="begun with another score"):
        draw_file(lambda: predictor, "m", DrawingPlan(held, n=4), True, tmp_path / "d.txt", output)


def test_a_file_from_before_there_were_scores_is_gone_on_with(predictor, tmp_path):
    (tmp_path / "d.txt").write_text("a fox\n")
    output = tmp_path / "o.jsonl"
    draw_file(lambda: predictor, "m", DrawingPlan(FREE), False, tmp_path / "d.txt", output)
    record = json.loads(output.read_text())
    assert record.pop("score") is None and record["way"].pop("score") == ""
    output.write_text(json.dumps(record) + "\n")
    draw_file(lambda: predictor, "m", DrawingPlan(FREE), False, tmp_path / "d.txt", output)
    assert len(output.read_text().splitlines()) == 1


def test_a_free_answer_is_retried_until_it_is_legal(predictor, monkeypatch):
    """The third answer is replaced by a legal one, on its way from the model."""
    taken_apart, seen = predictor.drawing, []

    def third_is_legal(description, row):
        seen.append(row)
        return drawn(answer()) if len(seen) == 3 else taken_apart(description, row)

    monkeypatch.setattr(predictor, "drawing", third_is_legal)
    (request,) = draw_each(predictor, [Request("1", "a fox")], DrawingPlan(FREE, retries=4))
    assert [(a.seed, a.tries, a.drawing.legal) for a in request.attempts] == [(7, 3, True)]
    seen += [None] * 9
    (request,) = draw_each(predictor, [Request("1", "a fox")], DrawingPlan(FREE, n=2, retries=1))
    assert [a.tries for a in request.attempts] == [2, 2] and not request.attempts[0].drawing.legal
    (request,) = draw_each(predictor, [Request("1", "a fox")], DrawingPlan(Settings(free=True, max_new=5), retries=4))
    assert request.attempts[0].tries == 1  # greedy: the same again


def test_giving_up_leaves_nothing_behind(predictor):
    requests = draw_each(predictor, [Request(str(i), "a fox") for i in range(9)], DrawingPlan(FREE, n=2))
    next(requests)
    requests.close()
    assert not predictor.engine.busy


# --- files of descriptions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "found", "faults"),
    [
        ("d.txt", "\ufeffa fox\r\n\r\n  a tree\n", [("1", "a fox"), ("2", "a tree")], 0),
        ("d.txt", b"a \xff\nb\n", [("2", "b")], 1),
        ("d.csv", '\ufeffid,description\nx,"a, b"\ny,\nx,again\n', [("x", "a, b")], 2),
        (
            "d.jsonl",
            '{"id": "a", "description": "q"}\n{"id": "b"}\n{}\n{"id": "d", "description": ""}\n',
            [("a", "q")],
            3,
        ),
        ("d.jsonl", '{"id": "b"}\n{"id": "a", "description": "q"}\n', [("a", "q")], 1),
        ("d.jsonl", '{"n": ' + "7" * 5000 + '}\n{"id": "a", "description": "q"}\n', [("a", "q")], 1),
        ("d.txt", "x" * 25_000 + "\nq\n\u200b\n", [("2", "q")], 2),
        ("d.jsonl", '{"description": "q"}\n[]\n{"id": 7, "description": " r "}\nno\n', [("1", "q"), ("7", "r")], 2),
        ("d.jsonl", '{"description": "\\ud83d"}\n{"description": 3}\n{"description": "s"}\n', [("3", "s")], 2),
    ],
)
def test_descriptions_are_read_and_bad_rows_are_named(tmp_path, name, content, found, faults):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    asked, said = read_descriptions(path)
    assert [tuple(one) for one in asked] == found and len(said) == faults
    assert all(re.match(rf"{re.escape(str(path))}:\d+: ", one) for one in said)


@pytest.mark.parametrize(("name", "content"), [("d.txt", " \n"), ("d.jsonl", "no\n"), ("d.csv", "a,b\n1,2\n")])
def test_files_without_a_description_are_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=name):
        read_descriptions(tmp_path / name)


def test_a_batch_goes_on_where_it_was_stopped(predictor, tmp_path, capsys, monkeypatch):
    """A random model's answers are nothing to look at: every drawing but one gets one in their place."""
    taken_apart = predictor.drawing

    def mostly_legal(description, row):
        made = taken_apart(description, row)
        return made if description == "a fox" else replace(drawn(answer(), description), tokens=made.tokens)

    monkeypatch.setattr(predictor, "drawing", mostly_legal)
    source, output, whole = tmp_path / "d.txt", tmp_path / "o.jsonl", tmp_path / "whole.jsonl"
    source.write_text("".join(f"a fox{' and a tree' * i}\n" for i in range(5)) + "long " * 3000)
    plan = DrawingPlan(FREE)
    assert draw_file(lambda: predictor, "m", plan, False, source, whole) == 1  # one is too long
    lines = whole.read_text().splitlines(keepends=True)
    records = [json.loads(line) for line in lines]
    assert sorted(record["id"] for record in records) == list("123456")
    assert sorted(r["id"] for r in records if not r["legal"]) == ["1", "6"] and "shorten" in capsys.readouterr().out
    assert all(check(judge(r["svg_content"]).svg, "prompt").valid and r["tokens"] for r in records if r["legal"])
    assert Image.open(whole.with_suffix(".png")).size == (6 * 170 + 10, 160 + 52 + 20)

    output.write_text("".join(lines[:3]) + lines[3][:40])  # killed while it wrote
    draw_file(lambda: predictor, "m", plan, False, source, output)
    assert strip_times(output) == strip_times(whole)
    draw_file(lambda: pytest.fail("nothing is left to draw"), "m", plan, False, source, output)
    for change, word in (("other model", "model"), ("m", "seed")):
        again = DrawingPlan(FREE if word == "model" else replace(FREE, seed=9))
        with pytest.raises(UserError, match=f"begun with another {word}"):
            draw_file(lambda: predictor, change, again, False, source, output)
    source.write_text("something else\n")
    with pytest.raises(UserError, match="'1' drawn for another description"):
        draw_file(lambda: predictor, "m", plan, False, source, output)


def strip_times(path) -> dict[str, dict]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record["id"]: record | {"seconds": None} for record in records}


@pytest.mark.parametrize("way", ["a file/o.jsonl", "folder.jsonl", "pictures.jsonl", "/proc/o.jsonl"])
def test_output_that_cannot_be_written_is_found_before_drawing(tmp_path, way):
    (tmp_path / "d.txt").write_text("a fox\n")
    (tmp_path / "a file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "pictures.jsonl").touch()
    (tmp_path / "pictures.png").mkdir()
    with pytest.raises((UserError, OSError)) as error:
        draw_file(lambda: pytest.fail("loaded"), "m", DrawingPlan(FREE), False, tmp_path / "d.txt", tmp_path / way)
    assert isinstance(error.value, UserError) or in_the_way(error.value)


@pytest.mark.parametrize("foreign", ["d.txt", "o.txt", "mine.jsonl", "o.png"])
def test_files_of_others_stay_as_they_are(predictor, tmp_path, foreign):
    (tmp_path / "d.txt").write_text("a fox\n")
    (tmp_path / foreign).write_text("a fox\n")
    output = tmp_path / foreign.replace(".png", ".jsonl")
    with pytest.raises(UserError):
        draw_file(lambda: predictor, "m", DrawingPlan(FREE), False, tmp_path / "d.txt", output)
    assert (tmp_path / foreign).read_text() == "a fox\n"


# --- the chat -------------------------------------------------------------------------------------------------


class Terminal:
    """generate.py --interactive on a pseudo-terminal."""

    def __init__(self, cwd, *arguments: str):
        self.main, side = pty.openpty()
        termios.tcsetwinsize(side, (24, 100))
        command = [sys.executable, str(ROOT / "generate.py"), "--interactive", *arguments]
        env = ONE_THREAD | {"TERM": "dumb", "INPUTRC": "/dev/null"}
        self.process = subprocess.Popen(
            command, cwd=cwd, stdin=side, stdout=side, stderr=side, env=env, start_new_session=True
        )
        os.close(side)
        self.unread = ""

    def until(self, pattern: str, seconds: float = 60) -> str:
        """Read on until the pattern, and return what came up to its end."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.unread)):
            ready, _, _ = select.select([self.main], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern!r} in {self.unread!r}"
            self.unread += os.read(self.main, 65536).decode("utf-8", "replace")
        text, self.unread = self.unread[: found.end()], self.unread[found.end() :]
        return text

    def say(self, keys: str, pattern: str) -> str:
        os.write(self.main, keys.encode())
        return self.until(pattern)


def test_a_chat_changes_drawings_obeys_and_survives_ctrl_c(tiny_base, tmp_path):
    chat = Terminal(tmp_path, "--model", str(tiny_base), "--max-new-tokens", "340", "--retries", "0")
    chat.until("draw> ")
    assert "did you mean /seed" in chat.say("/sed 3\n", "draw> ")
    assert "takes a number" in chat.say("/temperature warm\n", "draw> ")
    assert "seed 3 · temperature 0.7" in chat.say("/seed 3\n", "draw> ")
    assert "temperature 1 · " in chat.say("/temperature 1\n", "draw> ")
    said = chat.say("a house\n", "change> ")
    assert re.search(LEGAL + r"3 .*a-house-1\.svg.*a-house-1\.png", said, re.DOTALL)
    chat.say("make the sky darker\n", r"drawing: \d\d+")  # well under way
    os.killpg(chat.process.pid, signal.SIGINT)
    assert "given up" in chat.until("change> ")
    assert "seed 4 · temperature 1 · n 2" in chat.say("/n 2\n", "change> ")
    assert "n 2 · free" in chat.say("/free\n", "change> ")
    said = chat.say("make the sky darker\n", "change> ")
    assert "make-the-sky-darker-1." in said and said.count("not kept: ") == 1
    chat.say("/new\n", "draw> ")
    chat.say("\x04", "\n")
    assert chat.process.wait(20) == 0
    history = (tmp_path / "outputs" / "chat_history").read_text()
    assert "make the sky darker" in history and "/seed 3" in history
    assert len(list((tmp_path / "outputs" / "drawings").glob("a-house-1.*"))) == 2


def test_a_chat_shows_opens_and_saves_its_drawing(predictor, tmp_path, monkeypatch, capsys):
    (viewer := tmp_path / "xdg-open").write_text('#!/bin/sh\necho "$1" >> opened; case "$1" in *-2.*) exit 3; esac\n')
    viewer.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(chat, "find_way", lambda: "kitty")
    monkeypatch.setattr(chat, "_keep_history", lambda: None)
    monkeypatch.setattr(chat, "draw_one", lambda *_: [Attempt(0, 1, drawn(answer(), "a house"))])
    said, lines = [], iter(["/open", "a house", "/open", "/save", "/save my house", "/save my house.svg", "a house",
                            "/open", "/quit"])  # fmt: skip

    def type_next(prompt: str) -> str:
        said.append(capsys.readouterr().out)
        return next(lines)

    monkeypatch.setattr("builtins.input", type_next)
    assert chat.Chat(predictor, DrawingPlan(FREE)).run() == 0
    _, too_early, first, opened, nameless, saved, again, _, not_opened = said
    drawings = Path("outputs/drawings")
    assert "there is no drawing yet" in too_early
    picture = "".join(re.findall(r"\x1b_G[^;]*;([A-Za-z0-9+/=]*)\x1b", first))
    assert base64.b64decode(picture) == (drawings / "a-house-1.png").read_bytes()
    assert opened == "" and Path("opened").read_text().split("\n")[0] == "outputs/drawings/a-house-1.svg"
    assert "/save takes a name" in nameless and saved.split("\n")[:2] == ["  my house.svg", "  my house.png"]
    for kind in ("svg", "png"):
        assert Path(f"my house.{kind}").read_bytes() == (drawings / f"a-house-1.{kind}").read_bytes()
    assert "my house.svg exists; give another name" in again
    assert "knows no program for outputs/drawings/a-house-2.svg" in not_opened


def test_a_drawing_is_saved_where_somebody_wants_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = drawn(answer())
    assert save_as(made, "a.svg") == [Path("a.svg")] and Path("a.svg").read_text(encoding="utf-8") == made.svg
    assert save_as(made, "b.PNG") == [Path("b.PNG")] and Path("b.PNG").read_bytes() == made.png
    assert save_as(made, "v1.2") == [Path("v1.2.svg"), Path("v1.2.png")]
    Path("folder").mkdir()
    assert save_as(made, "folder") == [Path("folder/a-fox-1.svg"), Path("folder/a-fox-1.png")]
    for name, words in (
        ("a", "a.svg exists"),  # and a.png is not written
        ("a.jpg", "saved as .svg and .png, not as .jpg"),
        ("no/such/place", "cannot be written (No such file or directory)"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            save_as(made, name)
    with pytest.raises(UserError, match="no drawing"):
        save_as(replace(made, svg=None, png=None), "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "b.PNG", "folder", "v1.2.png", "v1.2.svg"]


def test_room_that_is_too_little_names_the_flag_that_gives_more(predictor):
    with pytest.raises(UserError, match=r"there is room for 9; allow for more with `--max-new-tokens`"):
        predictor.row("a fox", Settings(max_new=9))


def test_help_names_the_description_once_more():
    c = constants_in_force(ROOT / "generate.py", ["a fox", "--n", "2"], positional="DESCRIPTION")
    assert (c.DESCRIPTION, c.N, c.FREE) == ("a fox", 2, False)


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(predictor, monkeypatch, capsys):
    prompts = make_prompts(predictor.tokenizer, 3)
    ask = partial(
        engine.generate_answers, predictor.engine.model, predictor.tokenizer, prompts, max_total=900, max_new=4,
        batch_size=1, temperature=0.0, seed=0, progress="tuned: drawing",
    )  # fmt: skip
    ask()
    assert not capsys.readouterr().out  # it was done in seconds
    monkeypatch.setattr(progress, "SAID_EVERY", -1)
    ask()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"tuned: drawing: {n} of 3, about 0 min left" for n in (1, 2, 3)]
