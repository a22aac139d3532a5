"""Exported models: loaded back they are the model, as a folder and as GGUF, for both families; the Modelfile fits."""

import subprocess
import sys

import gguf
import pytest
import torch

from prompt_template import format_prompt
from qwen_svg.model.adapter import add_adapter, with_adapter
from qwen_svg.model.export import compare, load, logits, modelfile, write_folder
from qwen_svg.model.gguf import pre_tokenizer, write_gguf
from qwen_svg.model.load import load_base
from qwen_svg.model.source import ModelSource, find_source
from qwen_svg.model.tokenizer import load_tokenizer
from tests.paths import ROOT

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    """A run's adapter that changes what the base says."""
    torch.manual_seed(1)
    model = add_adapter(load_base(str(tiny_base), CPU, torch.float32), rank=4, alpha=8, dropout=0.0)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, 0, 0.05)
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    return folder


def test_both_forms_from_the_shell_are_the_adapted_model(adapter, tiny_base, tmp_path):
    command = [sys.executable, "-m", "qwen_svg.model.export", "--model", adapter, "--output", tmp_path / "out"]
    command += ["--format", "both", "--dtype", "float32"]
    ran = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("100.0% of the best tokens the same") == 2
    (file,) = (tmp_path / "out" / "gguf").glob("*.f32.gguf")
    tokenizer = load_tokenizer(str(tiny_base))
    ids = tokenizer(format_prompt(tokenizer, "a fox"), return_tensors="pt")["input_ids"]
    plain = logits(load_base(str(tiny_base), CPU, torch.float32), ids)
    expected = logits(with_adapter(load_base(str(tiny_base), CPU, torch.float32), adapter), ids)
    assert (expected - plain).abs().max() > 0.1
    for source in (tmp_path / "out", file):
        torch.testing.assert_close(logits(load_base(str(source), CPU, torch.float32), ids), expected, rtol=0, atol=1e-4)
        read = load_tokenizer(str(source))
        assert format_prompt(read, "a fox") == format_prompt(tokenizer, "a fox")
        assert read.eos_token == tokenizer.eos_token
    again = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 2 and "exists; remove it, or give another" in again.stderr


@pytest.mark.parametrize("dtype", ["float32", "float16", "q8_0"])
def test_llamas_heads_are_reordered_and_read_back(tiny_llama, tmp_path, dtype):
    model, tokenizer, prompt, expected = load(find_source(str(tiny_llama)))
    write_gguf(tmp_path / "m.gguf", model, tokenizer, "tiny", dtype, {})
    compare(tmp_path / "m.gguf", prompt, expected, dtype)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
    assert (
        tensors["blk.0.attn_q.weight"].tensor_type.name == {"float32": "F32", "float16": "F16", "q8_0": "Q8_0"}[dtype]
    )
    assert tensors["output_norm.weight"].tensor_type.name == "F32" and "output.weight" in tensors
    if dtype == "float32":  # head 1, row pair (0, D/2) of transformers → rows 0 and 1 of ggml's head 1
        query = model.state_dict()["model.layers.0.self_attn.q_proj.weight"]
        written = torch.tensor(tensors["blk.0.attn_q.weight"].data)
        torch.testing.assert_close(written[16:18], query[[16, 24]])


def test_a_half_precision_folder_says_so_and_is_close(tiny_llama, tmp_path):
    model, tokenizer, prompt, expected = load(ModelSource(str(tiny_llama)))
    write_folder(tmp_path, model, tokenizer, "float16")
    compare(tmp_path, prompt, expected, "float16")
    assert '"dtype": "float16"' in (tmp_path / "config.json").read_text()
    with pytest.raises(RuntimeError, match="is not the model"):
        compare(tmp_path, prompt, expected, "float32")


def test_the_modelfile_asks_as_the_trainer_did(tokenizer):
    text = modelfile("m.gguf", tokenizer, "chat", 900)
    template = text.split('"""')[1]
    assert template.replace("{{ .Prompt }}", "a red fox") == format_prompt(tokenizer, "a red fox")
    assert "FROM ./m.gguf\n" in text and 'PARAMETER stop "<|im_end|>"\n' in text and "num_ctx 900" in text


def test_pre_tokenizers_are_named_or_refused():
    byte_level = {"type": "ByteLevel", "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s]+"}}
    known = {
        "gpt-2": {"type": "ByteLevel", "use_regex": True},
        "qwen2": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "smollm": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}],
        },
    }
    assert {name: pre_tokenizer(described) for name, described in known.items()} == {name: name for name in known}
    with pytest.raises(Exception, match="no name for this tokenizer's pre-tokenizer"):
        pre_tokenizer({"type": "Whitespace"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "OUTPUT is empty"),
        (["--output", "x", "--format", "onnx"], "FORMAT must be"),
        (["--output", "x", "--dtype", "int4"], "DTYPE must be"),
        (["--output", "x", "--dtype", "q8_0"], "add `--format gguf`"),
        (["--output", "qwen_svg"], "OUTPUT qwen_svg exists"),
        (["--output", "x", "--model", "no/such/folder"], "MODEL no/such/folder does not exist"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, words):
    ran = subprocess.run(
        [sys.executable, "-m", "qwen_svg.model.export", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 2 and words in ran.stderr and ran.stderr.count("\n") == 1
