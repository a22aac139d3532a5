"""How does serve.py hold up? Tokens per second by clients, and what overload does to it.

    python -m benchmarks.serving [--json] [--engine=auto] [--clients=1,2,4,8] [MODEL]

MODEL: anything serve.py takes (default: the quickstart's run, else its base); engine: its ENGINE. With --clients there
are no others, and no overload. The server is a process of its own, on
127.0.0.1. First 1, 2, 4 and 8 clients, each drawing after drawing for SPEED_SECONDS: tokens per second, time to the
first token, and how many drawings. Then overload: as many clients as 4 times the capacity ask again and again for
OVERLOAD_SECONDS; a client that is turned away comes back after RETRY seconds, not after the Retry-After it was given:
worse than real ones. Before and after, one client alone. Drawings are held to MAX_TOKENS.
"""

import asyncio
import json
import re
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import httpx2
import psutil

from benchmarks.measure import report

SLOTS, WAITING, MAX_TOKENS = 8, 8, 256
SPEED_SECONDS, OVERLOAD_SECONDS, RETRY = 20, 60, 0.5
CLIENTS = (1, 2, 4, 8)
CALM_DRAWINGS = 3  # by one client alone, before and after the overload
TIME_LIMIT = 300  # seconds: a busy machine shall not make the accepted fail


def main() -> None:
    default = "outputs/quickstart" if Path("outputs/quickstart").is_dir() else "models/SmolLM2-135M-Instruct.Q4_1.gguf"
    model = next((a for a in sys.argv[1:] if not a.startswith("-")), default)
    options = dict(a.removeprefix("--").partition("=")[::2] for a in sys.argv[1:] if a.startswith("--"))
    clients = tuple(map(int, options["clients"].split(","))) if "clients" in options else CLIENTS
    report(asyncio.run(measure(model, options.get("engine", "auto"), clients, "clients" not in options)))


async def measure(model: str, engine: str, clients: tuple[int, ...], overloaded: bool) -> dict:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "serve.py", "--model", model, "--engine", engine, "--port", "0", "--slots", str(SLOTS),
        "--max-waiting", str(WAITING), "--max-tokens", str(MAX_TOKENS), "--time-limit", str(TIME_LIMIT),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        while not (line := (await server.stdout.readline()).decode()).startswith("serving on "):
            if not line:
                raise SystemExit("serve.py did not start")
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=line.split()[-1], timeout=TIME_LIMIT + 10, limits=limits) as client:
            await draw(client, 0)  # warm
            figures: dict = {"engine": engine, "speed": [await speed(client, number) for number in clients]}
            if overloaded:
                figures["overload"] = await overload(client, psutil.Process(server.pid))
        start = time.perf_counter()
        server.terminate()
        await asyncio.wait_for(server.wait(), 20)
        figures["seconds_to_end"] = time.perf_counter() - start
        print(f"SIGTERM to end: {figures['seconds_to_end']:.1f} s")
        return figures
    finally:
        if server.returncode is None:
            server.kill()


async def draw(client: httpx2.AsyncClient, seed: int) -> tuple[int, float]:
    """Return (status, seconds)."""
    body = {"description": f"a house with {seed} windows", "temperature": 1.0, "seed": seed}
    start = time.perf_counter()
    response = await client.post("/v1/svg", json=body)
    return response.status_code, time.perf_counter() - start


async def counters(client: httpx2.AsyncClient) -> dict[str, float]:
    text = (await client.get("/metrics")).text
    return {name: float(value) for name, value in re.findall(r"^(\w+) ([\d.e+]+)$", text, re.MULTILINE)}


async def speed(client: httpx2.AsyncClient, clients: int) -> dict:
    end, done = time.perf_counter() + SPEED_SECONDS, []

    async def one(number: int) -> None:
        while time.perf_counter() < end:
            done.append(await draw(client, number * 1000 + len(done)))

    before, start = await counters(client), time.perf_counter()
    await asyncio.gather(*map(one, range(clients)))
    seconds, after = time.perf_counter() - start, await counters(client)
    gained = {name: after[name] - before.get(name, 0) for name in after}
    figures = {
        "clients": clients,
        "tokens_per_second": gained["svg_tokens_total"] / seconds,
        "tokens_per_cpu_second": gained["svg_tokens_total"] / gained["process_cpu_seconds_total"],
        "first_token_seconds": gained["svg_first_token_seconds_sum"] / gained["svg_first_token_seconds_count"],
        "drawings": len(done),
        "mean_seconds": statistics.mean(s for _, s in done),
    }
    print(
        f"{clients} clients: {figures['tokens_per_second']:6.1f} tokens/s, {figures['tokens_per_cpu_second']:6.1f} per "
        f"CPU second, first token after {figures['first_token_seconds']:.2f} s, drawing after "
        f"{figures['mean_seconds']:.1f} s ({len(done)})"
    )
    assert {status for status, _ in done} == {200}
    return figures


async def overload(client: httpx2.AsyncClient, server: psutil.Process) -> dict:
    calm = [(await draw(client, i))[1] for i in range(CALM_DRAWINGS)]
    results: list[tuple[int, float]] = []
    memory: list[int] = []
    end = time.perf_counter() + OVERLOAD_SECONDS

    async def one(number: int) -> None:
        while time.perf_counter() < end:
            results.append(await draw(client, number * 1000 + len(results)))
            if results[-1][0] != 200:
                await asyncio.sleep(RETRY)

    async def watch() -> None:
        while time.perf_counter() < end:
            memory.append(server.memory_info().rss)
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *map(one, range(4 * (SLOTS + WAITING))))
    after = [(await draw(client, i))[1] for i in range(CALM_DRAWINGS)]
    away = sorted(seconds for status, seconds in results if status == 429)
    drawn = sorted(seconds for status, seconds in results if status == 200)
    quarter = len(memory) // 4
    figures = {
        "statuses": Counter(str(status) for status, _ in results),
        "turned_away_ms": {"p50": away[len(away) // 2] * 1e3, "p99": away[len(away) * 99 // 100] * 1e3,
                           "max": away[-1] * 1e3},
        "drawn_p95_seconds": drawn[len(drawn) * 95 // 100] if drawn else None,
        "megabytes": {"first quarter": max(memory[:quarter]) / 1e6, "last quarter": max(memory[-quarter:]) / 1e6},
        "alone_before_seconds": max(calm),
        "alone_after_seconds": max(after),
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    return figures


if __name__ == "__main__":
    main()
