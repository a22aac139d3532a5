"""Several processes train as one does: two on the CPU (gloo), by DDP and FSDP2, with a kill, a signal and a resume."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import train
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import FILLER, Encoded
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.batches import LeftPaddingCollator, batches_by_length
from qwen_svg.model.load import load_base
from qwen_svg.model.loss import summed_loss
from qwen_svg.training.callbacks import PANELS
from qwen_svg.training.lr_sweep import print_sweep
from qwen_svg.training.sampler import LengthGroupedSampler, share
from qwen_svg.training.token_store import TokenStore
from tests.paths import ROOT
from tests.scripts import run_main
from tests.tiny import make_base

# 36 samples in steps of 8: the last step of an epoch has 4, and only one of two processes has samples for it.
FLAGS = "--epochs 2 --max-length 1100 --lora-rank 4 --lora-alpha 8 --learning-rate 0.02 --batch-size 4 --no-wandb"
FLAGS += " --logging-steps 1 --eval-steps 3 --save-steps 6 --cpu-dtype fp32"  # of a tiny base either may measure faster
# The Trainer counts epochs and operations in batches, of which fillers make some.
APART = {
    "epoch",
    "total_flos",
    "eval_seconds",
    "train_runtime",
    "train_samples_per_second",
    "train_steps_per_second",
    "train_loss",
    "tokens_per_second",
    "peak_memory_gb",
    "minutes_left",
    "minutes",
}


def train_here(folder: Path, *flags: str) -> None:
    """Run train.py in this process: its imports are there already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_main(train, *flags)


def records(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in line.items() if key not in APART} for line in lines]
    return [record for record in kept if len(record) > 1]  # without the line of timings at the end


def assert_close(found: list[dict], expected: list[dict]) -> None:
    assert [list(record) for record in found] == [list(record) for record in expected]
    for record, other in zip(found, expected, strict=True):
        assert record == pytest.approx(other, rel=1e-5, abs=1e-5)


@pytest.fixture(scope="module")
def flags(tiny_base, data_file):
    return [*FLAGS.split(), "--data-path", str(data_file), "--base-model", str(tiny_base)]


@pytest.fixture(scope="module")
def work(tmp_path_factory, flags):
    """A folder with the run "one": one process, twice the accumulation."""
    folder = tmp_path_factory.mktemp("processes")
    train_here(folder, *flags, "--run-name", "one", "--gradient-accumulation", "2")
    return folder


@pytest.fixture(scope="module")
def untied(work, flags, tokenizer):
    """Constants that put a base in place whose output layer is not its embeddings."""
    return [*flags, "--base-model", str(make_base(work / "untied-base", tokenizer, tied=False))]


