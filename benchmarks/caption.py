"""What captioning costs beside the model, and what kill -9 costs captioning.

    python -m benchmarks.caption [--json] [KILLS]

An endpoint on 127.0.0.1 answers at once, so that all time is ours: reading, drawing, sending, writing. Twemoji's
drawings are captioned, once and, told apart by a comment, four times over; then again under KILLS kills (default 20) at
random moments, and the result is compared with the undisturbed one.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import report
from corpus.sources import drawings
from tests import chat_server

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    kills = next((int(a) for a in sys.argv[1:] if a.isdigit()), 20)
    chat_server.MAX_REQUESTS = 100_000
    svgs = list(dict.fromkeys(drawing.svg for drawing in drawings("twemoji")))
    figures = {}
    with tempfile.TemporaryDirectory() as folder, chat_server.chat_server(lambda body, number: "A thing") as server:
        work = Path(folder)
        print(f"{'drawings':>10}{'captions':>10}{'CPU ms each':>13}{'wall ms each':>14}{'peak MB':>9}")
        for copies in (1, 4):
            lines = [json.dumps({"svg": f"<!-- {i} -->{svg}"}) for i in range(copies) for svg in svgs]
            (work / "in.jsonl").write_text("\n".join(lines) + "\n")
            figures[len(lines)] = row = undisturbed(command(server, work, f"clean{copies}"), work / f"clean{copies}")
            print(
                f"{len(lines):>10}{row['captions']:>10}{row['cpu_ms']:>13.1f}{row['wall_ms']:>14.1f}{row['mb']:>9.0f}"
            )
        figures["kills"] = killed(kills, server, work)
        print(figures["kills"])
    report(figures)


def command(server: chat_server.ChatServer, work: Path, output: str) -> list[str]:
    given = {"engine": "endpoint", "base-url": server.url, "model": "m", "dataset": work / "in.jsonl"}
    flags = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-m", "corpus.caption", *flags, "--output", str(work / output)]


def undisturbed(start: list[str], output: Path) -> dict:
    """Run to the end. CPU: of the script and of the process that draws; peak memory: of the larger of them."""
    begin = time.perf_counter()
    process = subprocess.Popen(start, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    assert status == 0
    captions = len(output.read_text().splitlines())
    cpu = used.ru_utime + used.ru_stime
    return {"captions": captions, "cpu_ms": 1e3 * cpu / captions, "wall_ms": 1e3 * wall / captions,
            "mb": used.ru_maxrss / 1024}  # fmt: skip


def killed(kills: int, server: chat_server.ChatServer, work: Path) -> dict:
    """Caption with kills at random moments; compare with the undisturbed run of the same input."""
    moments, start, done = random.Random(0), command(server, work, "killed"), 0
    before = len(server.requests)
    while done < kills:
        process = subprocess.Popen(start, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=moments.uniform(0.5, 3))
            break  # at the end before the last kill
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
    subprocess.run(start, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    clean, again = (
        [json.loads(line) for line in (work / name).read_text().splitlines()] for name in ("clean4", "killed")
    )
    key = [sorted((record["hash"], record["prompt"]) for record in records) for records in (clean, again)]
    return {"kills": done, "same": key[0] == key[1], "captions": len(again),
            "requests": len(server.requests) - before}  # fmt: skip


if __name__ == "__main__":
    main()
