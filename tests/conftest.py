"""Fixtures shared by the tests: a tiny real model and small data files. No network, no account."""

import os
import sys

import pytest

from tests.paths import ROOT

sys.path.insert(0, str(ROOT))
os.environ.update(WANDB_MODE="offline", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # on models this small, threads mostly wait for each other


@pytest.fixture(scope="session")
def tokenizer():
    from tests.tiny import make_tokenizer

    return make_tokenizer()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory, tokenizer):
    from tests.tiny import make_base

    return make_base(tmp_path_factory.mktemp("tiny_qwen2"), tokenizer)


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    from tests.tiny import make_data

    return make_data(tmp_path_factory.mktemp("data") / "samples.jsonl")
