"""Every benchmark still fits what it measures: each call its callee's signature, and a small run of those that can."""

import ast
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import benchmarks.icons
import train
from benchmarks import training
from benchmarks.vectorize import PLAIN
from corpus.composing.samples import samples as compose
from corpus.sources import drawings
from qwen_svg.common.dataset import Sample
from qwen_svg.common.run_split import samples_of
from qwen_svg.generation.engine import Answer
from scoring.icon_matching.drawings import HELD_OUT, side_of
from tests.paths import ROOT
from tests.scripts import run_main
from tests.tiny import answer

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


# --- without running them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_call_fits_the_signature_of_what_it_calls(name):
    assert list(misfits(importlib.import_module(f"benchmarks.{name}"))) == []


def misfits(module: ModuleType) -> Iterator[str]:
    """Yield the calls of this project's functions, and of the libraries', that would be a TypeError."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    known = dict(vars(module)) | imported_inside(tree)
    own = names_bound_inside(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or unpacked(node):
            continue
        root, *attributes = ast.unparse(node.func).split(".")
        if root in own or root not in known or not all(map(str.isidentifier, attributes)):
            continue
        called = known[root]
        try:
            for attribute in attributes:
                called = getattr(called, attribute)
            inspect.signature(called).bind(*node.args, **{keyword.arg: None for keyword in node.keywords})
        except ValueError:  # written in C, without a signature
            continue
        except (AttributeError, TypeError) as error:
            yield f"line {node.lineno}: {ast.unparse(node)}: {error}"


def unpacked(call: ast.Call) -> bool:
    return any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)


def imported_inside(tree: ast.Module) -> dict[str, Any]:
    """Return what functions import of this project."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = getattr(node, "module", None) or node.names[0].name
            if list(ROOT.glob(name.partition(".")[0] + "*")):
                exec(ast.unparse(node), found)
    return found


def names_bound_inside(tree: ast.Module) -> set[str]:
    """Return the names of functions' arguments, variables and inner functions: what they are is not known here."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    nodes = [node for function in functions for node in ast.walk(function)]
    inner = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef) and n not in tree.body}
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return inner | stored | {n.arg for n in nodes if isinstance(n, ast.arg)}


def test_a_call_that_does_not_fit_is_found(tmp_path):
    path = tmp_path / "drifted.py"
    path.write_text(
        "import train\n\ndef main():\n    train.finish(1, 2)\n    train.forgotten()\n    train.finish(1, 2, 3, 4, 5)\n"
    )
    spec = importlib.util.spec_from_file_location("drifted", path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    first, second = misfits(module)
    assert "line 4: train.finish(1, 2): missing a required argument" in first and "line 5" in second


# --- small runs -------------------------------------------------------------------------------------------------


@pytest.fixture
def measure(monkeypatch, capsys, tmp_path):
    """Return what runs a benchmark with arguments, and constants made small; it returns the figures of --json."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *argv: Any, **constants: Any) -> Any:
        module = importlib.import_module(f"benchmarks.{name}")
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
        monkeypatch.setattr(sys, "argv", [name, *map(str, argv), *([] if "--one" in argv else ["--json"])])
        module.main()
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_new_tokens_are_trained_for_the_same_time_and_held_to_the_same_samples(measure, tiny_base, data_file):
    recipe = ("--base-model", tiny_base, "--batch-size", 2, "--warmup", 2, "--max-length", 900, "--cpu-dtype", "fp32")
    asked = ("--arms", "none", "numbers", "--data", data_file, "--minutes", 0.01, "--drawings", 1)
    found = measure("number_tokens", *asked, RECIPE=tuple(map(str, recipe)))
    assert list(found) == ["none", "numbers"] and {arm["samples"] for arm in found.values()} == {1}
    lengths = [arm["tokens_a_sample"] for arm in found.values()]
    assert lengths == sorted(lengths, reverse=True) and all(0.6 <= arm["cpu_seconds"] < 3 for arm in found.values())
    for arm in found.values():  # a random model of 900 tokens: some bits a byte, and no drawing
        assert arm["steps"] > 0 and 0 < arm["bits_per_byte"] < 20 and arm["legal"] == 0


