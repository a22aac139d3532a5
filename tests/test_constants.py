"""The block of constants as a command line: order of precedence, helpful errors, instant help."""

import ast
import contextlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from qwen_svg.common.constants import constants_in_force, declared_constants, read_config, write_config
from qwen_svg.common.errors import UserError, in_the_way
from tests.paths import ROOT

SCRIPT = '''"""A script."""

LENGTH: int = 10  # tokens
RATE: float = 5e-5  # 100 % of it
NAME: str = "a"  # anything
FAST: bool = False  # or slow
LIMIT: int | None = None  # none at all
NAMES: list[str] = []
MODE: Literal["auto", "on", "off"] = "auto"
SHARE: Annotated[float, Above(0, 1)] = 1.0
SEED: Seed = 0
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
        (["--length", "none"], ["--length", "a whole number", "'none'"]),
        (["--length", "9" * 30], ["LENGTH", "at most 12 digits", "999"]),
        (["--length", "9" * 5000], ["--length", "a whole number", "'999"]),
        (["--name", "a\udcffb"], ["NAME", "not UTF-8"]),
        (["--name", "x" * 30_000], ["NAME", "30,000 characters"]),
        (["--share", "0"], ["SHARE", "above 0, at most 1", "0.0"]),
        (["--seed", "4294967296"], ["SEED", "from 0 to 4,294,967,295"]),
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
        ("length: 2026-13-45", ["not valid YAML"]),
        ("length: " + "7" * 5000, ["not valid YAML"]),
        ("length: " + "[" * 1100, ["not valid YAML"]),
        ("name:", ["name must be text, and None is not"]),
        ("name: null", ["None is not; a word in quotes is text"]),
        ("name: {a: b}", ["name must be text"]),
        ("names: {a: b}", ["names must be a list"]),
        ("names: [[a]]", ["names must be a list"]),
        ('name: "a\\0b"', ["NAME holds a null character"]),
        ("mode: yes", ["MODE must be one of 'auto', 'on', 'off', not 'yes'"]),
        ("mode: true", ["MODE must be one of 'auto', 'on', 'off', not 'true'"]),
    ],
)
def test_config_errors_name_the_file(script, tmp_path, text, words):
    config = tmp_path / "broken.yml"
    config.write_text(text)
    with pytest.raises(UserError) as error:
        constants_in_force(script, ["--config", str(config)])
    assert all(word in str(error.value) for word in ["broken.yml", *words]), str(error.value)


def test_text_in_yaml_is_what_is_written(script, tmp_path):
    config = tmp_path / "c.yml"
    config.write_text("\ufeffmode: on\nname: 007\nnames: [no, 1e3, 'q', ~]\nlimit: null\nfast: on\n", encoding="utf-8")
    c = constants_in_force(script, ["--config", str(config)])
    assert (c.MODE, c.NAME, c.NAMES, c.LIMIT, c.FAST) == ("on", "007", ["no", "1e3", "q", "~"], None, True)
    for text in ("off", '"off"', "'off'"):
        config.write_text(f"mode: {text}")
        assert constants_in_force(script, ["--config", str(config)]).MODE == "off"


SCRIPTS = sorted(
    path.relative_to(ROOT)
    for folder in (".", "corpus", "encoder", "qwen_svg", "reinforce", "scoring")
    for path in (ROOT.glob("*.py") if folder == "." else (ROOT / folder).rglob("*.py"))
    if "start(__file__" in path.read_text(encoding="utf-8") and path.name != "constants.py"
)
NUMBERS = (
    ".nan .inf -.inf 0 -0.0 -1 1 3 1e-320 1e400 1.5 99999999999999999999 -99999999999999999999 4294967296 1e30 on null"
).split()
NUMBERS += ["9" * 4000, "0x" + "f" * 5000]
TEXTS = [
    '""',
    '" "',
    r'"\0"',
    r'"\ud800"',
    "nan",
    "null",
    "~",
    "on",
    "yes",
    "1",
    "a/../../b",
    "/dev/null",
    ".",
    "..",
    "☃",
]
TEXTS += ["a=b", "[]", "[a]", '["\\0"]', "{}", "{a: b}", "2026-01-01", "http://[", json.dumps("$(x)\n; rm")]
TEXTS += ["x" * 300]


def head_of(script: Path) -> dict:
    """What a script's module has when its constants are checked: nothing of it behind that is run."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    end = next(i for i, node in enumerate(tree.body) if isinstance(node, ast.If))
    module = {"__name__": script.stem, "__file__": str(script)}
    exec(compile(ast.Module(tree.body[:end], []), str(script), "exec"), module)
    return module


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_no_value_of_any_constant_is_more_than_a_sentence(script, tmp_path, monkeypatch):
    """Every declared constant × every hostile value: a namespace, or one sentence; never another exception."""
    declared, check = declared_constants(ROOT / script), head_of(ROOT / script).get("check_constants", lambda c: None)
    defaults = vars(constants_in_force(ROOT / script, []))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.yml"
    for constant in declared:
        accepted = []
        for value in (*TEXTS, "1", ".inf") if constant.type in (str, list) else (*NUMBERS, '""', "[]", "{}", "x"):
            config.write_text(f"{constant.name}: {value}\n", encoding="utf-8")
            with contextlib.suppress(UserError):
                accepted.append(read_config(config, declared)[constant.name])
        for value in accepted:
            assert type(value) is constant.type or (constant.optional and value is None)
            if constant.type is float:
                assert math.isfinite(value)
            try:
                check(SimpleNamespace(**defaults | {constant.name: value}))
            except UserError:
                pass
            except OSError as error:  # a name of 300 characters
                assert in_the_way(error)  # of which `errors` makes a sentence


@pytest.mark.parametrize("script", ["train.py", "generate.py"])
def test_no_command_line_is_more_than_a_sentence(script):
    declared = declared_constants(ROOT / script)
    for constant in {constant.type: constant for constant in declared}.values():
        for value in ("nan", "-inf", "1e400", "-1", "", " ", "\udcff", "9" * 5000, "x" * 25_000, "-", "--", "null"):
            with contextlib.suppress(UserError):
                constants_in_force(ROOT / script, [constant.flag, value])


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
    for name, value in yaml.safe_load(path.read_text()).items():
        assert getattr(c, name.upper()) in (value, [value])


def test_one_constant_may_go_without_its_flag(script):
    def name(*argv: str) -> str:
        return constants_in_force(script, list(argv), positional="NAME").NAME

    assert name() == "a" and name("--fast", "two words") == name("--name", "two words", "--rate", "1") == "two words"
    assert name("none") == "none" and name("NULL") == "NULL"
    with pytest.raises(UserError, match=r"unknown argument words; put .* in quotes"):
        name("two", "words")
    with pytest.raises(UserError, match=r"did you mean --fast\?"):
        name("two", "--fats")
    with pytest.raises(UserError, match=r"unknown argument two"):
        constants_in_force(script, ["two"])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16", "ascii:strict"])
def test_any_encoding_of_the_output_works(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "generate.py"]
    shown = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, env=environment)
    assert shown.returncode == 0 and len(shown.stdout) > 1000, shown.stderr
    wrong = subprocess.run([*command, "--model", "→", "--n", "ñ→☃"], cwd=ROOT, capture_output=True, env=environment)
    assert wrong.returncode == 2 and wrong.stderr.count("\n".encode(encoding.partition(":")[0])[-2:]) == 1


def test_usage_says_how_the_script_is_run():
    for start in ("python train.py", "python -m corpus.optimize"):
        command = [sys.executable, *start.split()[1:], "--help"]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.startswith(f"usage: {start} ")
