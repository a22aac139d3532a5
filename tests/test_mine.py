"""Mining: every SVG is kept once, sites are treated as they ask, and nothing private is touched."""

import asyncio
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from aiohttp import ThreadedResolver
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from corpus import mine
from corpus.mining import addresses, robots
from corpus.mining.crawl import as_url
from corpus.mining.fetch import AGENT, Failed, Fetcher, _retry_after
from corpus.mining.plot import draw_growth, heaps
from corpus.mining.store import CrawlStore
from corpus.mining.urls import read_urls
from qwen_svg.common.errors import UserError, disk_full
from tests.paths import ROOT
from tests.web import FAST, Local, Web, constants, http, mine_locally

SVG = '<svg viewBox="0 0 9 9"><path d="M0 0h{}v9z"/></svg>'


def drawn(number: int) -> str:
    return SVG.format(number)


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for path in sorted((folder / "shards").iterdir()) for line in path.open(encoding="utf-8")]


def counts(folder: Path) -> dict:
    return json.loads((folder / "counts.json").read_text())


def list_of(tmp_path: Path, urls: list[str]) -> str:
    (tmp_path / "urls.txt").write_text("".join(url + "\n" for url in urls))
    return str(tmp_path / "urls.txt")


def mined(tmp_path: Path, urls: list[str], *more: str, **client) -> tuple[list[dict], dict]:
    arguments = ["--dataset", list_of(tmp_path, urls), "--output-dir", str(tmp_path / "out")]
    mine_locally(*arguments, *FAST, *more, **client)
    return records(tmp_path / "out"), counts(tmp_path / "out")


# Addresses


PRIVATE = """127.0.0.1 127.8.8.8
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 169.254.169.254 172.16.0.1 172.31.9.9
192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 ::1 :: ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 fe80::1 fe80::1%eth0 fc00::1 fd12:3456::1 ff02::1
2001:db8::1 2001::1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b:1::a00:1 100::1 fec0::1""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address):
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:2800:220:1::1"])
def test_public_addresses(address):
    assert addresses.is_public(address)


@pytest.fixture
def sockets(monkeypatch) -> list[str]:
    """The families of the sockets made for requests, in order."""
    made = []

    class Spy:
        def __getattr__(self, name):
            return getattr(__import__("socket"), name)

        def socket(self, *kind):
            made.append(kind)
            return __import__("socket").socket(*kind)

    monkeypatch.setattr(addresses, "socket", Spy())
    return made


def test_no_connection_to_private_addresses_by_literal_or_name(tmp_path, sockets):
    """As the script runs, but for what names resolve to; the system's resolver reads the odd literals."""

    class System(Local):
        async def resolve(self, host, port=0, family=0):
            if host in self.addresses:
                return await super().resolve(host, port, family)
            return await ThreadedResolver().resolve(host, port, family)

    with Web(lambda host, path: http(drawn(1))) as web:
        names = {f"name{i}.test": [address] for i, address in enumerate(PRIVATE)}
        literals = [f"[{a}]" if ":" in a else a for a in PRIVATE if "%" not in a and a != "::"]
        odd = ["2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0x7f.1", "127.1", "①②⑦.⓪.⓪.①", "localhost"]
        urls = [f"http://{host}:{web.port}/{i}" for i, host in enumerate([*literals, *odd, *names])]
        kept, told = mined(tmp_path, urls, allowed=addresses.is_public, resolver=System(names))
    assert web.connections == 0 and sockets == [] and kept == []
    assert told["pages"] == len(urls) and told["failed"]["robots.txt: address refused"] >= len(literals) + len(names)


