"""Each configuration parses, builds the adapter that it is named for, and trains; early stopping; 4-bit bases."""

import copy
import json
import math
import sys
from contextlib import nullcontext

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

import preprocess_token_lengths
import train
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import Encoded
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model import recompute
from qwen_svg.model.adapter import add_adapter, merge_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import CrossEntropy
from qwen_svg.model.load import load_base, load_config
from qwen_svg.model.loss import summed_loss
from qwen_svg.model.source import find_source
from qwen_svg.model.svg_tokens import add_svg_tokens
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training import cpu_time, memory, trainer
from qwen_svg.training.sharding import refuse_with_sharding
from tests.paths import ROOT
from tests.scripts import constants_of, run_main
from tests.tiny import make_llama

CPU = torch.device("cpu")
QWEN = dict(vocab_size=151_936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
            num_attention_heads=12, num_key_value_heads=2, tie_word_embeddings=True)  # fmt: skip
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Sizes as the bases' own config.json has them; adapted layers; millions of trained parameters, of all; scale.
RECIPES = {
    "qwen_svg": (Qwen2Config(**QWEN), ALL, 73.86, 1618, 128 / 64),
    "text2svg_32b": (
        Qwen2Config(vocab_size=152_064, hidden_size=5120, intermediate_size=27_648, num_hidden_layers=64,
                    num_attention_heads=40, num_key_value_heads=8, tie_word_embeddings=False),
        ALL[:4], 268.4, 33_032, 32 / math.sqrt(128),
    ),
    "code_llama_4bit": (
        LlamaConfig(vocab_size=32_016, hidden_size=4096, intermediate_size=11_008, num_hidden_layers=32,
                    num_attention_heads=32, num_key_value_heads=32, tie_word_embeddings=False),
        ["q_proj", "v_proj"], 4.194, 6743, 16 / 8,
    ),
    "qwen2_cpu": (Qwen2Config(**QWEN), ["q_proj", "v_proj"], 8.716, 1552, 16 / 64),
}  # fmt: skip


def constants(name, *arguments):
    return constants_in_force(ROOT / "train.py", ["--config", str(ROOT / "configs" / f"{name}.yml"), *arguments])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_builds_the_adapter_it_is_named_for(name, monkeypatch):
    config, targets, trained, of, scale = RECIPES[name]
    c = constants(name)
    # Whether or not it is installed here.
    monkeypatch.setattr("qwen_svg.common.errors.find_spec", lambda name: True)
    train.check_constants(c)
    train.check_machine(c)
    with torch.device("meta"):
        model = add_adapter(AutoModelForCausalLM.from_config(config), **train.adapter_arguments(c, {}))
    found_trained, found_of = model.get_nb_trainable_parameters()
    assert found_trained / 1e6 == pytest.approx(trained, rel=1e-3) and found_of / 1e6 == pytest.approx(of, rel=1e-3)
    adapted = [(path.rpartition(".")[2], m) for path, m in model.named_modules() if hasattr(m, "lora_A")]
    assert len(adapted) == len(targets) * config.num_hidden_layers and {path for path, _ in adapted} == set(targets)
    assert all(m.scaling["default"] == pytest.approx(scale) for _, m in adapted)
    assert {getattr(m.lora_dropout["default"], "p", 0.0) for _, m in adapted} == {c.LORA_DROPOUT}
    if name == "qwen2_cpu":
        assert 100 * found_trained / found_of == pytest.approx(0.56, abs=0.005)  # as the original reports it


