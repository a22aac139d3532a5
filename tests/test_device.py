"""In which precision a CPU computes: what measures faster, unless it is said; a run that goes on keeps its own."""

import ast
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import train
from corpus import mine
from encoder import training as encoder_training
from qwen_svg.common import environment
from qwen_svg.common.errors import UserError
from qwen_svg.generation import kv_cache
from qwen_svg.generation.kv_cache import KVCache
from qwen_svg.model import attention, device, load
from qwen_svg.model.source import find_source, source_of
from qwen_svg.training import arguments
from qwen_svg.training.checkpoints import newest_complete_checkpoint
from tests.paths import ROOT
from tests.scripts import constants_of, run_main

AMX = {"fp32": 120.0, "bf16": 900.0, "fp16": 30.0}
PLAIN = {"fp32": 70.0, "bf16": 9.0, "fp16": 11.0}


@pytest.mark.parametrize(
    ("wanted", "measured", "dtype"),
    [
        ("auto", AMX, torch.bfloat16),
        ("auto", PLAIN, torch.float32),
        ("auto", {"fp32": 100.0, "bf16": 120.0, "fp16": 500.0}, torch.float32),  # too little, and fp16 is no choice
        ("fp32", AMX, torch.float32),
        ("bf16", PLAIN, torch.bfloat16),
    ],
)
def test_the_faster_precision_is_chosen_unless_one_is_named(monkeypatch, capsys, wanted, measured, dtype):
    monkeypatch.setattr(device, "measure_cpu", lambda config: measured)
    name, found = device.pick_cpu_dtype(wanted, None)
    assert (device.CPU_DTYPES[name], found) == (dtype, measured)
    assert f"fp32 {measured['fp32']:.0f}, bf16 {measured['bf16']:.0f}" in capsys.readouterr().out


def test_a_model_of_some_size_draws_in_what_the_cpu_is_faster_in(tiny_base, monkeypatch):
    monkeypatch.setattr(device, "measure_cpu", lambda config: AMX)
    assert load.load_to_draw(find_source(str(tiny_base))).dtype == torch.float32  # too small to gain
    monkeypatch.setattr(load, "LARGE", 1)
    loaded = load.load_to_draw(find_source(str(tiny_base)))
    assert loaded.dtype == next(loaded.model.parameters()).dtype == torch.bfloat16
    monkeypatch.setattr(device, "measure_cpu", lambda config: PLAIN)
    assert load.load_to_draw(find_source(str(tiny_base))).dtype == torch.float32


def test_all_precisions_are_measured_on_the_models_own_shape():
    config = SimpleNamespace(hidden_size=96, intermediate_size=256)
    config.get_text_config = lambda: config
    threads, shapes = torch.get_num_threads(), []
    linear = torch.nn.functional.linear

    def seen(x, weight):
        shapes.append((x.dtype, tuple(weight.shape), torch.get_num_threads()))
        return linear(x, weight)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", seen)
        measured = device.measure_cpu(config)
    assert measured.keys() == {"fp32", "bf16", "fp16"} and all(speed > 0 for speed in measured.values())
    assert {shape[1:] for shape in shapes} == {((256, 96), 1)} and len({shape[0] for shape in shapes}) == 3
    assert torch.get_num_threads() == threads


@pytest.fixture
def run_train(tmp_path, monkeypatch, tiny_base, data_file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "measure_cpu", lambda config: AMX)

    def run(*arguments: str):
        run_main(train, *arguments, "--no-wandb")
        (folder,) = tmp_path.glob("outputs/one")
        return folder

    start = ("--data-path", str(data_file), "--base-model", str(tiny_base), "--run-name", "one", "--epochs", "1")
    start += ("--max-samples", "10", "--batch-size", "2", "--max-length", "700")
    return lambda *more: run(*start, *more), lambda *more: run("--resume", "--run-name", "one", *more)


def test_a_run_records_its_precision_and_goes_on_in_it_on_another_machine(run_train, monkeypatch):
    begin, go_on = run_train
    folder = begin("--save-steps", "2")
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["dtype"] == "bfloat16" and facts["cpu_gflops"] == AMX
    assert yaml.safe_load((folder / "config.yml").read_text())["cpu_dtype"] == "bf16"
    weights = (folder / "adapter_model.safetensors").read_bytes()
    newest, _ = newest_complete_checkpoint(folder)
    if newest.name != "checkpoint-2":
        (newest / "complete.json").unlink()
    monkeypatch.setattr(device, "measure_cpu", lambda config: PLAIN)
    go_on()
    assert (folder / "adapter_model.safetensors").read_bytes() == weights
    with pytest.raises(UserError, match="CPU_DTYPE"):
        go_on("--cpu-dtype", "fp32")


@pytest.fixture(params=[(7, 5, False), (8, 0, True)], ids=["T4", "A100"])
def card(monkeypatch, request):
    """A pretended GPU; torch says of both that bf16 is supported. Returns whether it has units for it."""
    *capability, has_units = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(major=capability[0]))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    return has_units