def test_no_connection_by_redirect_link_or_port(tmp_path, sockets):
    targets = [f"http://[{a}]/" if ":" in a else f"http://{a}/" for a in PRIVATE if "%" not in a and a != "127.0.0.1"]
    no_urls = [
        "file:///etc/passwd",
        "ftp://a.org/",
        "http://me:word@site.test/",
        "http://site.test:25/",
        "//[",
        "x://x",
    ]
    targets += no_urls

    def answer(host, path):
        if path.startswith("/to"):
            return http(status=302, Location=targets[int(path[3:])])
        if path == "/links":
            return http("".join(f"<img src='{target.rstrip('/')}/a.svg'>" for target in targets[:20]))
        return http(status=404)

    with Web(answer) as web:
        urls = [web.url(f"/to{i}") for i in range(len(targets))] + [web.url("/links")]
        kept, told = mined(tmp_path, urls)
        asked = [path for path in web.paths() if path != "/robots.txt"]
    assert len(asked) == len(urls) and kept == [] and len(sockets) == web.connections
    assert told["failed"]["redirect to no URL"] == len(no_urls)
    assert told["failed"]["robots.txt: address refused"] == len(targets) - len(no_urls) + 20


def test_a_name_that_changes_its_address_is_checked_when_it_is_connected(sockets):
    """Rebinding: the first answer may be reached, the second may not; what was checked is what is connected to."""

    class Rebinding(Local):
        async def resolve(self, host, port=0, family=0):
            self.addresses[host] = ["10.0.0.1"] if host in self.addresses else ["127.0.0.1"]
            return await super().resolve(host, port, family)

    async def ask(web) -> None:
        fetcher = Fetcher(5, 9, allowed=lambda address: address == "127.0.0.1", resolver=Rebinding())
        assert (await fetcher.get(as_url(web.url("/1")), 1000)).body == b"1"
        fetcher.session.connector.clear_dns_cache()
        with pytest.raises(Failed, match="address refused"):
            await fetcher.get(as_url(web.url("/2")), 1000)
        await fetcher.close()

    with Web(lambda host, path: http(path[1:], Connection="close")) as web:
        asyncio.run(ask(web))
    assert web.paths() == ["/1"] and len(sockets) == 1


# Answers made to harm


def bomb(size: int) -> bytes:
    return gzip.compress(b"<svg>" + b" " * size)


async def endless(writer) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def drip(writer) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def drip_header(writer) -> None:
    writer.write(b"HTTP/1.1 200 X\r\nA: ")
    while True:
        writer.write(b"b")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hang_up(writer) -> None:
    writer.write(http("x" * 50, Content_Length="100"))


HARMFUL = {
    "/gzip": (http(bomb(20_000_000), Content_Encoding="gzip"), "too large"),
    "/deflate": (http(zlib.compress(b" " * 20_000_000), Content_Encoding="deflate"), "too large"),
    "/brotli": (http(b"\x5b\xff\xff\x03" * 5000, Content_Encoding="br"), "encoding not asked for"),
    "/zstd": (http(b"\x28\xb5\x2f\xfd" * 5000, Content_Encoding="zstd"), "encoding not asked for"),
    "/twice": (http(gzip.compress(bomb(9)), Content_Encoding="gzip, gzip"), "encoding not asked for"),
    "/broken": (http(b"no gzip", Content_Encoding="gzip"), "broken encoding"),
    "/large": (http(b"", Content_Length="3000000000"), "too large"),
    "/endless": (endless, "too large"),
    "/drip": (drip, "time-out"),
    "/drip-header": (drip_header, "time-out"),
    "/short": (http("x", Content_Length="100"), "time-out"),
    "/hang-up": (hang_up, "cut short"),
    "/loop": (http(status=302, Location="/loop?"), "too many redirects"),
    "/binary": (http(b"x", Content_Type="image/png"), "not a page"),
    "/nonsense": (b"nonsense\r\n\r\n", "not HTTP"),
    "/headers": (http(**{f"H{i}": "x" * 9000 for i in range(50)}, Big="x" * 99_999), "not HTTP"),
    "/missing": (http(status=404), "http 404"),
    "/broken.svg": (http("<svg><path></svg>", Content_Type="image/svg+xml"), "SVG not well-formed"),
}