def test_the_default_recipe_is_the_default():
    spelt = yaml.safe_load((ROOT / "configs/qwen_svg.yml").read_text())
    defaults = vars(constants_in_force(ROOT / "train.py", []))
    assert {name: defaults[name.upper()] for name in spelt} == spelt


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return make_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def run_train(monkeypatch, tmp_path, tiny_base, llama, data_file):
    """train.py in this process, in an empty folder, on a tiny base of the recipe's family; without the picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("train.draw_loss", lambda *_: None)
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # the Trainer asks for it; here it searches all of pytest

    def run(*arguments, recipe="", resume=False):
        base = llama if "llama" in recipe else tiny_base
        given = ["--config", str(ROOT / "configs" / f"{recipe}.yml")] if recipe else []
        given += ["--base-model", str(base), "--data-path", str(data_file), "--run-name", "r", "--max-length", "6400"]
        given = ["--resume", "--run-name", "r"] if resume else [*given, "--no-wandb"]
        run_main(train, *given, *map(str, arguments))
        return tmp_path / "outputs" / "r"

    return run


def validation(run):
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {r["step"]: r["eval_cross_entropy"] for r in records if "eval_cross_entropy" in r}


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "qwen_svg"])  # test_end_to_end trains by default
def test_a_recipe_trains_a_tiny_base_of_its_family(run_train, name, capsys):
    if "bit" in name + constants(name).OPTIMIZER:
        pytest.importorskip("bitsandbytes")
    short = (
        "--epochs",
        1,
        "--learning-rate",
        0.01,
        "--batch-size",
        4,
        "--gradient-accumulation",
        2,
        "--max-samples",
        24,
    )
    run = run_train(*short, "--eval-steps", 2, "--save-steps", 2, recipe=name)
    curve = validation(run)
    assert list(curve) == [0, 2, 3] and curve[3] < curve[0]
    printed = capsys.readouterr().out
    assert "validation cross-entropy" in (run / "training.log").read_text() and "perplexity" in printed
    config = yaml.safe_load((run / "config.yml").read_text())
    given = yaml.safe_load((ROOT / "configs" / f"{name}.yml").read_text())
    kept = ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "optimizer", "base_quantization", "svg_tokens")
    assert {key: config[key] for key in kept if key in given} == {key: given[key] for key in kept if key in given}
    tensors = load_file(run / "adapter_model.safetensors")
    assert {len(t) for path, t in tensors.items() if "lora_A" in path} == {given["lora_rank"]}
    new = [t for path, t in tensors.items() if "token_adapter" in path]
    assert len(new) == (2 if name == "code_llama_4bit" else 0)  # its embeddings and its output layer
    if name == "code_llama_4bit":
        assert ", the blocks in nf4; " in printed and "new tokens" in printed
        drawing = Predictor(str(run)).draw("a red circle", Settings(max_new=240))  # in 4 bits, with its own tokenizer
        assert drawing.legal and "in nf4" in (run / "README.md").read_text()


# --- early stopping -------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """The validation cross-entropy of each evaluation in turn."""
    values = []
    monkeypatch.setattr(trainer, "cross_entropy", lambda *_, **__: CrossEntropy(values.pop(0), 1))
    return values


STOPPING = ("--early-stopping", 2, "--eval-steps", 2, "--save-steps", 2, "--epochs", 3, "--lora-rank", 4)


def test_training_stops_without_improvement_and_keeps_the_best_adapter(run_train, scripted, capsys):
    scripted += [9.0, 5.0, 4.0, 4.5, 4.25, 1.0]
    run = run_train(*STOPPING, "--save-total-limit", 1)
    assert validation(run) == {0: 9.0, 2: 5.0, 4: 4.0, 6: 4.5, 8: 4.25}  # and no more
    best = load_file(run / "checkpoint-4" / "adapter_model.safetensors")
    kept = load_file(run / "adapter_model.safetensors")
    assert best.keys() == kept.keys() and all(torch.equal(best[name], kept[name]) for name in best)
    printed, card = capsys.readouterr().out, (run / "README.md").read_text()
    assert "4.0000 after 4 steps" in printed and "the adapter is that of step 4 of 8" in printed
    assert "the adapter is that of step 4, the best" in card and "9.0000 before, 4.0000 after" in card


def test_a_resumed_run_remembers_the_best_and_how_long_ago_it_was(run_train, scripted, monkeypatch):
    scripted += [9.0, 5.0, 4.0, 4.5]

    class Cut(Exception):
        pass

    def cut_at_6(self, args, state, control, **kwargs):
        if state.global_step == 6:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(trainer.SafeStop, "on_save", cut_at_6, raising=False)  # killed when checkpoint-6 is written
        with pytest.raises(Cut):
            run_train(*STOPPING, "--svg-tokens", "numbers")
    scripted += [4.75, 3.0]
    run = run_train(resume=True)
    assert list(validation(run)) == [0, 2, 4, 6, 8]  # the one without improvement before the cut counts
    best, kept = (load_file(folder / "adapter_model.safetensors") for folder in (run / "checkpoint-4", run))
    assert all(torch.equal(best[name], kept[name]) for name in best) and any("token" in name for name in best)


# --- what is refused ------------------------------------------------------------------------------------------------

REFUSED = {
    "unknown quantization": (["--base-quantization", "int4"], "BASE_QUANTIZATION must be one of '', 'nf4', not 'int4'"),
    "unknown optimizer": (["--optimizer", "adam"], "OPTIMIZER must be one of"),
    "unknown device": (["--device", "cuda:7"], "DEVICE must be one of"),
    "no targets": (["--lora-targets"], "LORA_TARGETS is empty"),
    "negative patience": (["--early-stopping", "-1"], "EARLY_STOPPING must be 0 or more"),
    "best not saved": (["--early-stopping", "3", "--eval-steps", "50", "--save-steps", "200"], "set SAVE_STEPS"),
    "quantised already": (["--base-quantization", "nf4", "--base-model", "a/b.gguf"], "quantised already"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_combinations_without_sense_are_refused(kind):
    arguments, words = REFUSED[kind]
    with pytest.raises(UserError, match=words):
        constants_of(train, *arguments)


@pytest.mark.parametrize("arguments", [["--base-quantization", "nf4"], ["--optimizer", "adamw_8bit"]])
def test_without_bitsandbytes_the_requirement_is_named(monkeypatch, arguments):
    c = constants_of(train, *arguments)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    name = "BASE_QUANTIZATION 'nf4'" if "nf4" in arguments else "OPTIMIZER 'adamw_8bit'"
    with pytest.raises(UserError, match=f"^{name} needs bitsandbytes; .*requirements/gpu"):
        train.check_machine(c)


@pytest.mark.parametrize(
    ("sharding", "arguments", "words"),
    [
        ("FSDP", ["--base-quantization", "nf4"], "BASE_QUANTIZATION 'nf4'"),
        ("DeepSpeed", ["--base-quantization", "nf4"], "BASE_QUANTIZATION 'nf4'"),
        ("FSDP", ["--optimizer", "paged_adamw_8bit"], "OPTIMIZER"),
        ("FSDP", ["--svg-tokens", "numbers"], "output layer is its embeddings"),
        ("DeepSpeed", ["--svg-tokens", "markup"], ""),
        ("DeepSpeed", ["--optimizer", "adamw_8bit"], ""),
        ("", ["--optimizer", "adamw_8bit", "--svg-tokens", "markup"], ""),
    ],
)
def test_what_cannot_be_divided_is_refused_before_it_is_loaded(tiny_base, sharding, arguments, words):
    c = constants_of(train, "--base-model", str(tiny_base), *arguments)
    with pytest.raises(UserError, match=words) if words else nullcontext():
        refuse_with_sharding(c, sharding, gpus=2)


@pytest.mark.parametrize("target", ["q_porj", "lm_head", "embed_tokens"])
def test_a_target_that_is_no_layer_of_the_blocks_is_refused(tiny_base, target):
    base = load_base(str(tiny_base), CPU, torch.float32)
    with pytest.raises(UserError, match="there are all-linear, q_proj"):
        add_adapter(base, 4, 8, 0.0, targets=["v_proj", target])


def test_a_large_4bit_base_on_a_cpu_is_refused_before_anything_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr(cpu_time, "_flops", lambda dtype: 1e11)
    cpu_time.tell_time(int(1e8), 1000, False, "nf4", torch.float32)
    cpu_time.tell_time(int(7e9), 16 * 1500, True, "", torch.float32)  # slow, and said so: the user's choice
    assert "10,080.0 s a step of 24,000 tokens" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"7\.0 billion parameters would take 168 minutes"):
        cpu_time.tell_time(int(7e9), 16 * 1500, True, "nf4", torch.float32)


# --- 4 bits ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quantized(llama):
    pytest.importorskip("bitsandbytes")
    return load_base(str(llama), CPU, torch.float32, "nf4")


def rows_of(llama, count=3):
    tokenizer = load_tokenizer(str(llama))
    text = tokenizer.encode("a red circle on a blue rect", add_special_tokens=False)
    return [Encoded(str(i), text, text * (i + 1)) for i in range(count)]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_of_a_4bit_base_are_the_libraries_also_behind_an_evaluation(quantized, llama, dropout, monkeypatch):
    """bitsandbytes repacks a CPU's weights in an evaluation, and what is then trained is wrong: not here."""
    batch = LeftPaddingCollator(0)(rows_of(llama))
    gradients = []
    for ours in (True, False):
        if not ours:
            monkeypatch.setattr("qwen_svg.model.adapter.recompute_cheap_inputs", lambda module: None)
        torch.manual_seed(0)
        model = add_adapter(copy.deepcopy(quantized), 4, 8, dropout, rslora=True)
        for name, p in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, 0, 0.05)
        with torch.no_grad():
            model.eval()(input_ids=batch["input_ids"])
        if dropout:  # the same random numbers: ours draws them in its own way
            monkeypatch.setattr(torch, "rand_like", lambda x, dtype=None: torch.full_like(x, 0.9, dtype=dtype))
            monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, x: x / (1 - dropout))
        (summed_loss(model.train(), **batch) / 10).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    for name, expected in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], expected, rtol=1e-4, atol=5e-6)  # sums in another order