def test_bf16_is_taken_where_a_card_has_units_for_it(card):
    assert torch.cuda.is_bf16_supported()
    picked = device.pick_dtype(torch.device("cuda"), True, "nf4")
    assert picked == (torch.bfloat16 if card else torch.float16)
    assert encoder_training.in_halves(SimpleNamespace(BF16=True), torch.device("cuda")) == card


def test_bf16_is_asked_for_or_refused(card, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "the card")
    c = SimpleNamespace(FP16=True, BF16=True, BASE_QUANTIZATION="", CPU_DTYPE="fp32")
    if not card:
        with pytest.raises(UserError, match="the card only emulates bf16"):
            device.pick_precision(c, torch.device("cuda"), None)
        return
    dtype, _ = device.pick_precision(c, torch.device("cuda"), None)
    assert dtype == torch.bfloat16
    source = source_of(SimpleNamespace(**vars(c), BASE_MODEL="m", PROMPT_FORM="chat", MAX_LENGTH=9))
    assert source.bf16 and source.fp16  # what a run trained in is what it draws in


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_keys_are_repeated_where_no_kernel_shares_them(card, dtype):
    assert device.shares_keys(torch.empty(1, dtype=dtype))  # a CPU's kernel does
    on_gpu = SimpleNamespace(device=torch.device("cuda"), dtype=dtype)
    assert device.shares_keys(on_gpu) == (card and dtype == torch.float16)


def test_attention_asks_whether_keys_are_shared(monkeypatch):
    seen = []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def seeing(query, key, value, **options):
        seen.append((key.shape[1], options["enable_gqa"]))
        return kernel(query, key, value, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", seeing)
    query, key = torch.randn(1, 6, 5, 8), torch.randn(1, 2, 5, 8)
    outputs = []
    for shares in (True, False):
        monkeypatch.setattr(attention, "shares_keys", lambda query, shares=shares: shares)
        outputs.append(attention.rows_attention(None, query, key, key, attention.Rows((0,)))[0])
    assert seen == [(2, True), (6, False)]
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("name", ["activation_checkpointing", "gradient_checkpointing"])  # the second one until 5.22
def test_checkpointing_is_asked_for_by_the_name_that_transformers_has(monkeypatch, tmp_path, name):
    monkeypatch.setattr(arguments, "CHECKPOINTING", name)
    c, cpu = constants_of(train), torch.device("cpu")
    for wanted in (True, False):
        assert getattr(arguments.training_arguments(c, tmp_path, cpu, torch.float32, wanted), name) is wanted


@pytest.mark.parametrize("name", ["", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"])
def test_a_gpus_memory_grows_in_segments_unless_something_else_is_said(monkeypatch, name):
    for known in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF"):
        monkeypatch.delenv(known, raising=False)
    if name:
        monkeypatch.setenv(name, "max_split_size_mb:64")
    environment.configure_environment()
    set_now = {known: value for known, value in os.environ.items() if known.endswith("ALLOC_CONF")}
    assert set_now == ({name: "max_split_size_mb:64"} if name else {"PYTORCH_ALLOC_CONF": "expandable_segments:True"})


class OnOneDevice(TorchDispatchMode):
    """Counts the tensors that are made elsewhere than on the meta device."""

    elsewhere = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **kwargs or {})
        self.elsewhere += sum(isinstance(x, torch.Tensor) and x.device.type != "meta" for x in tree_leaves(out))
        return out


def test_the_cache_grows_on_its_device():
    cache = KVCache(torch.ones(2, 5, dtype=torch.long, device="meta"))
    with OnOneDevice() as seen:
        for width in (5, 1, kv_cache.GROWTH):  # an empty buffer, one with room, a full one
            states = torch.empty(2, 1, width, 4, device="meta")
            keys, _ = cache.update(states, states, 0)
    assert keys.shape[2] == 6 + kv_cache.GROWTH and seen.elsewhere == 0


def test_cudnns_attention_is_off_wherever_a_device_is_chosen():
    told = "torch.backends.cuda.cudnn_sdp_enabled()"
    script = f"import torch; before = {told}; import qwen_svg.model.device; print(before, {told})"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]


def test_nothing_is_imported_that_windows_lacks(monkeypatch):
    rooms = ("qwen_svg", "corpus", "scoring", "encoder", "reinforce")
    for path in [*ROOT.glob("*.py"), *(path for room in rooms for path in (ROOT / room).rglob("*.py"))]:
        body = ast.parse(path.read_text(encoding="utf-8")).body  # within functions and `try` they may be asked for
        names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in body if isinstance(node, ast.ImportFrom)}
        assert names.isdisjoint({"resource", "fcntl", "pwd", "grp", "termios"}), path
    monkeypatch.setitem(sys.modules, "resource", None)
    mine.allow_many_files()


def test_apples_gpu_is_refused_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device.pick_device().type == device.pick_device().type == "cpu"
    assert capsys.readouterr().out.count("note: Apple's GPU (MPS) is not used") == 1
    assert device.pick_device("cpu").type == "cpu" and not capsys.readouterr().out
