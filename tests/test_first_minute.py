"""What is met before anything is trained: make's targets, files beside the scripts, what documents promise."""

import os
import platform
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from tests.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TORCH = re.search(r"^torch==\S+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)[0]
INSTALL = (ROOT / "docs/install.md").read_text(encoding="utf-8")

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, **variables: str) -> str:
    above = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = [shutil.which("make"), *arguments]  # as from a shell, and not as from `make test`
    return subprocess.run(command, cwd=ROOT, env=above | variables, capture_output=True, text=True, check=True).stdout


@needs_make
def test_make_alone_tells_what_there_is_to_make():
    assert make("--dry-run") == make("--dry-run", "help")
    assert {line.split()[1] for line in make().splitlines()} == set(told_targets())


def told_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)


def test_every_target_has_its_plain_commands():
    table = INSTALL.partition("## Without make")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == set(told_targets()) - {"help"}


@needs_make
@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere PyPI's torch is the one for CPUs")
@pytest.mark.parametrize("driver", [False, True])
@pytest.mark.parametrize("reached", [True, False])
def test_torch_for_cpus_comes_first_where_there_is_no_nvidia_driver(tmp_path, driver, reached):
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / ".venv").mkdir()
    for name in ["uname", "echo", "test", "touch", "grep", "sh", "cat"]:
        (tmp_path / name).symlink_to(shutil.which(name))
    if driver:
        (tmp_path / "nvidia-smi").symlink_to(shutil.which("true"))
    python = tmp_path / "python"  # notes what it is to install; the torch alone cannot be had unless `reached`
    python.write_text(f'#!/bin/sh\necho "$*" >> installed\ncase "$*" in *index*) exit {int(not reached)};; esac\n')
    python.chmod(0o755)
    arguments = ["-s", "-f", f"{ROOT}/Makefile", "-C", str(tmp_path), ".venv/installed", "PY=./python"]
    told = make(*arguments, PATH=str(tmp_path))
    *first, last = (tmp_path / "installed").read_text().splitlines()
    assert last.endswith("-r requirements.txt") and (tmp_path / ".venv/installed").is_file()
    assert len(first) == (not driver)
    if first:
        assert first[0].endswith(f"--index-url https://download.pytorch.org/whl/cpu {TORCH}")
        assert ("cannot be reached" in told) is not reached


@needs_make
def test_an_earlier_quickstart_is_kept_under_another_name(tmp_path):
    run = tmp_path / "quickstart"
    run.mkdir()
    (run / "adapter_model.safetensors").write_text("trained")
    make("keep-quickstart", f"RUN={run}")
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("quickstart-20") and (kept / "adapter_model.safetensors").read_text() == "trained"
    make("keep-quickstart", f"RUN={run}")  # nothing is there any more


def test_the_quickstart_is_bounded_by_steps_and_not_by_a_clock():
    config = yaml.safe_load((ROOT / "configs/quickstart.yml").read_text(encoding="utf-8"))
    assert config["fit_minutes"] and "max_minutes" not in config


def test_the_image_is_built_from_files_that_are_there():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ")]
    asked = re.findall(r"-r (\S+\.txt)", "\n".join(lines))
    assert copied and asked and all((ROOT / name).exists() for name in copied + asked)
    assert any(line.startswith('CMD ["serve.py"') for line in lines) and (ROOT / "serve.py").is_file()


def test_citation_changelog_and_package_are_of_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["version"] == project["version"] and citation["license"] == "Apache-2.0"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+?),? ", changes, re.MULTILINE)[1] == project["version"]