@pytest.fixture(scope="module")
def tested(tmp_path_factory, tiny_base, data_file):
    """The folder of a run whose answers in the test are the right ones."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        flags = f"--base-model {tiny_base} --data-path {data_file} --max-length 900 --epochs 1 --no-wandb"
        run_main(train, *flags.split(), "--max-samples", "20", "--run-name", "one")
    run = folder / "outputs" / "one"
    (run / "test").mkdir()
    told = samples_of(run, "test", [str(data_file)])
    answers = [json.dumps({"id": sample.id, "tuned": {"answer": sample.answer}}) for sample in told]
    (run / "test" / "samples.jsonl").write_text("\n".join(answers) + "\n")
    return run


ARITHMETIC = {
    "scaling": ([], {}, lambda f: len(f["rows"]) == 14),
    "house": ([], {}, lambda f: f["cycles"] == 0),
    "startup": ([], {"ROUNDS": 1, "scripts": lambda: {"svg_constraint.py": [str(ROOT / "svg_constraint.py")]}}, bool),
    "scenes_data": (["--samples", 20], {"COUNTED": 20, "CHECKED": 5}, lambda f: f["1"]["hold"] == 1),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_what_needs_no_model(measure, name):
    argv, constants, holds = ARITHMETIC[name]
    assert holds(measure(name, *argv, **constants))


def test_what_reads_a_file_of_samples(measure, data_file):
    assert measure("checker", data_file, ROUNDS=1, HARD_CAP=4000)["worst"]["seconds"] > 0
    assert measure("scores", data_file, DRAWINGS=2, READ=1)["legality"]["mean"] == 1
    coverage = measure(
        "grammar_coverage", "--data", data_file, "--own", data_file, "--walks", 1, MOST_TOKENS=5, TIMED=1
    )
    assert coverage["own"] == 1 and coverage["illegal"] == 0


def test_what_reads_drawings(measure, tiny_base, tmp_path):
    for i, drawing in enumerate(islice(drawings("twemoji"), 4)):
        (tmp_path / f"{i}.svg").write_text(drawing.svg)
    found = measure("optimize", tmp_path, "--tokenizer", tiny_base)[str(tmp_path)]
    assert found["converted"] == found["faithful"] == 1
    figures = measure("vectorize", tmp_path, "--icons", 1, "--workers", 1, "--budgets", 4000, SIZE=64, PLAIN=PLAIN[:1])
    assert figures["4000"]["layers"]["none"] == figures["4000"]["plain"]["none"] == 0


def test_what_trains_a_step(measure, tiny_base, data_file):
    assert measure("cpu_step", "--base", tiny_base, STEPS=1)["tokens_per_cpu_second"] > 0
    assert measure("loss_head", "--one", "ours", VOCABULARY=99, HIDDEN=8)["loss"] > 0
    assert measure("memory_estimate", "--one", json.dumps([str(tiny_base), 1, 64, True]))["measured"] >= 0
    for one in (("data", data_file), ("length", 64)):
        assert measure("growth", "--tokenizer", tiny_base, "--one", *one, SMOLLM=str(tiny_base))["bytes"] >= 0


@pytest.mark.parametrize("name", ["stock", "ours"])
def test_contenders_of_training(tiny_base, data_file, tmp_path, name):
    job = training.write_job(tmp_path, tiny_base, str(data_file), 1)
    assert len(training.run(name, sys.executable, job)["losses"]) == 1


def test_what_draws(measure, tiny_base):
    drawn = [Answer(answer(), 9, 0.1, True)]  # a legal one takes hundreds of tokens
    assert measure("constrained", SAMPLES=1, BASE=str(tiny_base), generate_answers=lambda *_: drawn)["legal"] == 1
    figures = measure("drawing", tiny_base, "--threads=1", NEW=4, is_installed=lambda: False)
    assert set(figures) == {"transformers generate", "Predictor, free", "Predictor, constrained"}


def test_what_reads_a_run(measure, tested, tmp_path):
    small = {"PLAIN": 1, "SAMPLES": 2, "MAX_NEW": 4, "ROUNDS": 1, "SLOTS": (2,), "in_slots": lambda *_: 1}
    assert measure("generation", tested, **small)["2 slots, merged"]["ratio"] > 0
    (tmp_path / "docs").mkdir()
    figures = measure("scenes", tested, "--picture")
    assert figures["claims"] == 1 and (tmp_path / "docs/drawings.png").exists()


def test_what_asks_the_judge(measure, tmp_path, monkeypatch):
    """Of the two things that nobody has met, one is drawn and the other is an SVG that does not render."""
    unmet = (group for group in (f"concept:{i}" for i in count()) if side_of(group) == HELD_OUT)
    icons = {"a red star": "star", "a blue kite": "kite", "a blue ladder": next(unmet), "a green comb": next(unmet)}
    legal = [answer(colour) for colour in ("red", "blue", "navy", "green")]
    lines = [
        {"id": f"{i}:short", "description": text, "svg_content": legal[i], "group": group}
        for i, (text, group) in enumerate(icons.items())
    ]
    (tmp_path / "icons.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(benchmarks.icons, "drawn", lambda *_, **__: [*legal, legal[2], "<svg>a</comb></svg>"])
    few = {"OF": 2, "FIRST": 2, "BY_HEART": {"all": 6, "0": 3}}
    asked = ("icons", "--data", "icons.jsonl", "--samples", 2, "--answers", "answers.jsonl")
    figures = measure(*asked, "--sheet", "sheet.png", **few)
    assert figures["blank"] == 1 / 6 and figures["legal"] == 5 / 6
    assert figures["known_at10"] == figures["reference_at10"] == 1 and figures["unseen_at10"] == 0.5
    assert (tmp_path / "sheet.png").exists()
    monkeypatch.setattr(benchmarks.icons, "drawn", None)
    assert measure(*asked, **few) == figures  # of the answers that were kept
    seed = benchmarks.icons.TRAINED_SEED
    trained = [*compose(seed, 6, "all", 0.0), *compose(seed, 3, "0", 0.0)]
    known = [Sample(s["id"], s["description"], "", "") for s in trained]
    assert benchmarks.icons.nearest_scenes(known) == [s["svg_content"] for s in trained]


def in_this_process(bench, *command: str) -> None:
    """A script whose libraries are imported already."""
    name, *argv = command[1:] if command[0] == "-m" else command
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(bench.work)
        run_main(importlib.import_module(name.removesuffix(".py")), *argv)


def test_every_step_on_a_gpu_runs_on_a_cpu(measure, monkeypatch):
    """But `memory`, which asks the GPU's allocator. The contenders are tested above."""
    contender = {"clock": 1, "seconds": 1, "tokens": 9, "peak_bytes": 9, "first_step_seconds": 1, "losses": [1]}
    monkeypatch.setattr(training, "run", lambda *_: contender)
    monkeypatch.setattr("benchmarks.gpu_scripts.script", in_this_process)
    monkeypatch.setattr("benchmarks.gpu_decoding.SLOTS", (1, 2))
    figures = measure("gpu", "--small")
    assert figures["correct"]["passed"] and figures["prefer"]["passed"] and figures["reinforce"]["passed"]
    assert figures["train"]["apart"] == 0 and figures["profile"]["step_ms"] > 0 and figures["memory"] == {}
    assert figures["attention"]["cudnn False"]["not_finite"] == 0 and not torch.backends.cuda.cudnn_sdp_enabled()
    assert figures["decode"]["ours, constrained, 2"]["tokens_per_second"] > 0
    assert (
        figures["beside"]["ours"]["times_ours"] == 1
        and figures["prefer"]["steps"] == figures["reinforce"]["steps"] == 2
    )


def test_what_is_not_right_on_a_gpu_ends_there(measure, monkeypatch):
    monkeypatch.setattr("benchmarks.gpu.STEPS", {"correct": lambda _: {"passed": False}, "train": None})
    assert "train" not in measure("gpu", "--small")