def memory(line: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    (found,) = (text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith(line))
    return 1024 * int(found.split()[1])


def test_harmful_answers_end_at_the_limits_and_the_run_goes_on(tmp_path):
    def answer(host, path):
        if path == "/robots.txt":
            return http(status=404)
        return HARMFUL[path.partition("?")[0]][0] if not path.startswith("/good") else http(drawn(int(path[5:])))

    with Web(answer) as web:
        urls = [web.url(f"/good{i}", f"g{i}.test") for i in range(50)]
        urls[1:1] = [web.url(path, f"h{i}.test") for i, path in enumerate(HARMFUL)]
        mined(tmp_path, urls[:1])  # what the first run imports is not counted below
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        before = memory("VmRSS")
        kept, told = mined(tmp_path, urls, "--timeout", "1")
        grown = memory("VmHWM") - before
    assert len(kept) == 50
    assert told["failed"] == dict(Counter(reason for _, reason in HARMFUL.values()))
    assert sum(path.startswith("/loop") for path in web.paths()) == 11
    assert grown <= 2_000_000 + 50_000_000


# Manners


ROBOTS = f"""User-agent: *|User-Agent: {AGENT}|useragent: x|Disallow: /|Disallow: /a*b$|Allow: /%zz|Crawl-delay: -1
Crawl-delay: nan|Crawl-delay: 1e999|Request-rate: 1/0|Request-rate: 1/5s 9-8|Request-rate: 99999999999999999999999/1
Request-rate: 1/{"9" * 400}|Visit-time: x|Host:|Sitemap|:|#|\x00|Disallow|\ufeff""".replace("\n", "|").split("|")


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(ROBOTS) | st.text(max_size=20),
        max_size=12,
    ).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_any_robots_file_can_be_read(body, end):
    body = body.replace(b"\n", end)
    for variant in (body, b"\xff\xfe" + body, b"\xef\xbb\xbf" + body, body.decode("latin-1").encode("utf-16")):
        rules = robots.Rules(robots.decode(variant))
        assert rules.allow("https://a.org/a%20b?c") in (True, False) and rules.delay >= 0


@pytest.mark.parametrize(
    ("text", "allowed", "delay"),
    [
        ("User-agent: *\nDisallow: /x", False, 0),
        ("User-agent: *\nDisallow: /x\nAllow: /x/y", True, 0),
        (f"User-agent: *\nDisallow: /\nUser-agent: {AGENT.upper()}/2.0\nDisallow: /z\nCrawl-delay: 2", True, 2),
        (f"User-agent: googlebot\nUser-agent: {AGENT}\nDisallow: /\nUser-agent: other\nAllow: /", False, 0),
        ("User-agent: googlebot\nDisallow: /\nCrawl-delay: 9", True, 0),
        ("User-agent: QwenSVG-minerals\nDisallow: /", True, 0),
        ("User-agent: *\rDisallow: /x/\rRequest-rate: 1/5", False, 5),
        ("", True, 0),
    ],
)
def test_whom_a_robots_file_speaks_to(text, allowed, delay):
    rules = robots.Rules(text)
    assert (rules.allow("https://a.org/x/y"), rules.delay) == (allowed, delay)


def test_a_robots_file_of_many_names_and_rules_is_read_in_time():
    """Half a megabyte, made so that names times rules is large."""
    text = "".join(f"User-agent: b{i}\n" for i in range(12_000)) + "Disallow: /\n" * 25_000
    start = time.process_time()
    assert robots.Rules(text[: robots.MAX_BYTES]).allow("https://a.org/")
    assert time.process_time() - start < 3