def test_layers_of_a_kind_that_is_not_known_go_pefts_way():
    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    base = torch.nn.Sequential(Doubled(4, 4))
    from peft import LoraConfig, inject_adapter_in_model

    model = inject_adapter_in_model(LoraConfig(target_modules=["0"]), base)
    x = torch.randn(2, 4)
    expected = model(x)
    recompute.recompute_cheap_inputs(model)
    torch.testing.assert_close(model(x), expected)


def test_the_memory_estimate_of_a_4bit_base_is_what_it_takes(quantized, llama):
    c = constants("code_llama_4bit")
    adapter = train.adapter_arguments(c, {})
    estimate = memory.estimate(
        load_config(str(llama)), c, adapter, rows_of(llama), torch.device("cuda"), torch.float32, False
    )
    whole = 0
    for module in quantized.modules():
        if hasattr(state := getattr(getattr(module, "weight", None), "quant_state", None), "state2"):
            whole += state.absmax.nbytes + state.state2.absmax.nbytes
    whole += sum(p.nbytes for p in quantized.parameters())
    assert estimate.weights == pytest.approx(whole, rel=0.01)


def test_a_4bit_base_keeps_its_adapter_beside_it(quantized, llama, tmp_path):
    model = add_adapter(copy.deepcopy(quantized), 4, 8, 0.0)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, 0, 0.05)
    model.save_pretrained(tmp_path)
    ids = torch.tensor([rows_of(llama)[0].prompt])
    loaded = merge_adapter(copy.deepcopy(quantized), tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, model.eval()(ids).logits)
    assert any(hasattr(module, "lora_A") for module in loaded.modules())


