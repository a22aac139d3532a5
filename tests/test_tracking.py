"""wandb's mode is decided before the first init, and never by trying online."""

import sys

import pytest

import train
from qwen_svg.common.errors import UserError
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.tracking import wandb_mode
from qwen_svg.training.callbacks import panels
from tests.scripts import run_main


@pytest.fixture
def clean(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return monkeypatch


def test_offline_without_login(clean):
    assert wandb_mode() == "offline"


def test_offline_when_logged_in_but_the_server_cannot_be_reached(clean):
    clean.setenv("WANDB_API_KEY", "x" * 40)
    clean.setenv("WANDB_BASE_URL", "https://nowhere.invalid")
    assert wandb_mode() == "offline"


def test_online_when_logged_in_and_the_server_answers(clean, tmp_path):
    opened = []

    class Connection:
        def close(self):
            opened.append(True)

    clean.setattr("socket.create_connection", lambda address, timeout: Connection())
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    (tmp_path / "netrc").chmod(0o600)
    assert wandb_mode() == "online" and opened


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_wandb_mode_is_obeyed(clean, mode):
    clean.setenv("WANDB_MODE", mode)
    assert wandb_mode() == mode


def test_a_word_that_is_no_mode_is_refused(clean):
    clean.setenv("WANDB_MODE", "onlin")
    with pytest.raises(UserError, match="WANDB_MODE is 'onlin'"):
        wandb_mode()


@pytest.mark.parametrize(
    "url, address",
    [
        ("", ("api.wandb.ai", 443)),
        ("http://wandb.lan:8080", ("wandb.lan", 8080)),
        ("http://wandb.lan", ("wandb.lan", 80)),
        ("https://wandb.lan/", ("wandb.lan", 443)),
    ],
)
def test_a_server_of_ones_own_is_asked_at_its_own_port(clean, url, address):
    asked = []
    clean.setattr("qwen_svg.common.tracking.answers", lambda *where: asked.append(where) or True)
    clean.setenv("WANDB_API_KEY", "x" * 40)
    if url:
        clean.setenv("WANDB_BASE_URL", url)
    assert wandb_mode() == "online" and asked == [address]


def test_figures_have_one_name_each_and_none_beside_the_constants():
    logged = {
        "step": 3, "epoch": 0.1, "loss": 1.0, "learning_rate": 1e-3, "rewards/legality/mean": 0.5, "minutes": 0.1,
        "eval_accuracy": 0.25, "eval_cross_entropy": 2.0, "eval_tokens": 77, "train_runtime": 9.0, "total_flos": 1e9,
    }  # fmt: skip
    assert panels(logged) == {
        "train/epoch": 0.1, "train/loss": 1.0, "train/learning_rate": 1e-3, "train/rewards/legality/mean": 0.5,
        "valid/accuracy": 0.25, "valid/cross_entropy": 2.0,
    }  # fmt: skip


SHORT = "--epochs 0.2 --lora-rank 4 --max-length 1100 --logging-steps 1 --no-wandb --run-name r --report-to".split()


def test_another_tracker_is_one_constant(tmp_path, monkeypatch, tiny_base, data_file):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)
    run_main(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT, "tensorboard")
    (events,) = (tmp_path / "outputs/r/runs").rglob("events.out.tfevents.*")
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    assert {"train/loss", "train/tokens_per_second", "eval/cross_entropy"} <= set(accumulator.Tags()["scalars"])
    losses = [r["loss"] for r in read_jsonl(tmp_path / "outputs/r/metrics.jsonl") if "loss" in r]
    assert [event.value for event in accumulator.Scalars("train/loss")] == pytest.approx(losses)


TRACKIO = """# What transformers asks of trackio; the package itself wants another Pillow than this project's.
from contextvars import ContextVar
from types import SimpleNamespace

__version__ = "0.43.0"
runs, logged = [], []
context_vars = SimpleNamespace(current_space_id=ContextVar("space", default=None))


class Config(dict):
    def update(self, values, allow_val_change):
        super().update(values)


config = Config()


def init(project, name, **options):
    runs.append((project, name))


def log(figures):
    logged.append(figures)


def finish():
    pass
"""


def test_trackio_gets_the_project_the_run_and_its_losses(tmp_path, monkeypatch, tiny_base, data_file):
    (tmp_path / "trackio.py").write_text(TRACKIO)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    monkeypatch.chdir(tmp_path)
    run_main(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT, "trackio")
    trackio = sys.modules.pop("trackio")
    assert set(trackio.runs) == {(train.WANDB_PROJECT, "r")}
    losses = [r["loss"] for r in read_jsonl(tmp_path / "outputs/r/metrics.jsonl") if "loss" in r]
    assert losses and [figures["train/loss"] for figures in trackio.logged if "train/loss" in figures] == losses
    assert any("eval/cross_entropy" in figures for figures in trackio.logged)