def test_statuses_of_robots_files(tmp_path):
    """RFC 9309: 4xx, no rules; 5xx, 429 and no answer, nothing is fetched; the last 500 KiB of a long one count too."""
    long = f"# {'x' * 505_000}\nUser-agent: *\nDisallow: /page"
    files = {
        "s200": http("User-agent: *\nDisallow: /page"),
        "s404": http(status=404),
        "s403": http(status=403),
        "s410": http(status=410),
        "s500": http(status=500),
        "s503": http(status=503),
        "s429": http(status=429),
        "hang": drip,
        "gone": hang_up,
        "long": http(long),
        "huge": http(long + "#" * 5_000_000),
        "hops": http(status=301, Location="http://s200.test:{port}/robots.txt"),
        "loop": http(status=301, Location="/robots.txt"),
    }

    def answer(host, path):
        name = host.removesuffix(".test")
        if path == "/robots.txt":
            file = files[name]
            return file.replace(b"{port}", str(web.port).encode()) if isinstance(file, bytes) else file
        return http(drawn(1))

    with Web(answer) as web:
        urls = [web.url("/page", f"{name}.test") for name in files] + [web.url("/other", f"{n}.test") for n in files]
        _, told = mined(tmp_path, urls, "--timeout", "1")
        fetched = Counter(host.removesuffix(".test") for _, host, path in web.log if path != "/robots.txt")
    assert fetched == {"s404": 2, "s403": 2, "s410": 2, "s200": 1, "long": 1, "huge": 1, "hops": 1}
    assert told["failed"]["robots.txt forbids"] == 4 and told["failed"]["robots.txt: too many redirects"] == 2


def test_robots_files_are_kept_over_runs_but_no_longer_than_a_day(tmp_path):
    with Web(lambda host, path: http("" if path == "/robots.txt" else drawn(1))) as web:
        store = CrawlStore(tmp_path / "out")
        for host, seconds in (("young.test", 86_000), ("old.test", 86_500)):
            origin = web.url("", host)
            store.keep_robots(origin, time.time() - seconds, "", b"User-agent: *\nDisallow: /")
        store.close()
        _, told = mined(tmp_path, [web.url("/", "young.test"), web.url("/", "old.test")])
    assert [(host, path) for _, host, path in web.log] == [("old.test", "/robots.txt"), ("old.test", "/")]
    assert told["failed"] == {"robots.txt forbids": 1}


def test_opting_out(tmp_path):
    said = ["noai", "noimageai, x", "NoIndex", f"{AGENT}: noai", "max-snippet: -1, noai"]  # these refuse
    said += ["googlebot: noai", "all", "max-snippet: -1", "unavailable_after: 25 Jun 2010 15:00:00 PST"]

    def answer(host, path):
        if path == "/robots.txt":
            return http(status=404)
        if path == "/tdm":
            return http(drawn(1), TDM_Reservation="1")
        if path == "/meta":
            return http("<meta name=ROBOTS content='index, noai'>" + drawn(1))
        return http(drawn(int(path[1:])), X_Robots_Tag=said[int(path[1:])])

    with Web(answer) as web:
        kept, told = mined(tmp_path, [web.url(f"/{i}") for i in range(9)] + [web.url("/tdm"), web.url("/meta")])
    assert {record["url"][-1] for record in kept} == {"5", "6", "7", "8"} and told["failed"] == {"opted out": 7}


def test_delays_and_requests_at_once_are_kept(tmp_path):
    async def slow(writer) -> None:
        await asyncio.sleep(0.02)
        writer.write(http(drawn(1), Connection="close"))
        await writer.drain()

    def answer(host, path):
        if path == "/robots.txt":
            return http("User-agent: *\nCrawl-delay: 0.4") if host == "asks.test" else http(status=404)
        return slow

    with Web(answer) as web:
        urls = [web.url(f"/{i}", "asks.test") for i in range(5)] + [web.url(f"/{i}", "busy.test") for i in range(60)]
        urls += [web.url(f"/{i}", f"h{i}.test") for i in range(40)]
        mined(tmp_path, urls, "--host-concurrency", "3")
        asked = [at for at, host, path in web.log if host == "asks.test"]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert len(pauses) == 5 and min(pauses) >= 0.4 * 0.9 and sorted(pauses)[2] <= 0.42 * 1.1 + 0.05
    assert web.most_at_once["busy.test"] == 3 and web.most_at_once["asks.test"] == 1


