"""The package for the public competition, used from outside as the competition's gateway does."""

import subprocess
import sys
import time

import pytest

from qwen_svg.common.errors import UserError
from qwen_svg.generation import competition, kaggle_package
from svg_constraint import check
from tests.scripts import run_main

PROMPTS = ("a lighthouse overlooking the ocean", "", "  ", "{braces} & <tags> 🦊", "x" * 5000, "many words " * 3000)


@pytest.fixture(scope="module")
def package(tmp_path_factory, tiny_base):
    folder = tmp_path_factory.mktemp("kaggle") / "package"
    run_main(kaggle_package, "--model", str(tiny_base), "--output", str(folder))
    return folder


def test_the_package_draws_by_itself(package, tmp_path):
    """In another folder, with nothing of the checkout on the path."""
    gateway = (
        "import sys; sys.path.insert(0, sys.argv[1]); from submission import Model; print(Model().predict('a red fox'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", gateway, package], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert check(done.stdout.strip(), "kaggle").valid
    assert (package / "requirements.txt").read_text().count("==") == 5


def test_every_prompt_gets_a_legal_drawing_in_time(package):
    model = competition.Model(package / "model", seconds=2.0)
    for prompt in PROMPTS:
        began = time.monotonic()
        svg = model.predict(prompt)
        assert check(svg, "kaggle").valid and len(svg.encode()) <= 10_000, prompt
        assert time.monotonic() - began < 10, prompt


def test_a_drawing_that_takes_too_long_or_shows_nothing_is_replaced(package, monkeypatch):
    assert check(competition.PLAIN, "prompt").valid and check(competition.PLAIN, "kaggle").valid
    model = competition.Model(package / "model", seconds=-1.0)
    assert model.predict("a red fox") == competition.PLAIN
    model.seconds = 60.0
    monkeypatch.setattr("qwen_svg.generation.predictor.Drawing.drawn", False)
    assert model.predict("a red fox") == competition.PLAIN


def test_wrong_constants_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="OUTPUT is empty"):
        run_main(kaggle_package)
    with pytest.raises(UserError, match="MODEL no/such/folder does not exist"):
        run_main(kaggle_package, "--output", str(tmp_path / "o"), "--model", "no/such/folder")
