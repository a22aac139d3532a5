"""Does one client ever harm another? Random requests, clients that leave, a broken row a minute; and schemathesis.

    python -m benchmarks.chaos [--minutes M] [--fuzz-minutes M] [--seed S] [--json]

Starts the server by itself, on 127.0.0.1 and with the tests' tiny model in double precision: so that neighbours change
no digit of an answer, whatever the batch. First every request of a list is answered alone; then CLIENTS ask at once,
for --minutes, at random: a request of that list, whose answer must be the one it has alone; one with random parameters,
whose answer is asked for again, alone, at the end; one that must be refused; one of which the client leaves half way.
Once a minute a request breaks its own row. schemathesis asks beside them, for --fuzz-minutes (none given: as long).

The last line is the sum; the exit code is 1 where an answer was wrong, anything but a broken row's own request got a
500 or a 504, or the server's memory grew by more than GROWTH.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from benchmarks.measure import report
from tests.tiny import make_base, make_tokenizer

CLIENTS, SLOTS, WAITING = 8, 8, 16
KNOWN = 40  # requests whose answers are known beforehand
CHECKED_AGAIN = 60  # of the random ones, at the end
TOKENS = (150, 180)  # of an answer; the tiny model's tokenizer needs at most 140 for a legal one
DESCRIPTIONS = ("a fox", "ein roter Kreis 🦊", "<svg>", "\u202eabc", "Z̷͑a̷l̸g̷o̶", "a" * 300)
BREAK_EVERY = 60.0  # seconds
WAYS = ("mask", "take", "sampler", "scores", "text", "judge", "prompt")
GROWTH = 200e6  # bytes, from the fullest of the first quarter to the fullest of the last
SECONDS = 300  # that a client waits
TEMPERATURES = (0.0, 5e-324, 1e-38, 1e-3, 0.3, 1.0, 2.0)
SEEDS = (0, 1, 2**31 - 1, 2**63 - 1, -(2**63))
STOPS = (None, None, None, "</svg>", ["</reasoning>", "zz"], "a", [" "])
CHAT, SVG = "/v1/chat/completions", "/v1/svg"


@dataclass
class Tally:
    counts: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    random_ones: list[tuple] = field(default_factory=list)  # (route, body, answer)

    def fault(self, words: str) -> None:
        self.faults.append(words)
        print(f"FAULT {words}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--fuzz-minutes", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as the last line")
    c = parser.parse_args()
    fuzz = c.minutes if c.fuzz_minutes is None else c.fuzz_minutes
    with tempfile.TemporaryDirectory() as folder:
        make_base(Path(folder), make_tokenizer())
        figures = asyncio.run(measure(folder, c.minutes * 60, fuzz * 60, random.Random(c.seed)))
    report(figures)
    return 0 if figures["ok"] else 1


async def measure(model: str, seconds: float, fuzz_seconds: float, rng: random.Random) -> dict:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    log = Path(model) / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos_server", "--model", model, "--port", "0", "--slots", str(SLOTS),
             "--max-waiting", str(WAITING), "--max-tokens", str(TOKENS[1]), "--time-limit", str(SECONDS)],
            stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
        )  # fmt: skip
    try:
        while not (line := server.stdout.readline()).startswith("serving on "):
            if not line:
                raise SystemExit(f"the server did not start:\n{log.read_text()}")
        url, tally = line.split()[-1], Tally()
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=url, timeout=SECONDS + 10, limits=limits) as client:
            known = [(*ask, await answer(client, *ask)) for ask in (random_ask(rng) for _ in range(KNOWN))]
            for route, body, said in known:
                if isinstance(said[0], int):
                    tally.fault(f"{route} {short(body)} was answered with {said}")
            print(f"{len(known)} requests answered alone", flush=True)
            start = time.perf_counter()
            fuzzed = asyncio.create_task(schemathesis(url, fuzz_seconds))
            await chaos(client, psutil.Process(server.pid), known, seconds, rng, tally)
            tally.counts["seconds"] = round(time.perf_counter() - start)
            fuzz = await fuzzed
            await check_again(client, tally, rng)
        if server.poll() is not None:
            tally.fault("the server has ended")
        check_log(log.read_text(), tally)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            tally.fault("the server did not end within 20 s")
            server.kill()
    return summary(tally, fuzz)


# --- what is asked ---


def random_ask(rng: random.Random) -> tuple[str, dict]:
    """Return route and body of a request that must be answered, and always alike."""
    temperature, tokens = rng.choice(TEMPERATURES), rng.randint(*TOKENS)
    description = f"{rng.choice(DESCRIPTIONS)} {rng.randrange(10**9)}"
    if rng.random() < 0.5:
        seed = rng.choice((0, 2**31 - 1, rng.randrange(2**31)))
        return SVG, {"description": description, "temperature": temperature, "seed": seed, "max_tokens": tokens}
    seed = rng.choice((*SEEDS, rng.randrange(2**40)))
    earlier = [("user", "a house"), ("assistant", "<reasoning>r</reasoning><svg></svg>" * rng.choice((1, 1, 60)))]
    said = [*(earlier if rng.random() < 0.3 else ()), ("user", description)]
    messages = [{"role": role, "content": text} for role, text in said]
    body = {"messages": messages, "temperature": temperature, "seed": seed, "max_tokens": tokens}
    return CHAT, body | {"n": rng.choice((1, 1, 2, 3)), "stop": rng.choice(STOPS)}


def random_refusal(rng: random.Random) -> tuple[str, dict]:
    """Return route and body of a request that must be refused."""
    user = {"role": "user", "content": "a"}
    long = {"role": "assistant", "content": "word " * 9000}
    body = rng.choice(
        (
            {"temperature": 2.5}, {"temperature": -1e-30}, {"seed": 2**63}, {"n": SLOTS + 1}, {"n": 0}, {"stop": ""},
            {"logprobs": True}, {"tools": [{"type": "function"}]}, {"max_tokens": 1}, {"max_tokens": -1},
            {"messages": []}, {"messages": [user, long, user]}, {"messages": [user, {"role": "assistant"}, long]},
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, {"response_format": {"type": "json"}},
        )
    )  # fmt: skip
    return CHAT, {"messages": [user]} | body


# --- asking ---


async def answer(client: httpx2.AsyncClient, route: str, body: dict, stream: bool = False) -> list:
    """Return what an answer says, in what must not differ from time to time; [status] where it is none."""
    if stream:
        return await streamed(client, route, body)
    response = await client.post(route, json=body)
    if response.status_code != 200:
        return [response.status_code]
    said = response.json()
    if route == SVG:
        return [said["reasoning"], said["svg"]]
    return [choice["message"]["content"] for choice in said["choices"]]


async def streamed(client: httpx2.AsyncClient, route: str, body: dict) -> list:
    texts: dict[int, str] = {}
    async with client.stream("POST", route, json=body | {"stream": True}) as response:
        if response.status_code != 200:
            return [response.status_code]
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            data = json.loads(line[6:])
            if "error" in data:
                return [data["error"]["code"]]
            if "svg" in data:
                return [data["reasoning"], data["svg"]]
            for choice in data.get("choices", ()):
                number = choice["index"]
                texts[number] = texts.get(number, "") + (choice["delta"].get("content") or "")
    return [texts[number] for number in sorted(texts)]


async def leave(client: httpx2.AsyncClient, route: str, body: dict, rng: random.Random) -> None:
    """Ask, and be gone before the end: in the middle of a stream, or without having read a byte."""
    pieces = rng.randrange(30)
    if pieces < 8:
        try:
            await client.post(route, json=body, timeout=rng.random())
        except httpx2.TimeoutException:
            return
    else:
        async with client.stream("POST", route, json=body | {"stream": True}) as response:
            async for _ in response.aiter_lines():
                pieces -= 1
                if not pieces:
                    break


# --- the run ---


async def chaos(client, server: psutil.Process, known: list, seconds: float, rng: random.Random, tally: Tally) -> None:
    end = time.perf_counter() + seconds

    async def one() -> None:
        while time.perf_counter() < end:
            try:
                await ask(client, known, rng, tally)
            except httpx2.HTTPError as error:
                tally.fault(f"no answer: {type(error).__name__} {error}")
                await asyncio.sleep(1)

    async def break_rows() -> None:
        """One a minute; the first one soon."""
        start, number = time.perf_counter() + min(5.0, seconds / 4), 0
        while (at := start + number * BREAK_EVERY) < end:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            way, number = WAYS[number % len(WAYS)], number + 1
            said = [429]
            while said == [429]:
                body = {"description": f"break {way}", "temperature": 1.0, "max_tokens": TOKENS[1]}
                said = await answer(client, SVG, body)
                await asyncio.sleep(0.5 if said == [429] else 0)
            tally.counts["broken"] += 1
            if said != [500]:
                tally.fault(f"a row broken in its {way} was answered with {said}")

    async def watch() -> None:
        while time.perf_counter() < end:
            tally.megabytes.append(server.memory_info().rss / 1e6)
            await asyncio.sleep(1)

    await asyncio.gather(watch(), break_rows(), *(one() for _ in range(CLIENTS)))


async def ask(client: httpx2.AsyncClient, known: list, rng: random.Random, tally: Tally) -> None:
    kind = rng.choices(("known", "random", "refused", "left"), (5, 3, 1, 2))[0]
    if kind == "left":
        await leave(client, *random_ask(rng), rng)
        tally.counts["left"] += 1
        return
    if kind == "refused":
        route, body = random_refusal(rng)
        said = await answer(client, route, body, rng.random() < 0.3)
        if said not in ([400], [422], [429]):
            tally.fault(f"{route} {short(body)} was answered with {short(said)}, not refused")
        tally.counts["refused"] += said != [429]
        return
    route, body, expected = rng.choice(known) if kind == "known" else (*random_ask(rng), None)
    said = await answer(client, route, body, rng.random() < 0.5)
    if said == [429]:
        tally.counts["turned away"] += 1
        return await asyncio.sleep(0.5)
    if isinstance(said[0], int):
        tally.fault(f"{route} {short(body)} was answered with {said}")
    elif kind == "random":
        tally.random_ones.append((route, body, said))
        tally.counts["random"] += 1
    elif said == expected:
        tally.counts["right"] += 1
    else:
        tally.fault(f"{route} {short(body)}: {short(said)} instead of {short(expected)}")


async def check_again(client: httpx2.AsyncClient, tally: Tally, rng: random.Random) -> None:
    """Some of the random requests once more, alone now."""
    for route, body, said in rng.sample(tally.random_ones, min(CHECKED_AGAIN, len(tally.random_ones))):
        alone = await answer(client, route, body)
        tally.counts["right alone"] += alone == said
        if alone != said:
            tally.fault(f"{route} {short(body)}: {short(said)}, and {short(alone)} alone")


async def schemathesis(url: str, seconds: float) -> str:
    """Fuzz from the OpenAPI description for so long; return "" or what it has found."""
    if not seconds:
        return ""
    with tempfile.TemporaryDirectory() as folder:  # for what it leaves where it runs
        child = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")), "fuzz", f"{url}/openapi.json",
            "--max-time", str(max(5, int(seconds))), "--workers", "2", "--continue-on-failure",
            "--suppress-health-check", "all",
            # No schema can say whether a description leaves room and messages are a conversation; and "1" is a number
            # to this server as 1 is.
            "--exclude-checks", "positive_data_acceptance,negative_data_rejection",
            "--request-timeout", str(SECONDS), "--warnings", "off",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
        output = (await child.communicate())[0].decode()
    print(output[-1500:], flush=True)
    return "" if child.returncode == 0 else output


def check_log(log: str, tally: Tally) -> None:
    """Every traceback in the server's log is of a row that was broken on purpose."""
    tracebacks = log.count("Traceback (most recent call last)")
    if tracebacks != tally.counts["broken"]:
        tally.fault(f"{tracebacks} tracebacks in the log for {tally.counts['broken']} broken rows:\n{log[-3000:]}")


