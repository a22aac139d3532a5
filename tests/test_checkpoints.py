"""Going on with a run, and what is never saved: its own split and constants, finite numbers, stops by any signal."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from safetensors.torch import load_file, save_file

import train
from qwen_svg.common.errors import LossIsNotANumber, UserError
from qwen_svg.common.files import read_json, write_json
from qwen_svg.common.run_split import samples_of
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.callbacks import RunLog, SafeStop, SkippedSteps
from qwen_svg.training.checkpoints import mark_complete, newest_complete_checkpoint
from qwen_svg.training.data import prepare_data
from tests.paths import ROOT
from tests.scripts import constants_of, run_main

SHORT = ["--max-length", "6400", "--lora-rank", "4", "--batch-size", "8", "--no-wandb", "--max-samples", "24"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_base, data_file):
    """A run of two epochs with a checkpoint at each step; and its flags."""
    folder = tmp_path_factory.mktemp("place")
    flags = ["--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_main(train, *flags, "--run-name", "r", "--epochs", "2", "--save-steps", "2", "--save-total-limit", "9")
    return folder, flags


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of that run, in an empty place."""
    shutil.copytree(trained[0] / "outputs", tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "r"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--seed", "7"], "SEED"),
        (["--learning-rate", "1e-6"], "LEARNING_RATE"),
        (["--loss-on", "all"], "LOSS_ON"),
        (["--lora-rank", "8"], "LORA_RANK"),
        (["--lora-targets", "q_proj"], "LORA_TARGETS"),
        (["--max-samples", "20"], "MAX_SAMPLES"),
        (["--train-dialect", "prompt"], "TRAIN_DIALECT"),
        (["--optimizer", "adamw_8bit"], "OPTIMIZER"),
    ],
)
def test_what_would_be_another_training_is_refused(run, flags, name):
    before = (run / "config.yml").read_text()
    with pytest.raises(UserError, match=f"^{name} of outputs/r is .* leave out `{flags[0]}`"):
        constants_of(train, "--resume", "--run-name", "r", *flags)
    assert (run / "config.yml").read_text() == before


def test_what_may_change_is_applied_and_written_down(run, capsys):
    for checkpoint in run.glob("checkpoint-[56]"):
        os.rename(checkpoint, checkpoint.with_name("gone-" + checkpoint.name))
    run_main(train, "--resume", "--run-name", "r", "--epochs", "3", "--logging-steps", "1", "--eval-steps", "4")
    printed = capsys.readouterr().out
    assert (
        "EPOCHS 2.0 → 3.0" in printed and "from step 4 on the learning rate follows the schedule of 3 epochs" in printed
    )
    assert yaml.safe_load((run / "config.yml").read_text())["epochs"] == 3.0
    assert not yaml.safe_load((run / "config.yml").read_text())["resume"]
    (told,) = read_json(run / "environment.json")["resumed"]
    assert told["step"] == 4 and told["changed"]["EPOCHS"] == {"before": 2.0, "now": 3.0}
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r and r["step"] > 4] == [
        5,
        6,
        7,
        8,
        9,
    ]  # each step, as asked for now
    assert {r["step"] for r in records if "eval_cross_entropy" in r} >= {8}


def test_a_resumed_run_keeps_its_split_whatever_the_seed(run, tiny_base, data_file):
    split = read_json(run / "split.json")
    c = constants_of(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT, "--seed", "7")
    data = prepare_data(c, load_tokenizer(str(tiny_base)), split)
    assert {name: data.ids[name] for name in ("train", "valid", "test")} == {
        name: split[name] for name in ("train", "valid", "test")
    }
    assert [row.id for row in data.parts["test"]] == split["test"]
    anew = prepare_data(c, load_tokenizer(str(tiny_base)))
    assert anew.ids["test"] != split["test"]  # so the seed would have changed it
    with pytest.raises(UserError, match="no usable sample 'nobody'"):
        prepare_data(c, load_tokenizer(str(tiny_base)), split | {"train": [*split["train"], "nobody"]})


def test_a_split_that_is_not_the_one_trained_with_is_refused(run, data_file):
    split = read_json(run / "split.json")
    assert [sample.id for sample in samples_of(run, "test", [str(data_file)])] == split["test"]
    split["test"], split["train"][:1] = split["test"] + split["train"][:1], split["test"][:1]
    write_json(run / "split.json", split)
    with pytest.raises(UserError, match=r"not the split that .* was trained with"):
        samples_of(run, "test", [str(data_file)])
    with pytest.raises(UserError, match="not the split"):
        run_main(train, "--resume", "--run-name", "r")


