"""How many pages does corpus.mine take in per second of one core, and what does a kill cost? img2dataset beside it.

    python -m benchmarks.mining [--json] [--pages 12000] [--kilobytes 50] [--rounds 3] [--kills 20]

The web is benchmarks/mining_site.py, in a process of its own on 127.0.0.1. Figures are processor time of the client,
children included, so that they hold on a busy machine; pages per core second are those between a run of a quarter of
the pages and one of all, so that imports and the drawing of plots do not count. corpus.mine also reads robots.txt,
parses, deduplicates and journals; img2dataset (`make peers`) writes every page as it comes. RSS is of all processes of
the client, one and three quarters into the run. Last, one run is killed with SIGKILL again and again.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.measure import report

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / ".venv-img2dataset" / "bin" / "python"
HOSTS = 400
TIMEOUT = 10  # seconds; the machine is busy, the site is not slow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=12_000)
    parser.add_argument("--kilobytes", type=int, default=50, help="of a page")
    parser.add_argument("--rounds", type=int, default=3, help="of all clients in turn; the median is shown")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--keep", help="folder for the mined output")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        runs = {
            f"corpus.mine, {HOSTS} hosts": lambda pages: mine(folder, a, HOSTS, pages),
            "corpus.mine, a host for each page": lambda pages: mine(folder, a, pages, pages),
        }
        if PEER.exists():
            runs["img2dataset"] = lambda pages: img2dataset(folder, a, pages)
        else:
            print("img2dataset: not measured; `make peers` makes its environment")
        print(f"{'':<36}{'pages/core s':>13}{'ms/page':>9}{'wall':>7}{'MB at 1/4':>11}{'3/4':>6}{'requests/page':>15}")
        rounds = [{name: (run(a.pages // 4), run(a.pages)) for name, run in runs.items()} for _ in range(a.rounds)]
        pages = a.pages - a.pages // 4
        for name in runs:
            pairs = sorted((r[name] for r in rounds), key=lambda pair: pair[1]["cpu"] - pair[0]["cpu"])
            short, long = pairs[len(pairs) // 2]
            per_core = pages / (long["cpu"] - short["cpu"])
            figures[name] = long | {"pages_per_core_second": per_core}
            print(
                f"{name:<36}{per_core:>13.0f}{1000 / per_core:>9.3f}{pages / (long['wall'] - short['wall']):>7.0f}"
                f"{long['megabytes'][0]:>11.0f}{long['megabytes'][1]:>6.0f}{long['requests'] / a.pages:>15.2f}"
            )
        if a.keep:
            shutil.copytree(folder / "mined", a.keep, dirs_exist_ok=True)
        figures["kills"] = killed(folder, a)
        print(f"killed {a.kills} times: {figures['kills']}")
    report(figures)


@contextmanager
def site(kilobytes: int) -> Iterator[int]:
    """Yield the port of a fresh site."""
    command = [sys.executable, "-m", "benchmarks.mining_site", "0", str(kilobytes)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield int(server.stdout.readline())
        server.stdin.close()


def requests(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/requests") as answer:
        return int(answer.read())


def mine(folder: Path, a: argparse.Namespace, hosts: int, pages: int) -> dict:
    with site(a.kilobytes) as port:
        return measured(mining(folder, port, pages, hosts, a.concurrency), port)


def mining(folder: Path, port: int, pages: int, hosts: int, concurrency: int) -> list[str]:
    """Return the command that mines a fresh list into a fresh folder: the script, with 127.0.0.1 allowed."""
    (folder / "urls.txt").write_text("".join(f"http://site{i % hosts}.test:{port}/p/{i}\n" for i in range(pages)))
    shutil.rmtree(folder / "mined", ignore_errors=True)
    flags = {"dataset": folder / "urls.txt", "output-dir": folder / "mined", "max-concurrency": concurrency}
    flags |= {"host-delay": 0, "timeout": TIMEOUT}
    return [sys.executable, "-m", "tests.web", *(f"--{name}={value}" for name, value in flags.items())]


def img2dataset(folder: Path, a: argparse.Namespace, pages: int) -> dict:
    with site(a.kilobytes) as port:
        (folder / "urls.txt").write_text("".join(f"http://127.0.0.1:{port}/p/{i}\n" for i in range(pages)))
        shutil.rmtree(folder / "i2d", ignore_errors=True)
        script = [str(PEER), "benchmarks/mining_img2dataset.py", str(folder / "urls.txt"), str(folder / "i2d")]
        return measured([*script, str(a.concurrency), str(TIMEOUT)], port)


def measured(command: list[str], port: int) -> dict:
    """Run a client; return its processor and wall seconds, requests, and megabytes in memory on the way."""
    start, resident = time.monotonic(), []
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            resident.append(resident_bytes(process.pid))
            time.sleep(0.1)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            output.seek(0)
            sys.exit(output.read().decode(errors="replace"))
    usage = ended[2]
    return {
        "cpu": usage.ru_utime + usage.ru_stime,  # of the client and the children it waited for
        "wall": time.monotonic() - start,
        "requests": requests(port),
        "megabytes": [resident[len(resident) * quarter // 4] / 1e6 for quarter in (1, 3)],
    }


def resident_bytes(pid: int) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        client = psutil.Process(pid)
        for process in (client, *client.children(recursive=True)):
            total += process.memory_info().rss
    return total


def killed(folder: Path, a: argparse.Namespace) -> dict:
    """Kill a run at random moments, let it end, and compare what it left with what a run in peace leaves."""
    concurrency = 16
    with site(a.kilobytes) as port:
        command = mining(folder, port, a.pages, HOSTS, concurrency)
        clean = measured(command, port)["requests"]
    kept = records(folder / "mined")
    random.seed(0)
    moments = sorted(random.randrange(clean) for _ in range(a.kills))
    with site(a.kilobytes) as port:
        command = mining(folder, port, a.pages, HOSTS, concurrency)
        for moment in moments:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while requests(port) < moment and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        asked = measured(command, port)["requests"]
    again = records(folder / "mined")
    counts = json.loads((folder / "mined" / "counts.json").read_text())
    return {
        "requests": asked / clean,
        "lost": len(set(kept) - set(again)) + a.pages - counts["pages"],
        "twice": len(again) - len(set(again)),
        "kept": len(again),
        "failed": counts["failed"],
    }


def records(folder: Path) -> list[str]:
    """Every SVG in the shards; a half-written line would be an error here."""
    return [json.loads(line)["svg"] for path in (folder / "shards").iterdir() for line in path.open(encoding="utf-8")]


if __name__ == "__main__":
    main()
