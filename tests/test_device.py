"""In which precision a CPU computes: what measures faster, unless it is said; a run that goes on keeps its own."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

import train
from qwen_svg.common import environment
from qwen_svg.common.errors import UserError
from qwen_svg.model import device
from qwen_svg.training.checkpoints import newest_complete_checkpoint
from tests.paths import ROOT
from tests.scripts import run_main

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


@pytest.mark.parametrize(
    ("running", "threads", "wanted"), [(0, "", False), (1, "", True), (3, "1", False), (4, "1", True)]
)
def test_threads_sleep_soon_where_others_want_the_cores(monkeypatch, running, threads, wanted):
    monkeypatch.setattr(environment, "_running", lambda: running)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    environment.configure_environment()
    assert os.environ["GOMP_SPINCOUNT"] == ("1000" if wanted else "30000")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    environment.configure_environment()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_cudnns_attention_is_off_wherever_a_device_is_chosen():
    told = "torch.backends.cuda.cudnn_sdp_enabled()"
    script = f"import torch; before = {told}; import qwen_svg.model.device; print(before, {told})"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]