def test_token_lengths_can_be_counted_with_new_tokens(tmp_path, monkeypatch, tiny_base, data_file):
    monkeypatch.setattr("preprocess_token_lengths.draw", lambda *_: None)
    figures = []
    for kind in ("", "markup", "numbers"):
        arguments = ["--data-path", str(data_file), "--tokenizer", str(tiny_base), "--output-dir", str(tmp_path)]
        run_main(preprocess_token_lengths, *arguments, "--svg-tokens", kind)
        figures.append(json.loads((tmp_path / "token_lengths.json").read_text()))
    tokenizer = load_tokenizer(str(tiny_base))
    add_svg_tokens(tokenizer, "markup")
    assert figures[1]["template_tokens"] == preprocess_token_lengths.template_tokens(tokenizer)
    assert figures[2]["svg"]["mean"] < figures[1]["svg"]["mean"] < figures[0]["svg"]["mean"]


def test_a_run_of_the_past_without_the_new_constants_still_opens(tmp_path):
    (tmp_path / "adapter_model.safetensors").touch()
    old = {"base_model": "owner/name", "prompt_form": "chat", "max_length": 99, "fp16": True}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(old))
    source = find_source(str(tmp_path))
    assert source.quantization == "" and source.tokenizer == ""


def test_new_tokens_that_were_off_when_they_were_a_switch_are_off(tmp_path):
    config = tmp_path / "config.yml"
    config.write_text("svg_tokens: false\n")
    assert constants_of(train, "--config", str(config)).SVG_TOKENS == ""
    config.write_text("svg_tokens: true\n")
    with pytest.raises(UserError, match=r"one of '', 'markup', 'numbers', not 'true' \(.*config.yml: svg_tokens"):
        constants_of(train, "--config", str(config))