def summary(tally: Tally, fuzz: str) -> dict:
    counts, memory = tally.counts, tally.megabytes
    quarter = max(1, len(memory) // 4)
    first, last = max(memory[:quarter]), max(memory[-quarter:])
    if (last - first) * 1e6 > GROWTH:
        tally.fault(f"memory grew from {first:.0f} to {last:.0f} MB")
    if fuzz:
        tally.fault("schemathesis has found something")
    asked = sum(counts[kind] for kind in ("right", "random", "refused", "turned away", "left", "broken"))
    print(
        f"{counts['seconds'] / 60:.0f} min, {CLIENTS} clients and schemathesis: {asked} requests; {counts['right']} "
        f"with the answer they have alone, {counts['random']} with random parameters ({counts['right alone']} of them "
        f"asked for again, alone, with the same answer), {counts['refused']} refused, "
        f"{counts['turned away']} turned away, {counts['left']} left half way, {counts['broken']} rows broken; server "
        f"{first:.0f} → {last:.0f} MB; {len(tally.faults)} faults"
    )
    figures = {"counts": dict(counts), "megabytes": [first, last], "faults": tally.faults[:20]}
    return figures | {"schemathesis": "found something" if fuzz else "found nothing", "ok": not tally.faults}


def short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 400 else f"{text[:300]}…{text[-90:]}"


if __name__ == "__main__":
    sys.exit(main())