def test_a_server_that_is_overloaded_is_left_alone_and_asked_again(tmp_path):
    def answer(host, path):
        if path == "/robots.txt":
            return http(status=404)
        times = web.paths().count(path)
        if path == "/never":
            return http(status=503)
        if path == "/far":
            return http(status=429, Retry_After="99999")
        return http(drawn(1)) if times > 1 else http(status=429, Retry_After="1")

    with Web(answer) as web:
        urls = [web.url("/soon", "a.test"), web.url("/never", "b.test"), web.url("/far", "c.test")]
        kept, told = mined(tmp_path, urls, "--retries", "1")
        first, second = (at for at, _, path in web.log if path == "/soon")
    assert second - first >= 1 and len(kept) == 1
    assert told["failed"] == {"http 503": 1, "http 429": 1} and web.paths().count("/never") == 2
    assert web.paths().count("/far") == 1
    far = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    assert 90 < _retry_after({"Retry-After": far}) <= 100
    assert [_retry_after({"Retry-After": text}) for text in ("-5", "x", "", "１２")] == [0, 0, 0, 0]


def test_who_asks_is_said():
    assert asyncio.run(headers_of("https://me.example"))["User-Agent"] == f"{AGENT}/1.0 (+https://me.example)"


async def headers_of(contact: str) -> dict:
    fetcher = Fetcher(1, 1, contact)
    headers = dict(fetcher.session.headers)
    await fetcher.close()
    return headers


# The list, the store, the script


