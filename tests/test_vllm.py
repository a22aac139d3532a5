"""vLLM in a process and an environment of its own: what it is told, what its answers come to, and that nothing is left.

The environment is pretended: a package with vLLM's names as of 0.33, which answers what a file says.
"""

import json
import stat
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.generation import vllm_engine
from qwen_svg.generation.engine import generate_answers, rows_for
from qwen_svg.generation.vllm_engine import VLLMEngine, pick_engine
from qwen_svg.model.load import load_base
from qwen_svg.model.token_rows import copy_without_rows
from reinforce.rollouts import sample_by_vllm
from tests.tiny import make_prompts

VLLM = """
import json, os, subprocess, sys
from types import SimpleNamespace

class SamplingParams(SimpleNamespace):
    pass

class LLM:
    def __init__(self, **settings):
        print("a line of a library's")
        if settings["model"] == "broken":
            raise ValueError("no kernel for this card")
        self.file, told = settings["model"], {"settings": settings, "child": subprocess.Popen(["sleep", "600"]).pid}
        told["allocator"] = os.environ.get("PYTORCH_ALLOC_CONF")
        open(os.path.join(os.environ["TMPDIR"], "socket"), "w")
        json.dump(told, open(self.file + ".told", "w"))

    def generate(self, prompts, params, lora_request=None):
        json.dump([[vars(p) for p in params], lora_request], open(self.file + ".asked", "w"))
        answers = json.load(open(self.file))
        cut = [answers[str(p["prompt_token_ids"])][: s.max_tokens] for p, s in zip(prompts, params)]
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(tokens))]) for tokens in cut]
"""


@pytest.fixture(scope="module")
def prompts(tokenizer):
    return make_prompts(tokenizer, 3)


@pytest.fixture(scope="module")
def model(tiny_base):
    return load_base(str(tiny_base), torch.device("cpu"), torch.float32)