@pytest.mark.parametrize("more", [[], ["--save-steps", "1"], ["--logging-steps", "1"], ["--max-minutes", "0.0001"]])
def test_a_training_of_nan_leaves_nothing_that_looks_whole(trained, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LossIsNotANumber, match=r"(nan|inf|finite number) at step \d.*(no checkpoint|is the last)"):
        run_main(train, *trained[1], "--run-name", "n", "--learning-rate", "1e30", "--warmup", "0", *more)
    run = tmp_path / "outputs" / "n"
    assert not (run / "adapter_model.safetensors").exists()
    for marker in run.glob("checkpoint-*/complete.json"):
        tensors = load_file(marker.parent / "adapter_model.safetensors").values()
        assert all(torch.isfinite(tensor).all() for tensor in tensors)


def test_steps_that_fp16_skips_one_after_the_other_stop_the_run(tmp_path):
    Accelerator(cpu=True)
    weight, scaler = torch.nn.Parameter(torch.ones(1)), torch.amp.GradScaler("cpu")
    optimizer = AcceleratedOptimizer(torch.optim.SGD([weight], lr=0.1), scaler=scaler)
    callback = SkippedSteps(SimpleNamespace(optimizer=optimizer), tmp_path)

    def steps(count: int, value: float) -> None:
        for _ in range(count):
            scaler.scale((weight * value).sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
            callback.on_step_end(None, SimpleNamespace(global_step=7), None)

    steps(SkippedSteps.MOST - 1, math.nan)
    steps(1, 1.0)
    steps(SkippedSteps.MOST - 1, math.inf)
    with pytest.raises(LossIsNotANumber, match="20 steps in a row, at step 7"):
        steps(1, math.nan)
    assert weight.item() == pytest.approx(0.9)  # the one step that was none of them


def test_metrics_are_json_also_where_a_gradient_is_not_finite(tmp_path):
    state = SimpleNamespace(global_step=1, epoch=0.5, is_world_process_zero=True)
    logs = {"loss": 1.0, "grad_norm": math.nan, "learning_rate": 1e-3}
    RunLog(tmp_path).on_log(SimpleNamespace(fp16=True), state, None, logs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    record = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    assert record["grad_norm"] is None and record["loss"] == 1.0


def test_a_checkpoint_of_the_past_with_nan_is_passed_over(run):
    newest, _ = newest_complete_checkpoint(run)
    file = newest / "adapter_model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values()))[0, 0] = torch.nan
    save_file(tensors, file, metadata={"format": "pt"})
    mark_complete(newest)
    found, warnings = newest_complete_checkpoint(run)
    assert found != newest and "not finite" in warnings[0]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_every_signal_that_asks_for_an_end_saves_first(name, capsys):
    control, args = SimpleNamespace(should_save=False, should_training_stop=False), SimpleNamespace(world_size=1)
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        with SafeStop(0) as stop:
            os.kill(os.getpid(), number)
            stop.on_step_end(args, None, control)
    finally:
        signal.signal(number, before)
    assert stop.reason in ("Ctrl-C" if name == "SIGINT" else name) and stop.reason
    assert control.should_save and control.should_training_stop and "saving a checkpoint" in capsys.readouterr().out


def test_a_data_worker_says_nothing_of_a_signal(capfd):
    """Loaders fork their workers with the handler, and a terminal sends Ctrl-C to all of them."""
    with SafeStop(0):
        if not (child := os.fork()):
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert "SIGTERM" not in capfd.readouterr().out


def test_a_second_ctrl_c_stops_at_once_unless_a_launcher_handed_it_on(monkeypatch):
    for count, seconds in (("1", 0), ("2", SafeStop.HANDED_ON + 1)):
        monkeypatch.setenv("WORLD_SIZE", count)
        with SafeStop(0) as stop:
            stop._on_signal(signal.SIGINT, None)
            if count == "2":
                stop._on_signal(signal.SIGINT, None)
            stop.asked -= seconds
            with pytest.raises(KeyboardInterrupt):
                stop._on_signal(signal.SIGINT, None)


@pytest.mark.parametrize(("rank", "words"), [("0", "\nstopped by Ctrl-C.\n"), ("1", "")])
def test_ctrl_c_is_one_sentence_of_one_process(rank, words):
    """And another one, while the interpreter ends, adds no traceback."""
    again = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    stopped = "run(lambda c: signal.raise_signal(signal.SIGINT), None)"
    script = f"{again}; from qwen_svg.common.errors import run; signal.signal(2, signal.default_int_handler); {stopped}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "RANK": rank}
    )
    assert (done.stderr, done.returncode) == (words, -signal.SIGINT)


def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SafeStop(0) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.reason and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
