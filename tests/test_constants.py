"""The block of constants as a command line: order of precedence, helpful errors, instant help."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from qwen_svg.common.constants import constants_in_force, declared_constants, write_config
from qwen_svg.common.errors import UserError
from tests.paths import ROOT

SCRIPT = '''"""A script."""

LENGTH: int = 10  # tokens
RATE: float = 5e-5  # 100 % of it
NAME: str = "a"  # anything
FAST: bool = False  # or slow
LIMIT: int | None = None  # none at all
NAMES: list[str] = []
not_a_constant: int = 3
'''


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_file_then_config_then_command_line(script, tmp_path):
    config = tmp_path / "c.yml"
    config.write_text("length: 20\nRATE: 1\nnames: [x, y]\n")
    c = constants_in_force(script, ["--config", str(config), "--length", "30", "--fast", "--limit", "7"])
    assert (c.LENGTH, c.RATE, c.NAME, c.FAST, c.LIMIT, c.NAMES) == (30, 1.0, "a", True, 7, ["x", "y"])
    assert constants_in_force(script, ["--no-fast", "--limit", "none"]).LIMIT is None


def test_written_config_gives_the_same_constants_back(script, tmp_path):
    c = constants_in_force(script, ["--rate", "3e-4", "--names", "p", "q", "--name", "two words: ×"])
    write_config(tmp_path / "config.yml", c)
    assert constants_in_force(script, ["--config", str(tmp_path / "config.yml")]) == c


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lenght", "3"], ["--lenght", "did you mean --length?"]),
        (["--length", "abc"], ["--length", "whole number", "'abc'"]),
        (["--length", "1.5"], ["--length", "whole number"]),
        (["--length"], ["--length", "expected one argument"]),
        (["--rate", "fast"], ["--rate", "a finite number"]),
        (["--name", "none"], ["--name", "text"]),
        (["--config", "nowhere.yml"], ["nowhere.yml"]),
    ],
)
def test_errors_name_the_constant_and_the_way_out(script, arguments, words):
    with pytest.raises(UserError) as error:
        constants_in_force(script, arguments)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lenght: 3", ["'lenght'", "did you mean length?"]),
        ("length: yes", ["length", "whole number", "True"]),
        ("fast: 1", ["fast", "true or false"]),
        ("- a list", ["mapping"]),
        ("length: [", ["not valid YAML"]),
    ],
)
def test_config_errors_name_the_file(script, tmp_path, text, words):
    config = tmp_path / "broken.yml"
    config.write_text(text)
    with pytest.raises(UserError) as error:
        constants_in_force(script, ["--config", str(config)])
    assert all(word in str(error.value) for word in ["broken.yml", *words]), str(error.value)


@pytest.mark.parametrize("name", ["train.py", "evaluate_test.py", "preprocess_token_lengths.py", "generate.py"])
def test_every_constant_of_a_script_is_in_its_help(name):
    start = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, name, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    # A generous bound that still fails when torch is imported to show help (0.1 s against 2 s and more).
    assert time.perf_counter() - start < 1.5
    declared = declared_constants(ROOT / name)
    assert len(declared) >= 5
    assert [c.name for c in declared if c.flag not in shown] == []


def test_the_defaults_of_training_are_the_specified_ones():
    c = constants_in_force(ROOT / "train.py", [])
    specified = {
        "BASE_MODEL": "Qwen/Qwen2.5-1.5B-Instruct",
        "MAX_LENGTH": 1560,
        "LORA_RANK": 64,
        "LORA_ALPHA": 128,
        "BATCH_SIZE": 4,
        "LEARNING_RATE": 5e-5,
        "WEIGHT_DECAY": 0.01,
        "MAX_GRAD_NORM": 1.0,
        "FP16": True,
        "EVAL_STEPS": 50,
        "LOGGING_STEPS": 10,
        "SAVE_STEPS": 200,
        "SAVE_TOTAL_LIMIT": 3,
    }
    assert {name: getattr(c, name) for name in specified} == specified
    assert c.WARMUP > 0


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yml")), ids=lambda path: path.name)
def test_shipped_configs_are_valid(path: Path):
    c = constants_in_force(ROOT / "train.py", ["--config", str(path)])
    assert all(getattr(c, name.upper()) == value for name, value in yaml.safe_load(path.read_text()).items())


def test_one_constant_may_go_without_its_flag(script):
    def name(*argv: str) -> str:
        return constants_in_force(script, list(argv), positional="NAME").NAME

    assert name() == "a" and name("--fast", "two words") == name("--name", "two words", "--rate", "1") == "two words"
    with pytest.raises(UserError, match=r"--name must be text"):
        name("none")
    with pytest.raises(UserError, match=r"unknown argument words; put .* in quotes"):
        name("two", "words")
    with pytest.raises(UserError, match=r"did you mean --fast\?"):
        name("two", "--fats")
    with pytest.raises(UserError, match=r"unknown argument two"):
        constants_in_force(script, ["two"])


def test_usage_says_how_the_script_is_run():
    for start in ("python train.py", "python -m corpus.optimize"):
        command = [sys.executable, *start.split()[1:], "--help"]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.startswith(f"usage: {start} ")