@pytest.fixture(scope="module")
def launched(work, flags, untied):
    """The runs "fsdp", with a SIGTERM to process 1 in step 6, "untied", in step 3; "two" (DDP), killed in step 8."""
    jobs = [
        ["FSDP", "SIGTERM", 6, *flags, "--run-name", "fsdp"],
        ["FSDP", "SIGTERM", 3, *untied, "--run-name", "untied"],
        ["", "SIGKILL", 8, *flags, "--run-name", "two"],
    ]
    command = [sys.executable, "-m", "tests.two_processes", json.dumps(jobs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_two_processes_log_what_one_does_with_twice_the_accumulation(work, launched):
    found = records(work / "outputs/two")
    assert found[-1]["step"] == 7
    assert_close(found, records(work / "outputs/one")[: len(found)])


def test_fsdp2_divides_the_model_and_trains_alike(work, launched):
    own, whole = map(int, re.search(r"(\d+) of (\d+) parameters are here", launched.stdout).groups())
    assert 0.45 * whole < own < 0.55 * whole
    found = records(work / "outputs/fsdp")
    assert found[-1]["step"] == 6
    assert_close(found, records(work / "outputs/one")[: len(found)])
    checkpoint = work / "outputs/fsdp/checkpoint-6"
    assert_close([adapter(checkpoint)], [adapter(work / "outputs/one/checkpoint-6")])
    assert (checkpoint / "complete.json").exists() and (checkpoint / "optimizer_0").is_dir()


def test_fsdp2_gathers_an_output_layer_of_its_own(work, launched, untied):
    train_here(work, *untied, "--run-name", "untied-one", "--gradient-accumulation", "2")
    found = records(work / "outputs/untied")
    assert [record["step"] for record in found if "eval_cross_entropy" in record] == [0, 3]
    assert_close(found, records(work / "outputs/untied-one")[: len(found)])


def test_a_signal_to_one_process_stops_all_in_the_same_step(launched):
    assert launched.stderr.count("training stopped at step 6") == 1
    assert "error: training stopped at step 6 (SIGTERM); go on with `python train.py --resume" in launched.stderr


def test_the_loss_of_a_process_is_a_sentence(launched):
    assert "error: process 0 has lost another of its launch; go on with `--resume`" in launched.stderr
    assert "Traceback" not in launched.stderr and launched.stdout.count("exit code 2") == 3


def test_one_process_prints_and_writes(work, launched):
    assert launched.stdout.count("40 samples read") == launched.stdout.count("validation cross-entropy 7") == 3
    for run in (work / "outputs/fsdp", work / "outputs/two"):
        steps = [record["step"] for record in records(run) if "loss" in record]
        assert steps == sorted(set(steps))
        assert json.loads((run / "environment.json").read_text())["launch"]["processes"] == 2


def test_what_was_killed_goes_on_with_another_number_of_processes(work, launched):
    with pytest.raises(UserError, match="takes 8 samples, and BATCH_SIZE 4 × GRADIENT_ACCUMULATION 1 × 1 process"):
        train_here(work, "--resume", "--run-name", "two")
    train_here(work, "--resume", "--run-name", "two", "--gradient-accumulation", "2")
    assert_close(records(work / "outputs/two"), records(work / "outputs/one"))
    assert_close([adapter(work / "outputs/two")], [adapter(work / "outputs/one")])


def test_a_checkpoint_in_parts_is_not_read_by_one_process(work, launched):
    with pytest.raises(UserError, match="was trained with FSDP"):
        train_here(work, "--resume", "--run-name", "fsdp", "--gradient-accumulation", "2")


def adapter(folder: Path) -> dict[str, float]:
    from safetensors.torch import load_file

    return {
        name: tensor.double().norm().item() for name, tensor in load_file(folder / "adapter_model.safetensors").items()
    }


def test_fsdp_without_a_gpu_is_refused(work, flags, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match=r"FSDP divides a model among GPUs.*cpu\.yml"):
        train_here(work, *flags, "--run-name", "never")
    assert not (work / "outputs/never").exists()


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_a_step_has_the_same_samples_however_many_processes_share_it(processes):
    """Through accelerate's own division into batches: each sample once an epoch, all processes equally often."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    lengths, size, accumulation = list(range(10, 111)), 2, 2
    step = size * accumulation * processes
    alone = list(LengthGroupedSampler(lengths, step, seed=1))
    sampler = LengthGroupedSampler(lengths, step, 1, together=size * processes)
    shards = [list(BatchSamplerShard(BatchSampler(sampler, size, False), processes, rank)) for rank in range(processes)]
    assert len({len(shard) for shard in shards}) == 1
    for number, start in enumerate(range(0, len(lengths), step)):
        mine = slice(number * accumulation, (number + 1) * accumulation)
        shared = [i for shard in shards for batch in shard[mine] for i in batch if i is not None]
        assert sorted(shared) == sorted(alone[start : start + step])


@pytest.mark.parametrize("loss_on", ["answer", "all"])
def test_fillers_have_no_label(loss_on):
    collator, row = LeftPaddingCollator(0, loss_on), Encoded("a", [5, 6], [7, 2])
    assert collator([FILLER])["shift_labels"].tolist() == []
    assert collator([row, FILLER])["shift_labels"].tolist() == collator([row])["shift_labels"].tolist()
    store = TokenStore()
    store.append(row)
    assert store.rows([0])[None] == FILLER


def test_a_batch_of_fillers_gives_gradients_of_zero(tiny_base):
    model = add_adapter(load_base(str(tiny_base), torch.device("cpu"), torch.float32), 2, 4, 0.0).train()
    loss = summed_loss(model, **LeftPaddingCollator(0)([FILLER, FILLER])) / 7
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters() if p.requires_grad)


def test_validation_is_shared_out_in_equal_numbers_of_batches():
    rows = [Encoded(str(n), [1] * n, [2]) for n in range(1, 12)]
    parts = [share(rows, 2, rank, 3) for rank in range(3)]
    assert [len(list(batches_by_length(part, 2))) for part in parts] == [2, 2, 2]
    assert sorted((r for part in parts for r in part if r is not FILLER), key=lambda r: r.length) == rows


CONFIGS = sorted((ROOT / "configs/accelerate").glob("*.yml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_command_in_each_config_is_accelerates_and_train_pys(path):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    program, verb, *rest = shlex.split(path.read_text().splitlines()[0].removeprefix("# "))
    assert (program, verb) == ("accelerate", "launch")
    args = launch_command_parser().parse_args(
        [str(ROOT / word) if word.startswith("configs/") else word for word in rest]
    )
    args, defaults, _ = _validate_launch_command(args)
    assert args.training_script == "train.py" and args.num_processes == defaults.num_processes > 1
    expected = {"fsdp2": "use_fsdp", "deepspeed_zero3": "use_deepspeed"}.get(path.stem, "multi_gpu")
    assert getattr(args, expected)
    constants_in_force(ROOT / "train.py", args.training_script_args)


def test_the_fsdp_config_asks_for_the_second_version(monkeypatch):
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import FullyShardedDataParallelPlugin
    from accelerate.utils.launch import prepare_multi_gpu_env

    config = ["--config_file", str(ROOT / "configs/accelerate/fsdp2.yml"), "--main_process_port", "0", "train.py"]
    args, _, _ = _validate_launch_command(launch_command_parser().parse_args(config))
    for name, value in prepare_multi_gpu_env(args).items():
        monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward and plugin.cpu_ram_efficient_loading


def test_the_zero_config_asks_for_the_third_stage():
    config = yaml.safe_load((ROOT / "configs/accelerate/deepspeed_zero3.yml").read_text())
    assert config["deepspeed_config"]["zero_stage"] == 3


def test_the_sweep_files_command_line_and_metric_are_train_pys(work):
    """`wandb agent` makes --name=value of ${args}; what it minimises is a panel of the runs."""
    sweep = yaml.safe_load((ROOT / "configs/wandb/sweep.yml").read_text())
    assert (ROOT / sweep["program"]).is_file()
    values = {
        name: p["value"] if "value" in p else p["values"][-1] if "values" in p else p["max"]
        for name, p in sweep["parameters"].items()
    }
    c = constants_in_force(ROOT / sweep["program"], [f"--{name}={value}" for name, value in values.items()])
    assert {name: getattr(c, name.upper().replace("-", "_")) for name in values} == values
    assert sweep["metric"]["name"] in {PANELS.get(key) for record in records(work / "outputs/one") for key in record}


def test_a_learning_rate_sweep_leaves_a_figure_a_table_and_nothing_else(tmp_path, flags, capsys):
    from PIL import Image

    train_here(tmp_path, *flags, "--run-name", "sweep", "--lr-sweep", "2", "--learning-rate", "1e29", "--warmup", "1")
    run = tmp_path / "outputs/sweep"
    results = json.loads((run / "lr_sweep.json").read_text())
    assert [result["learning_rate"] for result in results] == [1e28, 3.2e28, 1e29, 3.2e29, 1e30]
    assert len({result["losses"]["1"] for result in results}) == 1  # from the same fresh adapter
    assert not list(run.rglob("checkpoint-*")) and not list(run.rglob("*.safetensors"))
    with Image.open(run / "lr_sweep.png") as figure:
        assert figure.width > 1000
    printed = capsys.readouterr().out
    assert printed.count("training ") >= 5 and "warning" not in printed
    with pytest.raises(UserError, match="exists"):
        train_here(tmp_path, *flags, "--run-name", "sweep", "--lr-sweep", "2")
    with pytest.raises(UserError, match="LR_SWEEP starts anew"):
        train_here(tmp_path, "--resume", "--run-name", "sweep", "--lr-sweep", "2")
    train_here(tmp_path, *flags, "--run-name", "cold", "--lr-sweep", "1", "--warmup", "1")
    assert "warning: WARMUP (1 steps) is no shorter than LR_SWEEP (1): no rate is reached" in capsys.readouterr().out


@pytest.mark.parametrize("lowest, is_edge", [(0, True), (2, False), (4, True)])
def test_a_sweep_says_where_the_lowest_is_at_the_edge(lowest, is_edge, capsys):
    ends = [1.0 + abs(i - lowest) for i in range(5)]
    results = [
        {"learning_rate": 10.0**-i, "losses": {1: 2.0}, "validation_cross_entropy": e} for i, e in enumerate(ends)
    ]
    print_sweep(results, Path("outputs/rates"))
    printed = capsys.readouterr().out
    assert f"lowest at 1.0e{-lowest:+03d}" in printed and ("the edge of what was tried" in printed) == is_edge
