"""build_dataset in tasks: the bytes of one process, whoever is killed on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from corpus.sources import drawings
from tests.paths import ROOT

pytest.importorskip("datatrove")
SHARDS = 6


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """Some Twemoji in files, as the miner leaves drawings."""
    folder = tmp_path_factory.mktemp("shards")
    found = [drawing for drawing in drawings("twemoji") if drawing.description][: SHARDS * 12]
    for shard in range(SHARDS):
        rows = [
            {"id": d.id, "svg": d.svg, "description": d.description, "group": d.group} for d in found[shard::SHARDS]
        ]
        (folder / f"{shard}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def command(shards: Path, output: Path, *arguments: str) -> list[str]:
    build = [sys.executable, "-m", "corpus.build_dataset", "--sources", f"{shards}/*.jsonl", "--output", str(output)]
    return [*build, "--tasks", "4", *arguments]


def run_build(*arguments, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, env=env, timeout=120)


@pytest.fixture(scope="module")
def plain(shards, tmp_path_factory) -> bytes:
    output = tmp_path_factory.mktemp("plain") / "d.jsonl"
    done = run_build(shards, output)
    assert done.returncode == 0, done.stderr
    return output.read_bytes()


def test_tasks_give_the_bytes_of_one_process(shards, plain, tmp_path):
    done = run_build(shards, tmp_path / "d.jsonl", "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "d.jsonl").read_bytes() == plain
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl", "d.md", "d.png"]


def wait_for(condition, process: subprocess.Popen) -> None:
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)


def test_a_killed_worker_costs_its_task_only(shards, plain, tmp_path):
    build = command(shards, tmp_path / "d.jsonl", "--executor", "local")
    with subprocess.Popen(build, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        workers = psutil.Process(process.pid).children
        wait_for(lambda: list(tmp_path.rglob("*.part")), process)
        workers()[0].kill()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    assert (tmp_path / "d.jsonl").read_bytes() == plain


@pytest.mark.parametrize("executor", ["local", "here"])
def test_all_killed_goes_on_where_it_was(shards, plain, tmp_path, executor):
    build = command(shards, tmp_path / "d.jsonl", "--executor", executor)
    process = subprocess.Popen(
        build, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: list(tmp_path.rglob("0*.jsonl")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = min(tmp_path.rglob("0*.jsonl"))
    lines = first.read_text().splitlines()
    first.write_text("".join(line + "\n" for line in lines[:-1]))  # to see that it is not made again
    done = run_build(shards, tmp_path / "d.jsonl", "--executor", executor)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "d.jsonl").read_bytes().splitlines()) == len(plain.splitlines()) - 1


def test_other_constants_or_changed_shards_are_prepared_anew(shards, plain, tmp_path):
    """A killed run's pieces are not taken for those of another."""
    process = subprocess.Popen(
        command(shards, tmp_path / "d.jsonl"), cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: list(tmp_path.rglob("0*.jsonl")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = run_build(shards, tmp_path / "d.jsonl", "--compact-paths")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "d.jsonl").read_bytes()) < len(plain) * 0.95


SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
array = re.search(r"--array=0-(\\d+)", open(script).read())
for index in range(int(array.group(1)) + 1) if array else [0]:
    environment = os.environ | {{"SLURM_ARRAY_TASK_ID": str(index), "RUN_OFFSET": "0", "SLURM_NODELIST": "n1"}}
    subprocess.run(["bash", script], env=environment, check=True)
print("Submitted batch job 7")
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done
exec "$@"
"""


def test_slurm_gets_jobs_that_give_the_same(shards, plain, tmp_path):
    """A stand-in for sbatch that runs the jobs at once, in the order of their dependencies."""
    folder = tmp_path / "bin"
    folder.mkdir()
    commands = {"sbatch": SBATCH.format(python=sys.executable), "srun": SRUN, "scontrol": "#!/bin/sh\necho n1\n"}
    for name, text in commands.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    slurm = ("--executor", "slurm", "--slurm", "partition=cpu time=1:00:00 mem_per_cpu_gb=4")
    done = run_build(shards, tmp_path / "d.jsonl", *slurm, env=os.environ | {"PATH": path})
    assert done.returncode == 0 and "queued" in done.stdout, done.stderr
    assert (tmp_path / "d.jsonl").read_bytes() == plain


def test_a_task_that_cannot_read_its_shard_says_so(shards, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"vg": 1}\n')
    done = run_build(tmp_path / "in", tmp_path / "d.jsonl", "--executor", "local")
    assert done.returncode == 2 and "a.jsonl:1: no column 'svg', but vg" in done.stderr
    assert "Traceback" not in done.stderr
