"""Runs that are moved, checkpoints, exports and chat templates draw as the run did."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import train
from prompt_template import build_prompt, format_prompt
from qwen_svg.common.errors import UserError
from qwen_svg.common.run_folder import open_run
from qwen_svg.generation.llama_cpp import is_installed
from qwen_svg.model import find
from qwen_svg.model.chat_template import trained_chat_template
from qwen_svg.model.gguf_reading import first_fields
from qwen_svg.model.source import find_source
from qwen_svg.model.tokenizer import load_tokenizer
from tests.paths import ROOT, SHARED
from tests.scripts import run_main
from tests.tiny import make_llama_tokenizer

# Qwen2.5's own template puts in a system message where none is given.
QWEN = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are Qwen, created by Alibaba Cloud.<|im_end|>\n"
    "{% endif %}{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
EXPORT = ("-m", "qwen_svg.model.export")
TURNS = [("a red fox", "<reasoning>r</reasoning>\n<svg></svg>"), ("in snow", "<reasoning>s</reasoning><svg></svg>")]


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_base, data_file):
    """A folder with a base, data and a run, all named by relative paths; raw prompts and a length of its own."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copytree(tiny_base, folder / "tiny")
    shutil.copy(data_file, folder / "data.jsonl")
    flags = ["--base-model", "tiny", "--data-path", "data.jsonl", "--prompt-form", "raw", "--max-length", "3000"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_main(
            train, *flags, "--run-name", "r", "--epochs", "1", "--save-steps", "2", "--lora-rank", "4", "--no-wandb"
        )
    return folder


def shell(*command: object, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True)


def test_a_run_is_opened_from_anywhere_and_after_being_copied(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = find_source(str(place / "outputs" / "r"))
    assert Path(source.base).samefile(place / "tiny") and source.prompt_form == "raw" and source.max_length == 3000
    (data,) = open_run(str(place / "outputs" / "r")).constants.DATA_PATH
    assert Path(data).samefile(place / "data.jsonl")
    for folder in ("tiny", "outputs"):
        shutil.copytree(place / folder, tmp_path / "copy" / folder)
    moved = find_source(str(tmp_path / "copy" / "outputs" / "r"))
    assert Path(moved.base).samefile(tmp_path / "copy" / "tiny")
    shutil.copytree(place / "outputs" / "r", tmp_path / "alone")
    assert find_source("alone").base == "tiny"  # nowhere: as it is written
    assert find_source("alone", base=str(place / "tiny")).base == str(place / "tiny")


def test_before_there_is_a_run_the_projects_own_adapter_draws(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "outputs" / "r", tmp_path / "adapters" / "ours")
    (tmp_path / "adapters" / "ours" / "config.yml").unlink()
    config = tmp_path / "adapters" / "ours" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "models/base.gguf"}))
    monkeypatch.setattr(find, "SHIPPED", tmp_path / "adapters" / "ours")
    with pytest.raises(UserError, match="holds no run"):  # its base is not there
        find_source("")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "base.gguf").touch()
    source = find_source("")
    assert source.adapter == tmp_path / "adapters/ours" and Path(source.base).samefile("models/base.gguf")
    shutil.copytree(place / "outputs", tmp_path / "outputs")
    assert find_source("").adapter == Path("outputs/r")


def test_every_script_that_opens_a_run_takes_the_base(place, tmp_path):
    shutil.copytree(place / "outputs" / "r", tmp_path / "alone")
    ran = shell(ROOT / "generate.py", "--model", "alone", "a circle", cwd=tmp_path)
    assert (
        ran.returncode == 2 and "base model folder tiny does not exist" in ran.stderr and "--base-model" in ran.stderr
    )
    drawn = shell(ROOT / "generate.py", "--model", "alone", "--base-model", place / "tiny", "a circle", cwd=tmp_path)
    assert drawn.returncode == 0 and "legal" in drawn.stdout, drawn.stderr
    for script in ("evaluate_test.py", "serve.py", "generate.py"):
        assert "--base-model" in shell(ROOT / script, "--help", cwd=tmp_path).stdout


