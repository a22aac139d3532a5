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
def tiny_llama(tokenizer, tmp_path_factory):
    """As SmolLM2: keys shared between heads, a vocabulary larger than the tokenizer's, here with a head of its own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 9, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.15, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 5e4}, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    from tests.tiny import make_data

    return make_data(tmp_path_factory.mktemp("data") / "samples.jsonl")
