"""Training that begins with an adapter there is."""

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import train
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import read_json, write_json
from tests.scripts import run_main

SHORT = ["--max-length", "6400", "--batch-size", "4", "--no-wandb", "--max-samples", "24", "--epochs", "1"]
SHORT += ["--cpu-dtype", "fp32"]  # of a tiny base either may measure faster


@pytest.fixture(scope="module")
def first(tmp_path_factory, tiny_base, data_file):
    """A folder with outputs/first, of a rank, alpha and targets that are nobody's default; and the flags of another."""
    folder = tmp_path_factory.mktemp("place")
    flags = ["--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT]
    shape = ["--lora-rank", "4", "--lora-alpha", "12", "--lora-targets", "v_proj", "q_proj", "--lora-rank-stabilised"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_main(train, *flags, *shape, "--run-name", "first", "--learning-rate", "1e-2")
    return folder, flags


def validation(run) -> list[float]:
    lines = map(yaml.safe_load, (run / "metrics.jsonl").read_text().splitlines())
    return [line["eval_cross_entropy"] for line in lines if "eval_cross_entropy" in line]


@pytest.mark.parametrize("named", ["first", "outputs/first", "shared"])
def test_it_begins_where_the_first_one_ended(first, monkeypatch, capsys, named):
    monkeypatch.chdir(first[0])
    if named == "shared":  # an adapter alone, in fp16, as people pass them on
        (first[0] / "shared").mkdir()
        write_json(first[0] / "shared/adapter_config.json", read_json(first[0] / "outputs/first/adapter_config.json"))
        weights = load_file(first[0] / "outputs/first/adapter_model.safetensors")
        save_file({n: w.half() for n, w in weights.items()}, first[0] / "shared/adapter_model.safetensors")
    name = "second-" + named.replace("/", "-")
    run_main(train, *first[1], "--adapter", named, "--run-name", name)
    told = capsys.readouterr().out
    assert "LORA_RANK is 4" in told and "LORA_ALPHA is 12" in told and "['q_proj', 'v_proj']" in told
    before, after = validation(first[0] / "outputs/first"), validation(first[0] / "outputs" / name)
    assert after[0] == pytest.approx(before[-1], rel=1e-3 if named == "shared" else 1e-6)
    assert after[0] < before[0] - 0.1  # which a fresh one would have begun with
    config = yaml.safe_load((first[0] / "outputs" / name / "config.yml").read_text())
    assert (config["lora_rank"], config["lora_alpha"], config["lora_rank_stabilised"]) == (4, 12, True)
    weights = load_file(first[0] / "outputs" / name / "adapter_model.safetensors")
    assert all(w.dtype == torch.float32 for w in weights.values())
    assert weights.keys() == load_file(first[0] / "outputs/first/adapter_model.safetensors").keys()


def test_such_a_run_is_resumed_without_the_first_one(first, tmp_path, monkeypatch):
    """By its own checkpoint: to the same losses, even where the first adapter is gone."""
    monkeypatch.chdir(tmp_path)
    flags = [*first[1], "--adapter", str(first[0] / "outputs/first"), "--save-steps", "2"]
    run_main(train, *flags, "--run-name", "whole")
    run_main(train, *flags, "--run-name", "halved", "--max-minutes", "0.00001")
    config = tmp_path / "outputs/halved/config.yml"
    config.write_text(config.read_text().replace(str(first[0]), "/gone"))
    (tmp_path / "outputs/halved/adapter_model.safetensors").unlink()
    run_main(train, "--resume", "--run-name", "halved", "--max-minutes", "0")
    halves, whole = (validation(tmp_path / "outputs" / name)[-1] for name in ("halved", "whole"))
    assert halves == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--adapter", "nowhere/at/all"], "ADAPTER nowhere/at/all does not exist"),
        (["--adapter", "{base}"], "has no adapter_config.json"),
        (["--adapter", "first", "--svg-tokens", "markup"], "new tokens"),
    ],
)
def test_what_cannot_be_gone_on_from(first, tiny_base, monkeypatch, flags, sentence):
    monkeypatch.chdir(first[0])
    with pytest.raises(UserError, match=sentence):
        run_main(train, *first[1], *(flag.format(base=tiny_base) for flag in flags), "--dry-run")