def test_a_checkpoint_draws_as_its_run(place):
    source = find_source(str(place / "outputs" / "r" / "checkpoint-8"))
    assert (source.prompt_form, source.max_length) == ("raw", 3000) and source.adapter.name == "checkpoint-8"
    assert Path(source.base).samefile(place / "tiny")


def test_prompt_form_and_length_travel_with_both_exports(place, tmp_path):
    run = place / "outputs" / "r"
    ran = shell(*EXPORT, "--model", run, "--output", tmp_path / "e", "--format", "both", cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    (file,) = (tmp_path / "e" / "gguf").glob("*.gguf")
    shutil.move(file, tmp_path / "elsewhere.gguf")  # a file alone, without the folder it was made in
    shutil.copytree(tmp_path / "e", tmp_path / "f")
    for path in (tmp_path / "elsewhere.gguf", tmp_path / "f"):
        source = find_source(str(path))
        assert (source.prompt_form, source.max_length) == ("raw", 3000), path
        messages = [{"role": "user", "content": "a red fox"}]
        asked = load_tokenizer(str(path)).apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert asked == format_prompt(load_tokenizer(source.base), "a red fox", "raw")
    assert first_fields(tmp_path / "elsewhere.gguf")["general.architecture"] == "qwen2"
    assert first_fields(place / "data.jsonl") == {}


def test_a_failed_export_leaves_nothing_in_the_way(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    ran = shell(
        "-m", "qwen_svg.model.export", "--model", base, "--output", tmp_path / "e", "--format", "both", cwd=ROOT
    )
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and "--format safetensors" in ran.stderr, ran.stderr
    assert not list(tmp_path.glob("e*"))


@pytest.mark.parametrize("form", ["chat", "raw"])
@pytest.mark.parametrize("family", ["chatml", "qwen", "llama"])
def test_the_exported_template_is_the_trained_prompt(tokenizer, family, form):
    """Equal ids, one turn and several, with the description alone or the whole instruction as the message."""
    own = make_llama_tokenizer() if family == "llama" else tokenizer
    before = own.chat_template
    try:
        if family == "qwen":
            own.chat_template = QWEN
        expected = {
            n: own(format_prompt(own, "the end", form, TURNS[:n]), add_special_tokens=False)["input_ids"]
            for n in range(3)
        }
        own.chat_template = trained_chat_template(own, form)
        for wrap in (str, build_prompt):
            for n in range(3):
                said = [
                    (role, text) for turn in TURNS[:n] for role, text in zip(("user", "assistant"), turn, strict=True)
                ]
                said.append(("user", "the end"))
                messages = [{"role": r, "content": wrap(t) if r == "user" else t} for r, t in said]
                found = own.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
                assert found == expected[n], (wrap, n)
        system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "the end"}]
        assert own.apply_chat_template(system, add_generation_prompt=True)["input_ids"] == expected[0]
    finally:
        own.chat_template = before


def test_llama_cpp_asks_as_the_trainer_did(place, tmp_path):
    """llama.cpp's own template engine and tokenizer."""
    tool = SHARED / "corpora" / "faults-training" / "llama_cpp_tokens.py"
    if not (is_installed() and tool.is_file()):
        pytest.skip("needs xllamacpp and the shared corpora")
    run = place / "outputs" / "r"
    shell(*EXPORT, "--model", run, "--output", tmp_path / "e", "--format", "gguf", cwd=ROOT)
    (file,) = (tmp_path / "e" / "gguf").glob("*.gguf")
    own = load_tokenizer(str(place / "tiny"))
    text = format_prompt(own, "a red fox", "raw")
    ids = own(text, add_special_tokens=False)["input_ids"]
    (tmp_path / "ids.json").write_text(json.dumps({"ids": ids, "text": text, "user": "a red fox"}))
    ran = subprocess.run(
        [sys.executable, tool, file, tmp_path / "ids.json"], capture_output=True, text=True, timeout=120
    )
    assert f"chat ids equal to train-time True {len(ids)} {len(ids)}" in ran.stdout, ran.stdout + ran.stderr
