"""Training on several files, drawings, edits and repairs among them: which samples are used, and where they fall."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import evaluate_test
import train
from prompt_template import build_prompt, extract_svg
from qwen_svg.common.dataset import read_samples
from qwen_svg.common.errors import UserError
from qwen_svg.common.run_folder import open_run
from qwen_svg.common.run_split import samples_of
from qwen_svg.generation import engine
from qwen_svg.model.source import find_source
from qwen_svg.training.data import prepare_data
from tests.scripts import constants_of, run_main
from tests.tiny import answer

COLOURS = ("red", "green", "blue", "gold", "navy", "teal", "pink", "gray")
SHORT = "--epochs 1 --batch-size 4 --learning-rate 0.02 --lora-rank 4 --lora-alpha 8 --max-length 1400 --cpu-dtype fp32"
SHORT = [*SHORT.split(), "--no-wandb"]


@pytest.fixture(scope="module")
def files(tmp_path_factory, data_file) -> Path:
    """A folder with 40 drawings (each its own group), 40 edits and 20 repairs of them."""
    folder = tmp_path_factory.mktemp("mix")
    draws = [json.loads(line) | {"group": f"g{i}"} for i, line in enumerate(data_file.read_text().splitlines())]
    edits, repairs = [], []
    for i, draw in enumerate(draws):
        svg, group = extract_svg(draw["svg_content"]), {"group": draw["group"]}
        changed = {"description": f"make it {COLOURS[i % 7 + 1]}", "svg": svg, "svg_content": answer("tan", 60 + i)}
        edits.append({"id": f"e{i}"} | changed | group)
        broken = {"description": "Repair this drawing.", "svg": svg[:90], "task": "repair"}
        repairs.append({"id": f"r{i}", "svg_content": draw["svg_content"]} | broken | group)
    for name, records in (("draws", draws), ("edits", edits), ("repairs", repairs[:20])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def prepared(tokenizer, *entries: str, **changes: str):
    flags = [text for name, value in changes.items() for text in (f"--{name.replace('_', '-')}", value)]
    return prepare_data(constants_of(train, "--dry-run", "--data-path", *entries, *flags), tokenizer)


def test_the_split_is_leak_free_across_files(files, tokenizer, monkeypatch, capsys):
    monkeypatch.chdir(files)
    data = prepared(tokenizer, "draws.jsonl", "edits.jsonl", "repairs.jsonl")
    sides = {id: part for part in data.parts for id in data.ids[part]}
    assert len(sides) == 100 and min(map(len, data.parts.values())) > 3
    assert all(sides[f"s{i}"] == sides[f"e{i}"] for i in range(40))
    assert all(sides[f"s{i}"] == sides[f"r{i}"] for i in range(20))
    assert sum(data.tasks.values()) == len(data.parts["train"]) and list(data.tasks) == ["draw", "edit", "repair"]
    assert "edits.jsonl: 40 samples read" in (said := capsys.readouterr().out) and "× repair" in said
    assert data.lines["read"] == 100


def test_each_task_has_its_own_prompt(files, tokenizer, monkeypatch):
    monkeypatch.chdir(files)
    data = prepared(tokenizer, "draws.jsonl", "edits.jsonl", "repairs.jsonl")
    asked = {s.id: s for name in ("draws", "edits", "repairs") for s in read_samples(f"{name}.jsonl").samples}
    for rows in data.parts.values():
        for row in rows:
            sample = asked[row.id]
            assert build_prompt(sample.description, sample.svg, sample.task) in tokenizer.decode(row.prompt)
            assert tokenizer.decode(row.answer[:-1]) == sample.answer


def test_a_weight_is_a_share_of_a_file_always_the_same(files, tokenizer, monkeypatch):
    monkeypatch.chdir(files)
    ids = []
    for seed in ("42", "42", "7"):
        data = prepared(tokenizer, "draws.jsonl", "edits.jsonl:0.25", seed=seed)
        ids.append({id for part in data.parts for id in data.ids[part]})
        assert sum(id[0] == "s" for id in ids[-1]) == 40 and sum(id[0] == "e" for id in ids[-1]) == 10
    assert ids[0] == ids[1] != ids[2]
    assert len(prepared(tokenizer, "draws.jsonl", "repairs.jsonl:0.001").fingerprint) == 64  # one at least
    whole, alone = (prepared(tokenizer, entry) for entry in ("draws.jsonl:1", "draws.jsonl"))
    assert whole.ids == alone.ids and whole.fingerprint == alone.fingerprint


@pytest.mark.parametrize(
    ("entries", "message"),
    {
        ("edits.jsonl:0",): "DATA_PATH edits.jsonl:0: the weight of a file is above 0 and at most 1, not 0",
        ("edits.jsonl:1.5",): "at most 1, not 1.5",
        ("edits.jsonl:nan",): "at most 1, not nan",
        ("draws.jsonl", "none.jsonl:0.5"): "data file none.jsonl does not exist",
        ("draws.jsonl", "edits.jsonl:half"): "data file edits.jsonl:half does not exist",
        (): "DATA_PATH is empty",
        ("draws.jsonl", "copy.jsonl"): r"id 's0' is in draws.jsonl \(line 1\) and in copy.jsonl \(line 2\)",
    }.items(),
)
def test_mistakes_are_named(files, tokenizer, monkeypatch, entries, message):
    monkeypatch.chdir(files)
    first = (files / "draws.jsonl").read_text().splitlines()[0]
    (files / "copy.jsonl").write_text(first.replace('"s0"', '"new"') + "\n" + first + "\n")
    with pytest.raises(UserError, match=message):
        prepared(tokenizer, *entries)


@pytest.fixture(scope="module")
def trained(files, tiny_base):
    """A run on all three files, and one that went on from its first checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files)
        data = ["--data-path", "draws.jsonl", "edits.jsonl:0.5", "repairs.jsonl"]
        flags = ["--base-model", str(tiny_base), *data, *SHORT]
        run_main(train, *flags, "--run-name", "whole", "--save-steps", "10")
        shutil.copytree(
            "outputs/whole", "outputs/halves", ignore=shutil.ignore_patterns("adapter*", "checkpoint-1[1-9]")
        )
        shutil.copytree("outputs/whole/checkpoint-10", "outputs/halves/checkpoint-10", dirs_exist_ok=True)
        run_main(train, "--resume", "--run-name", "halves")
    return files


