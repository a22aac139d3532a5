"""How fast is a data set built, with one worker and two, and does memory stay flat?

    python -m benchmarks.build [--json] [--copies N]

Twemoji in 16 files as the miner leaves them, N times over under new names and in new colours, through
corpus.build_dataset: in one process tree, and as datatrove's tasks with one worker and two. Outputs are compared byte
for byte. Memory is the peak of all processes together, pages that they share counted once each (PSS).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.measure import report
from corpus.sources import drawings

FILES = 16
CASES = {
    "2 processes": ("here", 2),
    "8 tasks, 1 worker": ("local", 1),
    "8 tasks, 2 workers": ("local", 2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=4, help="the larger size; the smaller is one copy")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: dict = {}
    print(f"{'':<20}{'drawings':>9}{'a second':>10}{'CPU each':>10}{'peak':>9}{'equal':>7}")
    for copies in (1, arguments.copies):
        with tempfile.TemporaryDirectory() as folder:
            count = write_shards(Path(folder), copies)
            expected = None
            for name, (executor, workers) in CASES.items():
                output = Path(folder) / f"{executor}{workers}" / "d.jsonl"
                figures[f"{name}, {count}"] = f = build(Path(folder), output, executor, workers) | {"drawings": count}
                expected = expected or output.read_bytes()
                f["equal"] = output.read_bytes() == expected
                print(
                    f"{name:<20}{count:>9}{count / f['seconds']:>10.1f}{f['cpu'] / count * 1e3:>7.1f} ms"
                    f"{f['bytes'] / 1e6:>6.0f} MB{f['equal']!s:>7}"
                )
    report(figures)


def write_shards(folder: Path, copies: int) -> int:
    """A copy's drawings differ from the first's in one colour, so that they are drawn, compared and kept again."""
    found = [drawing for drawing in drawings("twemoji") if drawing.description]
    files = [(folder / f"{i:02d}.jsonl").open("w", encoding="utf-8") for i in range(FILES)]
    for copy in range(copies):
        for i, drawing in enumerate(found):
            svg = drawing.svg.replace("</svg>", f'<path fill="#{copy * 40 + 20:02x}5555" d="M0 0h9v9z"/></svg>')
            row = {"id": f"{drawing.id}-{copy}", "svg": svg, "description": drawing.description}
            files[i % FILES].write(json.dumps(row) + "\n")
    for file in files:
        file.close()
    return copies * len(found)


def build(shards: Path, output: Path, executor: str, workers: int) -> dict:
    """Return seconds, CPU seconds and peak bytes of one run and all its children."""
    command = [sys.executable, "-m", "corpus.build_dataset", "--sources", f"{shards}/*.jsonl", "--output", str(output)]
    start, peak = time.perf_counter(), 0
    before = cpu_of_children()
    with subprocess.Popen(
        [*command, "--executor", executor, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.2)
        if process.returncode:
            raise SystemExit(process.stderr.read().decode())
    return {"seconds": time.perf_counter() - start, "cpu": cpu_of_children() - before, "bytes": peak}


def cpu_of_children() -> float:
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system


def memory(pid: int) -> int:
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0  # one has just ended: not a peak
    return total


if __name__ == "__main__":
    main()
