"""wandb's mode is decided before the first init, and never by trying online."""

import pytest

from qwen_svg.common.errors import UserError
from qwen_svg.common.tracking import wandb_mode


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