def test_a_run_on_several_files_is_resumed_and_opened_from_anywhere(trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    config = yaml.safe_load(Path("outputs/whole/config.yml").read_text())
    assert config["data_path"] == ["draws.jsonl", "edits.jsonl:0.5", "repairs.jsonl"]
    facts = json.loads(Path("outputs/whole/environment.json").read_text())["data"]
    assert facts["path"] == "draws.jsonl, edits.jsonl:0.5, repairs.jsonl" and facts["tasks"]["edit"] > 10
    card = Path("outputs/whole/README.md").read_text()
    assert "| data | draws.jsonl, edits.jsonl:0.5, repairs.jsonl (sha256" in card and "× repair" in card
    split = json.loads(Path("outputs/whole/split.json").read_text())
    whole, halves = (load_file(f"outputs/{name}/adapter_model.safetensors") for name in ("whole", "halves"))
    assert all(torch.equal(halves[name], weights) for name, weights in whole.items())
    assert find_source("whole").edits and find_source("outputs/whole/checkpoint-10").edits
    shutil.copytree("outputs/whole", tmp_path / "alone", ignore=shutil.ignore_patterns("config.yml", "checkpoint*"))
    assert not find_source(str(tmp_path / "alone")).edits  # an adapter says it in qwen_svg.json, as the hub's do
    (tmp_path / "alone/qwen_svg.json").write_text('{"max_length": 1400, "edits": true, "what is new": 1}')
    assert find_source(str(tmp_path / "alone")).edits and find_source(str(tmp_path / "alone")).max_length == 1400
    monkeypatch.chdir(tmp_path)
    run = open_run(str(trained / "outputs/whole"))
    assert [sample.id for sample in samples_of(run.folder, "train", run.constants.DATA_PATH)] == split["train"]
    with pytest.raises(UserError, match="not the ones"):
        samples_of(run.folder, "test", run.constants.DATA_PATH[:1])


def test_the_test_asks_each_task_its_own_way_and_tells_them_apart(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    prompts = []

    def generate(*given, **named):
        prompts.extend(map(named["tokenizer"].decode, named["prompts"]))
        return engine.generate_answers(*given, **named | {"max_new": 9})

    monkeypatch.setattr(evaluate_test, "generate_answers", generate)
    run_main(evaluate_test, "--model", "whole", "--skip-base", "--no-constrained")
    run = open_run("whole")
    samples = samples_of(run.folder, "test", run.constants.DATA_PATH)
    assert len({sample.task for sample in samples}) > 1
    for sample, prompt in zip(samples, prompts, strict=True):
        assert build_prompt(sample.description, sample.svg, sample.task) in prompt
    metrics = json.loads((run.folder / "test/metrics.json").read_text())
    counted = {task: figures["samples"] for task, figures in metrics["tuned"]["tasks"].items()}
    assert sum(counted.values()) == len(samples) and "repair: legal in prompt" in capsys.readouterr().out
    assert (
        metrics["reference"]["tasks"]["repair"]["as_reference"] == 1
        and "claims" not in metrics["tuned"]["tasks"]["repair"]
    )
    lines = [json.loads(line) for line in (run.folder / "test/samples.jsonl").read_text().splitlines()]
    assert [(line.get("svg"), line.get("task", "draw")) for line in lines] == [(s.svg, s.task) for s in samples]
    assert "before" in (run.folder / "test/report.html").read_text()