@pytest.fixture
def base(tmp_path, monkeypatch, model, prompts):
    """The path of a file with what the model says to each prompt, and an environment whose vLLM says the same."""
    lora = tmp_path / "packages/vllm/lora"
    lora.mkdir(parents=True)
    (lora.parent / "__init__.py").write_text(VLLM)
    (lora / "__init__.py").touch()
    (lora / "request.py").write_text("LoRARequest = lambda name, number, path: [name, number, path]")
    python = tmp_path / "python"  # is called as `python -I WORKER`
    python.write_text(f'#!/bin/sh\nPYTHONPATH={lora.parents[1]} exec {sys.executable} "$2"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(vllm_engine, "PYTHON", python)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answers = {}
    for prompt in prompts:
        out = model.generate(torch.tensor([prompt]), max_new_tokens=40, do_sample=False)
        answers[str(prompt)] = out[0, len(prompt) :].tolist()
    (tmp_path / "base").write_text(json.dumps(answers))
    return tmp_path / "base"


def written(base: Path, kind: str):
    return json.loads(Path(f"{base}.{kind}").read_text())


def test_vllm_is_told_rank_limits_and_stops_and_answers_the_same(base, model, tokenizer, prompts, monkeypatch):
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    engine = VLLMEngine(str(base), rank=48, dtype=torch.float16, max_total=1560, seed=3)
    told = written(base, "told")
    assert told["settings"]["max_lora_rank"] == 64 and told["settings"]["enable_lora"] and told["allocator"] is None
    assert told["settings"]["max_model_len"] == 1560 and told["settings"]["dtype"] == "float16"
    total = max(map(len, prompts)) + 9
    expected = generate_answers(model, tokenizer, prompts, total, 500, 2, 0.0, 3, "test")
    for number in (1, 2):  # an adapter that has been trained on has another number
        answers = engine.generate_answers(tokenizer, prompts, total, 500, 0.0, 3, base.parent)
        params, request = written(base, "asked")
        assert request == ["adapter", number, str(base.parent)]
    assert [(a.text, a.tokens, a.finished) for a in answers] == [(a.text, a.tokens, a.finished) for a in expected]
    assert [p["max_tokens"] for p in params] == [total - len(prompt) for prompt in prompts]
    assert all(tokenizer.eos_token_id in p["stop_token_ids"] for p in params) and len({p["seed"] for p in params}) == 3
    engine.generate(rows_for(prompts[:1], total, 500, 0.0, 3), [], None)
    assert written(base, "asked")[1] is None


@pytest.mark.parametrize("forgotten", [False, True])
def test_nothing_is_left_of_it(base, forgotten):
    engine = VLLMEngine(str(base), 8, torch.float16, 99, 0)
    process, child = engine.process, psutil.Process(written(base, "told")["child"])
    assert list(base.parent.glob("vllm-*/socket"))
    if forgotten:
        del engine
    else:
        engine.close()
    assert process.returncode is not None and not list(base.parent.glob("vllm-*"))
    child.wait(5)


def test_an_end_of_vllm_is_one_sentence(base, capfd):
    with pytest.raises(UserError, match=r"vLLM has ended \(exit code 1\), .*--engine transformers"):
        VLLMEngine("broken", 8, torch.float16, 99, 0)
    assert "no kernel for this card" in capfd.readouterr().err and not list(base.parent.glob("vllm-*"))
    with pytest.raises(UserError, match="up to rank 512"):
        VLLMEngine(str(base), rank=1024, dtype=torch.float16, max_total=1560, seed=3)


def test_engine_is_vllm_only_where_it_can_run(monkeypatch, tmp_path):
    plain = {"BASE_MODEL": "owner/name", "BASE_QUANTIZATION": ""}
    trained = SimpleNamespace(**plain)
    monkeypatch.setattr(vllm_engine, "PYTHON", tmp_path / "python")
    assert pick_engine("auto", trained) == "transformers"
    with pytest.raises(UserError, match=r"its environment is missing: `make vllm`.*--engine transformers"):
        pick_engine("vllm", trained)
    (tmp_path / "python").touch()
    assert pick_engine("auto", trained) == pick_engine("vllm", trained) == "vllm"
    assert pick_engine("transformers", trained) == "transformers"
    for odd in ({"BASE_MODEL": "models/small.gguf"}, {"BASE_QUANTIZATION": "nf4"}):
        assert pick_engine("auto", SimpleNamespace(**plain | odd)) == "transformers"
        with pytest.raises(UserError, match="cannot load"):
            pick_engine("vllm", SimpleNamespace(**plain | odd))


def test_grpo_lets_vllm_draw_with_the_adapter_as_it_is_now(base, tokenizer, prompts):
    saved = []
    model = SimpleNamespace(save_pretrained=lambda folder, selected_adapters: saved.append((folder, selected_adapters)))
    engine = VLLMEngine(str(base), 8, torch.float16, 1560, 0)
    answers = sample_by_vllm(engine, model, tokenizer, prompts, 20, 1.0)
    said = json.loads(base.read_text())
    assert answers == [said[str(prompt)][:20] for prompt in prompts]
    params, request = written(base, "asked")
    assert saved == [(request[2], ["default"])] and not Path(request[2]).exists()
    assert {(p["temperature"], tuple(p["stop_token_ids"])) for p in params} == {(1.0, tuple(stop_tokens(tokenizer)))}


def test_an_adapter_with_new_tokens_is_drawn_with_by_a_base_that_has_them(base, tokenizer, prompts, monkeypatch):
    adapter, written = base.parent / "adapter", []
    adapter.mkdir()
    rows = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
    save_file({rows: torch.ones(2, 8), "x.lora_A.weight": torch.ones(1)}, adapter / "adapter_model.safetensors")
    config = {"r": 1, "trainable_token_indices": {"model.embed_tokens": [7, 8]}}
    (adapter / "adapter_config.json").write_text(json.dumps(config))

    def lora_alone(*arguments):
        written.append(copy_without_rows(*arguments))
        assert load_file(written[-1] / "adapter_model.safetensors").keys() == {"x.lora_A.weight"}
        told = json.loads((written[-1] / "adapter_config.json").read_text())
        assert told == config | {"trainable_token_indices": None}
        return written[-1]

    monkeypatch.setattr(vllm_engine, "copy_without_rows", lora_alone)
    monkeypatch.setattr(vllm_engine, "base_with_rows", lambda name, run, *_: str(base) if run == adapter else name)
    engine = VLLMEngine("owner/name", 8, torch.float16, 1560, 0, adapter)
    engine.generate(rows_for(prompts[:1], 1560, 9, 0.0, 3), [], adapter)
    (_, _, path) = json.loads(Path(f"{base}.asked").read_text())[1]
    assert Path(path) == written[0] and not written[0].exists()