def test_lists_of_every_kind_from_any_row(tmp_path):
    urls = [f"http://a.org/{i}" for i in range(10)]
    lines = "".join(f"{url}\n" for url in urls)
    objects = "".join(json.dumps({"link": url, "n": 1}) + "\n" for url in urls)
    table = "n,link\n" + "".join(f'1,"{url}"\n' for url in urls)
    for name, text in (("u.txt", lines), ("u.jsonl", objects), ("u.csv", table)):
        (tmp_path / name).write_text(text)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "hub").mkdir()
    for name in ("u.parquet", "hub/train.parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"link": urls, "n": [1] * 10}), tmp_path / name, row_group_size=3)
    for name in ("u.txt", "u.txt.gz", "u.jsonl", "u.jsonl.gz", "u.csv", "u.csv.gz", "u.parquet", "hub"):
        for skip in (0, 4, 10):
            assert list(read_urls(str(tmp_path / name), "link", skip)) == urls[skip:], name


def test_what_a_user_can_get_wrong_is_named(tmp_path, monkeypatch):
    (tmp_path / "u.jsonl").write_text('{"uri": 1}\n{"uri": 2}\n')
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    (tmp_path / "u.parquet").write_text("no")
    (tmp_path / "u.txt.gz").write_text("no")
    (tmp_path / "u.doc").write_text("no")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal.sqlite").write_text("no journal, but something of the user's " * 99)
    for name, said in {
        "u.jsonl": "no column 'url', but uri",
        "u.csv": "no column 'url', but a, b",
        "u.parquet": "no Parquet file",
        "u.txt.gz": "cannot be read",
        "u.doc": "none of .jsonl",
        "no.txt": "No such file",
        "no.csv": "there is no file",
    }.items():
        with pytest.raises(UserError, match=said):
            mine_locally("--dataset", str(tmp_path / name), "--output-dir", str(tmp_path / name[2:]), *FAST)
    with pytest.raises(UserError, match="not a journal"):
        CrawlStore(tmp_path / "out")
    assert "something of the user's" in (tmp_path / "out" / "journal.sqlite").read_text()
    for wrong in ("--timeout=0", "--timeout=nan", "--batch-size=0", "--contact=жук", "--dataset=", "--host-delay=-1"):
        with pytest.raises(UserError):
            mine.check_constants(constants(wrong))
    with pytest.raises(UserError, match="out cannot be read"):
        list(read_urls(str(tmp_path / "out"), "url", 0))  # a folder without data
    held = CrawlStore(tmp_path / "held")
    with pytest.raises(UserError, match="another run"):
        CrawlStore(tmp_path / "held")
    held.close()


def test_each_text_is_kept_once_in_its_shard_with_its_address(tmp_path):
    def answer(host, path):
        if path.endswith(".svg"):
            svg = f'<svg xmlns="http://www.w3.org/2000/svg"><path d="M{path[2:-4]} 1"/></svg>'
            return http(svg, Content_Type="image/svg+xml")
        linked = "<img src=/p7.svg><img src=/p8.svg>"
        return http(status=404) if path == "/robots.txt" else http(drawn(int(path[1:]) % 5) + drawn(99) + linked)

    with Web(answer) as web:
        urls = [web.url(f"/{i}") for i in range(20)] + ["", "not a url", "ftp://a.org/", "http://a.org:99999/"]
        kept, told = mined(tmp_path, urls)
        again, _ = mined(tmp_path, urls)  # a run that is complete does nothing
        asked = Counter(web.paths())
    assert len(kept) == 8 and again == kept and set(asked.values()) == {1}
    assert (told["pages"], told["linked"], told["found"], told["kept"]) == (24, 2, 42, 8)
    assert told["failed"] == {"not a URL": 4} and (tmp_path / "out" / "growth.png").stat().st_size > 10_000
    for path in (tmp_path / "out" / "shards").iterdir():
        for record in map(json.loads, path.open()):
            assert list(record) == ["url", "timestamp", "svg"] and etree.fromstring(record["svg"]) is not None
            assert hashlib.md5(record["svg"].encode()).hexdigest()[:2] == path.stem
    assert web.url("/p7.svg") in {record["url"] for record in kept}


def test_offset_and_limit_share_a_list(tmp_path):
    with Web(lambda host, path: http(drawn(int(path[1:])) if path != "/robots.txt" else "", 200)) as web:
        urls = [web.url(f"/{i}") for i in range(30)]
        for offset in (0, 10, 20):
            folder = tmp_path / str(offset)
            part = (f"--start-offset={offset}", "--limit=10", "--output-dir", str(folder))
            mine_locally("--dataset", list_of(tmp_path, urls), *part, *FAST)
            found = {int(record["url"].rpartition("/")[2]) for record in records(folder)}
            assert found == set(range(offset, offset + 10))


def test_more_urls_of_one_host_than_memory_may_hold(tmp_path):
    """Those wait in the store, in order, and other hosts are not kept waiting for them."""
    with Web(lambda host, path: http(drawn(int(path[1:])) if path != "/robots.txt" else "")) as web:
        urls = [web.url(f"/{i}", "big.test") for i in range(300)] + [web.url("/999", "small.test")]
        kept, told = mined(tmp_path, urls, "--batch-size", "20")
        order = [int(path[1:]) for _, host, path in web.log if host == "big.test" and path != "/robots.txt"]
    assert len(kept) == 301 and told["failed"] == {} and order == sorted(order)
    assert [host for _, host, _ in web.log].index("small.test") < 200


def test_killed_at_any_moment_nothing_is_lost_or_stored_twice(tmp_path):
    """kill -9 six times; benchmarks.mining does it twenty times on a longer run."""
    with Web(lambda host, path: kill_site(path)) as web:
        urls = [web.url(f"/{i}", f"h{i % 20}.test") for i in range(1500)]
        clean, _ = mined(tmp_path, urls)
        requests = len(web.log)
        web.log.clear()
        command = [sys.executable, "-m", "tests.web", "--dataset", str(tmp_path / "urls.txt"), *FAST]
        command += ["--output-dir", str(tmp_path / "killed"), "--max-concurrency", "4"]
        r = random.Random(0)
        for _ in range(6):
            seen, more = len(web.log), r.randint(20, 300)
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while len(web.log) < seen + more and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    kept = records(tmp_path / "killed")
    assert sorted(record["svg"] for record in kept) == sorted(record["svg"] for record in clean)
    assert counts(tmp_path / "killed")["pages"] == 1500 and not counts(tmp_path / "killed")["failed"]
    # A kill costs what is in flight (4 requests) and what waits for its commit (10 results, and a few).
    assert len(web.log) <= requests + 6 * 25


def kill_site(path: str) -> bytes:
    if path == "/robots.txt":
        return http("User-agent: *\nDisallow: /none")
    if path.endswith(".svg"):
        return http(f'<svg xmlns="http://www.w3.org/2000/svg"><path d="M{path[5:-4]} 0h1v1"/></svg>', Content_Type="")
    number = int(path[1:])
    return http(drawn(number // 2) + drawn(number) + (f"<img src=/logo{number % 50}.svg>" if number % 10 == 0 else ""))


def test_a_half_written_record_is_cut_away(tmp_path):
    store = CrawlStore(tmp_path)
    assert store.keep("<svg>1</svg>", "http://a.test/") and not store.keep("<svg>1</svg>", "http://b.test/")
    store.close()
    (shard,) = (tmp_path / "shards").iterdir()
    whole = shard.read_bytes()
    for torn in (b'{"url": "http', b'{"url": "x", "timestamp": "", "svg": ""}\n{"u'):
        with shard.open("ab") as file:
            file.write(torn)
        (tmp_path / "shards" / "zz.jsonl").write_bytes(torn)
        store = CrawlStore(tmp_path)
        assert store.keep("<svg>1</svg>", "http://c.test/") is False
        store.close()
        assert shard.read_bytes() == whole and (tmp_path / "shards" / "zz.jsonl").read_bytes() == b""
    shard.rename(tmp_path / "moved.jsonl")  # a user may take shards away; the text is still known
    store = CrawlStore(tmp_path)
    assert store.keep("<svg>1</svg>", "http://d.test/") is False
    store.close()


def test_a_full_disk_costs_nothing_but_the_time(tmp_path, monkeypatch):
    """The disk is full at one commit and has room again at the next: nothing of the failed one may be recorded."""
    with Web(lambda host, path: http("" if path == "/robots.txt" else drawn(int(path[1:])))) as web:
        urls = [web.url(f"/{i}", f"h{i % 9}.test") for i in range(200)]
        original, calls = CrawlStore.commit, []

        class Full:
            def __init__(self, file):
                self.file = file

            def flush(self):
                self.file.flush()
                raise OSError(28, "No space left on device")

            def __getattr__(self, name):
                return getattr(self.file, name)

        def commit(store):
            calls.append(len(store._lines))
            if len(calls) == 9:
                for name, file in store._files.items():
                    store._files[name] = Full(file)
            original(store)

        monkeypatch.setattr(CrawlStore, "commit", commit)
        with pytest.raises(OSError) as failure:
            mined(tmp_path, urls)
        monkeypatch.undo()
        assert disk_full(failure.value) and len(calls) > 9
        kept, told = mined(tmp_path, urls)
    assert len(kept) == len({record["svg"] for record in kept}) == told["pages"] == 200


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path):
    with Web(lambda host, path: http("" if path == "/robots.txt" else drawn(int(path[1:])))) as web:
        list_of(tmp_path, [web.url(f"/{i}", f"h{i % 20}.test") for i in range(3000)])
        command = [sys.executable, "-m", "tests.web", "--dataset", str(tmp_path / "urls.txt"), *FAST]
        command += ["--output-dir", str(tmp_path / "out")]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(web.log) < 200 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        pages = counts(tmp_path / "out")["pages"]
        assert process.returncode and "KeyboardInterrupt" in errors and 0 < pages < 3000
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert len(records(tmp_path / "out")) == 3000


def test_the_growth_curve_is_fitted_and_drawn(tmp_path):
    found = np.geomspace(10, 1e6, 200)
    k, beta = heaps(found, 3 * found**0.7)
    assert (k, beta) == (pytest.approx(3), pytest.approx(0.7))
    figures = draw_growth([(1, 5, 5, 0.1)], tmp_path / "g.png")
    assert figures["heaps_beta"] <= 1 and (tmp_path / "g.png").exists() and os.path.getsize(tmp_path / "g.png")
