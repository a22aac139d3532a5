"""The adapters that come with the project: whole, small, for the base that `make model-qwen` fetches; and they draw."""

import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from qwen_svg.common.files import read_json
from qwen_svg.model.find import SHIPPED
from tests.paths import ROOT

BASE = read_json(SHIPPED / "adapter_config.json")["base_model_name_or_path"]


def test_the_shipped_adapter_is_whole_and_small():
    file = SHIPPED / "adapter_model.safetensors"
    weights = load_file(file)
    assert file.stat().st_size < 20e6
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(tensor.isfinite().all() and tensor.any() for tensor in weights.values())  # B is zero before training
    assert len(weights) == 24 * 7 * 2  # layers, linear layers of one, A and B


def test_its_base_is_the_one_that_make_fetches():
    (fetched,) = re.findall(r"^QWEN := (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert fetched == BASE


@pytest.mark.skipif(not (ROOT / BASE).is_file(), reason="the base is not there: `make model-qwen`")
def test_it_draws_what_is_asked_for(tmp_path):
    command = [ROOT / "generate.py", "--temperature", "0", "a small red circle above a large green square"]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (drawn,) = (tmp_path / "outputs/drawings").glob("*.svg")
    svg = drawn.read_text()
    assert "<circle" in svg and "<rect" in svg and 'fill="red"' in svg and 'fill="green"' in svg
