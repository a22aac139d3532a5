"""Sharing a run: what is sent, what its card says, and what is refused before anything is sent."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import train
from qwen_svg.common.constants import ROOT
from qwen_svg.common.errors import UserError
from qwen_svg.model import push as model_push
from tests.hub_server import TOKEN, standing_in
from tests.scripts import run_main

FIGURES = {"cross_entropy": 0.25, "constraint_accuracy": {"prompt": 0.875}, "drawn_rate": 1.0}


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_base, data_file):
    """A folder with a run that was trained from a file, and tested."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        short = "--epochs 0.2 --lora-rank 4 --max-length 1100 --no-wandb --run-name first".split()
        run_main(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *short)
    test = folder / "outputs/first/test"
    test.mkdir()
    (test / "metrics.json").write_text(json.dumps({"tuned": FIGURES}))
    (test / "gallery.png").write_bytes((folder / "outputs/first/loss.png").read_bytes())
    return folder


def push(work, address, *arguments, token=TOKEN):
    environment = os.environ | {
        "HF_ENDPOINT": address,
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(work),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, ROOT / "qwen_svg/model/push.py", *arguments]
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=120)


SHARED = ("first", "--to", "owner/drawer", "--license", "cc-by-4.0", "--base-id", "Qwen/Qwen2.5-0.5B")


def test_an_adapter_is_sent_with_a_card_that_the_hub_reads(work, tiny_base):
    run = work / "outputs/first"
    with standing_in() as (address, repositories):
        sent = push(work, address, *SHARED)
        assert sent.returncode == 0 and f"sent: {address}/owner/drawer/commit/" in sent.stdout, sent.stderr
        again = push(work, address, *SHARED)
        assert again.returncode == 2 and "owner/drawer is on the hub and holds" in again.stderr
    files = repositories["owner/drawer"]
    ours = {"adapter_config.json", "adapter_model.safetensors", "gallery.png", "loss.png", "qwen_svg.json"}
    assert set(files) == ours | {".gitattributes", "README.md"}
    assert files["adapter_model.safetensors"] == (run / "adapter_model.safetensors").read_bytes()
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "Qwen/Qwen2.5-0.5B"
    text = files["README.md"].decode()
    card = ModelCard(text)
    assert card.data.base_model == "Qwen/Qwen2.5-0.5B" and card.data.license == "cc-by-4.0"
    assert {one.metric_type: one.metric_value for one in card.data.eval_results} == {
        "cross-entropy (nats per token)": 0.25, "legal drawings": 0.875, "drawings that are not blank": 1.0,
    }  # fmt: skip
    assert "(gallery.png)" in text
    assert str(tiny_base) not in text and str(work) not in text and "| data | samples.jsonl (sha256" in text
    assert not any(str(tiny_base).encode() in content for content in files.values())


def test_new_tokens_bring_their_tokenizer(work, tiny_base, data_file, monkeypatch):
    monkeypatch.chdir(work)
    short = "--epochs 0.1 --lora-rank 4 --max-length 1100 --no-wandb --run-name marked --svg-tokens markup".split()
    run_main(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *short)
    with standing_in() as (address, repositories):
        sent = push(work, address, "marked", *SHARED[1:])
        assert sent.returncode == 0, sent.stderr
    files = repositories["owner/drawer"]
    assert files["tokenizer.json"] == (work / "outputs/marked/tokenizer.json").read_bytes()
    assert "tokenizer_config.json" in files


def test_merged_weights_and_a_gguf_file_are_sent_too(work):
    with standing_in() as (address, repositories):
        sent = push(work, address, *SHARED, "--merged", "--gguf")
        assert sent.returncode == 0, sent.stderr
    files = repositories["owner/drawer"]
    assert {"config.json", "tokenizer.json", "gguf/first.f16.gguf", "gguf/Modelfile", "README.md"} <= set(files)
    assert files["gguf/first.f16.gguf"][:4] == b"GGUF"
    (work / "sent.safetensors").write_bytes(files["model.safetensors"])
    assert not any("lora" in name for name in load_file(work / "sent.safetensors"))
    head = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert head["base_model_relation"] == "finetune" and head["library_name"] == "transformers"


def test_a_dry_run_shows_all_and_sends_nothing(work):
    with standing_in() as (address, repositories):
        shown = push(work, address, *SHARED, "--dry-run", token="")
    assert (
        shown.returncode == 0 and "license: cc-by-4.0" in shown.stdout and "adapter_model.safetensors" in shown.stdout
    )
    assert "dry run: nothing was sent to owner/drawer" in shown.stdout and not repositories


def test_a_token_that_may_not_write_is_one_sentence(work):
    with standing_in() as (address, repositories):
        done = push(work, address, *SHARED, token="hf_another")
    assert done.returncode == 2 and not repositories
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("error: the hub did not take owner/drawer (") and "401" in sentence


@pytest.mark.parametrize(
    ("arguments", "token", "sentence"),
    [
        (("first",), TOKEN, "`--to owner/name`"),
        (SHARED[:3], TOKEN, "LICENSE is not given"),
        (SHARED[:5], TOKEN, "say what it is on the hub with `--base-id owner/name`"),
        (("frist", *SHARED[1:]), TOKEN, "perhaps first is meant"),
        (SHARED, "", "log in with `hf auth login`, or set HF_TOKEN"),
        (SHARED, TOKEN, "the hub cannot be reached"),  # HF_HUB_OFFLINE is set in tests
    ],
)
def test_what_is_missing_is_said_before_anything_is_made(work, monkeypatch, arguments, token, sentence):
    monkeypatch.chdir(work)
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("qwen_svg.model.push.collect", None)
    with pytest.raises(UserError, match=sentence):
        run_main(model_push, *arguments, positional="MODEL")
