"""A schedule shortened before the first step, to what fits into the time by a measured one."""

import torch

import evaluate_test
import train
from qwen_svg.common.files import read_json
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training import schedule
from qwen_svg.training.data import prepare_data
from tests.scripts import constants_of, run_main

SHORT = ["--max-length", "6400", "--lora-rank", "4", "--batch-size", "2", "--no-wandb", "--max-samples", "24"]


def test_steps_and_validations_fill_the_time():
    # 2 s a step, 6 s a validation, one before the first step, one every 10 and one at the end.
    assert schedule.minutes_of(20, 2, 6, 10) == (40 + 3 * 6) / 60
    assert schedule.steps_that_fit(159, 2, 6, 10, minutes=58 / 60) == 20
    assert schedule.steps_that_fit(159, 2, 6, 10, minutes=57 / 60) == 19
    assert schedule.steps_that_fit(159, 2, 6, 10, minutes=60) == 159
    assert schedule.steps_that_fit(159, 2, 6, 10, minutes=0.001) == 1


def test_a_measured_step_leaves_the_model_and_the_random_numbers_as_they_were(tiny_base, data_file):
    c = constants_of(train, "--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT)
    c.LORA_DROPOUT = 0.5  # which draws random numbers
    tokenizer = load_tokenizer(str(tiny_base))
    rows = prepare_data(c, tokenizer).parts["train"]
    torch.manual_seed(0)
    loaded = train.build_model(c, tokenizer, {}, torch.device("cpu"), torch.float32)
    weights = {name: p.detach().clone() for name, p in loaded.model.named_parameters()}
    random = torch.get_rng_state()
    assert 0 < schedule.measure_step(c, loaded, rows) < 60
    assert torch.equal(torch.get_rng_state(), random)
    for name, parameter in loaded.model.named_parameters():
        assert parameter.grad is None and torch.equal(parameter, weights[name])


def test_a_training_that_takes_too_long_is_shortened_and_says_so_to_its_end(
    tiny_base, data_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(schedule, "measure_step", lambda *_: 6.0)  # seconds
    monkeypatch.setattr(schedule, "FORWARD", 0.0)
    flags = ["--base-model", str(tiny_base), "--data-path", str(data_file), *SHORT, "--epochs", "2"]
    run_main(train, *flags, "--run-name", "all", "--fit-minutes", "60")
    assert "a step takes 6.0 s, measured: 22 steps in about 2 min" in capsys.readouterr().out
    run_main(train, *flags, "--run-name", "cut", "--fit-minutes", "0.7")
    assert "7 of 22 steps fit into FIT_MINUTES (0.7)" in capsys.readouterr().out
    facts = read_json(tmp_path / "outputs/cut/environment.json")
    assert (facts["steps"], facts["asked"]) == (7, 22)
    for run, told in (("all", False), ("cut", True)):
        run_main(evaluate_test, "--model", run, "--skip-base", "--no-constrained", "--max-new-tokens", "4")
        assert ("note: trained on 7 of 22 steps" in capsys.readouterr().out) is told
        page = (tmp_path / "outputs" / run / "test/report.html").read_text()
        assert ("trained on 7 of 22 steps" in page) is told
