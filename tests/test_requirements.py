"""pyproject.toml, for uv and its like, asks for what the requirements files say."""

import tomllib

import pytest

from tests.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN_ENVIRONMENT = ("vllm.txt",)  # brings another torch


def pinned(path) -> tuple[list[str], list[str]]:
    """Return what a requirements file pins itself, and the stems of the files it goes on from."""
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    includes = [line.removeprefix("-r ").rpartition("/")[2].removesuffix(".txt") for line in lines if line[:3] == "-r "]
    return [line for line in lines if line and line[:3] != "-r "], [one for one in includes if one != "requirements"]


def test_the_dependencies_are_those_of_requirements_txt():
    assert PROJECT["dependencies"] == pinned(ROOT / "requirements.txt")[0]


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_an_extra_is_the_file_of_its_name(path):
    if path.name in OWN_ENVIRONMENT:
        assert path.stem not in PROJECT["optional-dependencies"]
        return
    own, includes = pinned(path)
    others = [f"qwen-svg[{','.join(sorted(includes))}]"] if includes else []
    assert PROJECT["optional-dependencies"][path.stem] == others + own
