"""Pages of the web → the SVGs in them: inline ones and linked .svg files, each text once.

Reads   DATASET (a data set of URLs on the hub, streamed; or a .txt, .jsonl, .csv or .parquet file), and the web.
Writes  OUTPUT_DIR: shards/<first digits of the MD5>.jsonl with {url, timestamp, svg} in each line; counts.json (errors
        by class); growth.png; journal.sqlite, by which the same command goes on where it stopped, however it stopped.

    python -m corpus.mine --dataset nhagar/fineweb_urls --output-dir mined/ --contact https://example.org/about-us
    python -m corpus.mine --dataset urls.txt --output-dir mined/

Polite: robots.txt (RFC 9309), X-Robots-Tag, a delay between requests to a host, Retry-After; safe: public addresses
only, limits on bytes, redirects and time. The parts are in corpus/mining/, from the request (fetch.py) to the loop
(crawl.py). Several machines share a list by START_OFFSET and LIMIT. Next: python -m corpus.optimize, shard by shard.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, start
from qwen_svg.common.errors import UserError, run

# Input
DATASET: str = "nhagar/fineweb_urls"  # name on the hub, or a file: .txt, .jsonl, .csv (these also with .gz), .parquet
COLUMN: str = "url"  # that holds the URLs; of no meaning for .txt
START_OFFSET: NonNegativeInt = 0  # rows to pass over; a run that goes on begins where it stopped, if that is further
LIMIT: NonNegativeInt = 0  # only the first so many rows after START_OFFSET; 0 = all
# Output
OUTPUT_DIR: str = "data/mined"
# Pace
MAX_CONCURRENCY: PositiveInt = 500  # requests at once, to different hosts
BATCH_SIZE: PositiveInt = 50000  # URLs held in memory
TIMEOUT: PositiveFloat = 1.0  # seconds for one request, all in all; short ones pass over slow sites
RETRIES: NonNegativeInt = 2  # further tries after a time-out, a broken connection or an overloaded server
MAX_KILOBYTES: PositiveInt = 2000  # of a page or picture after decompression; larger ones are passed over
# Manners
CONTACT: str = ""  # web or mail address in the User-Agent, where site owners can reach you
HOST_CONCURRENCY: PositiveInt = 1  # requests at once to one host
HOST_DELAY: NonNegativeFloat = 1.0  # seconds between requests to one host; robots.txt can ask for more
# Terminal
DEBUG: bool = False  # print every URL that failed, and why


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what cannot be mined, or written to, before anything heavy is imported."""
    if not c.DATASET:
        raise UserError("DATASET is empty; name a data set on the hub or a file of URLs with `--dataset`.")
    if not (c.CONTACT.isascii() and c.CONTACT.isprintable()):
        raise UserError("CONTACT must be plain ASCII: it goes into a header.")
    if Path(c.OUTPUT_DIR).is_file():
        raise UserError(f"OUTPUT_DIR {c.OUTPUT_DIR} is a file; give a folder.")


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from time import monotonic

from tqdm import tqdm

from corpus.mining.crawl import Crawl, Manners
from corpus.mining.fetch import Fetcher
from corpus.mining.plot import draw_growth
from corpus.mining.store import CrawlStore
from corpus.mining.urls import read_urls


def main(c: SimpleNamespace) -> None:
    if not c.CONTACT:
        print("note: CONTACT is empty; with `--contact ADDRESS` site owners can reach you before they block you.")
    mine(c)


def mine(c: SimpleNamespace, **client) -> None:
    """Mine as the constants say. `client` goes to the Fetcher: what tests need for servers on 127.0.0.1."""
    source = f"{c.DATASET}:{c.COLUMN}"
    store = CrawlStore(Path(c.OUTPUT_DIR))
    try:
        position = max(c.START_OFFSET, store.position(source))
        if position > c.START_OFFSET:
            print(f"going on at row {position} of {c.DATASET}; URLs that were in flight come first")
        rows = read_urls(c.DATASET, c.COLUMN, position)
        if c.LIMIT:
            rows = islice(rows, max(0, c.START_OFFSET + c.LIMIT - position))
        try:
            asyncio.run(crawl(c, store, source, rows, position, client))
        finally:
            store.note_growth()
            report(store, Path(c.OUTPUT_DIR))
    finally:
        store.close()


def allow_many_files() -> None:
    """As many at once as the system lets a process have; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):  # macOS says "no limit", and takes no such number
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def crawl(c: SimpleNamespace, store, source: str, rows: Iterator[str], position: int, client: dict) -> None:
    allow_many_files()  # one for every connection, idle ones too
    gc.freeze()  # what is imported stays; the collector need not look at it again
    manners = Manners(1000 * c.MAX_KILOBYTES, c.HOST_CONCURRENCY, c.HOST_DELAY, c.RETRIES)
    fetcher = Fetcher(c.TIMEOUT, c.MAX_CONCURRENCY, c.CONTACT, **client)
    with tqdm(desc="mining", unit=" pages", initial=store.counts["pages"], disable=None) as bar:
        progress = Progress(bar, store.counts["found"])
        debug = (lambda url, reason: tqdm.write(f"{reason}: {url}")) if c.DEBUG else (lambda url, reason: None)
        try:
            await Crawl(store, fetcher, manners, c.MAX_CONCURRENCY, c.BATCH_SIZE, progress, debug).run(
                source, rows, position
            )
        finally:
            progress.show(store.counts)
            await fetcher.close()


class Progress:
    """pages/s from the bar itself; SVGs/s and the commonest errors behind it."""

    def __init__(self, bar, found: int):
        self.bar, self.found_before, self.start, self.shown = bar, found, monotonic(), 0.0

    def __call__(self, crawl) -> None:
        if not self.bar.disable and monotonic() - self.shown >= 0.5:
            self.show(crawl.counts)

    def show(self, counts: Counter[str]) -> None:
        self.shown = monotonic()
        rate = (counts["found"] - self.found_before) / (self.shown - self.start)
        errors = sorted(((n, name[8:]) for name, n in counts.items() if name.startswith("failed: ")), reverse=True)
        shown = ", ".join(f"{name} {n}" for n, name in errors[:3])
        self.bar.set_postfix_str(f"{rate:.1f} SVGs/s, {counts['kept']} kept; {shown}", refresh=False)
        self.bar.update(counts["pages"] - self.bar.n)


def report(store, folder: Path) -> None:
    """Write counts.json and growth.png, and say the main figures."""
    counts = {"failed": {}, "passed over": {}}
    for name, value in store.counts.most_common():
        kind, colon, reason = name.partition(": ")
        if colon and value:
            counts[kind][reason] = value
        elif not colon:
            counts[name] = value
    points = [point for point in store.growth() if point[1] and point[3]]
    if points:
        counts["growth"] = draw_growth(points, folder / "growth.png")
    (folder / "counts.json").write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    c = store.counts
    print(f"{folder}: {c['pages']} pages, {c['linked']} linked files, {c['found']} SVGs found, {c['kept']} kept")
    for reason, count in list(counts["failed"].items())[:8]:
        print(f"  {count:>7}  {reason}")


if __name__ == "__main__":
    run(main, c)
