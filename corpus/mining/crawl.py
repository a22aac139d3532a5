"""The crawl: jobs from the frontier, requests, what the answers hold, and all of it into the store."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from time import monotonic, time

from yarl import URL

from corpus.mining import robots
from corpus.mining.extract import MEDIA_TYPES, ExtractedSvgs, Seen, Unreadable, extract
from corpus.mining.fetch import Failed, Fetcher, Response
from corpus.mining.frontier import FetchTask, Frontier, Host
from corpus.mining.store import CrawlStore

MAX_REDIRECTS = 10  # of a page; of a robots.txt 5, as RFC 9309 2.3.1.2 says
MAX_ROBOTS_REDIRECTS = 5
MAX_URL = 2_048  # characters
PORTS = (80, 443)  # below 1024: no talking to mail servers and the like through a link
MAX_WAIT = 300.0  # seconds; a server that asks for a longer one is not tried again
MAX_SLOWED = 32.0  # times the delay, for a host that answers 429 or 503
ROBOTS_MEMORY = 50_000_000  # bytes, estimated, of rules in memory; the others are in the store
UNREACHABLE_KEPT = 3_600  # seconds until a robots.txt that could not be had is tried again
COMMIT_SECONDS = 0.2
COMMIT_RESULTS = 10  # so few that little is asked for again after a kill; a commit takes 0.05 ms
CHUNK = 1_000  # rows read at once
BACKLOG = 20  # batches of URLs that may wait in the store for slow hosts before reading stops


NO_RULES = robots.Rules("")


@dataclass(frozen=True)
class Manners:
    max_bytes: int  # of a page or picture after decompression
    host_concurrency: int
    host_delay: float  # seconds
    retries: int
    retry_wait: float = 1.0  # seconds before the first further try; doubled for each one after it


class Crawl:
    def __init__(
        self,
        store: CrawlStore,
        fetcher: Fetcher,
        manners: Manners,
        concurrency: int,
        batch_size: int,
        on_commit: Callable[["Crawl"], None] = lambda crawl: None,
        on_failure: Callable[[str, str], None] = lambda url, reason: None,
    ):
        self.store, self.fetcher, self.manners = store, fetcher, manners
        self.concurrency, self.batch_size = concurrency, batch_size
        self.on_commit, self.on_failure = on_commit, on_failure
        self.counts = store.counts
        self.frontier = Frontier(store, manners.host_delay, manners.host_concurrency)
        self.rules: OrderedDict[str, tuple[robots.Rules, float, int]] = OrderedDict()  # (rules, until when, bytes)
        self.rules_bytes = 0
        self.seen = Seen()
        self.results = 0  # since the last commit
        self.committed_at = monotonic()
        self.news = asyncio.Event()
        self.wanted = asyncio.Event()
        self.tasks: set[asyncio.Task] = set()
        self.crashed: BaseException | None = None

    # The loop

    async def run(self, source: str, rows: Iterator[str], position: int) -> None:
        """Work on what is pending, then on the rows, which begin at `position` of the source, until nothing is left."""
        self.store.drop_robots(time() - robots.KEPT_SECONDS)
        self.pending = 0
        for id, host, url, linked in self.store.pending():
            self.pending += 1
            self.frontier.add(host, FetchTask(id, url, bool(linked)))
        reader = asyncio.create_task(self.read(source, rows, position))
        reader.add_done_callback(lambda _: self.news.set())
        try:
            while not (reader.done() and not self.pending):
                if reader.done():
                    reader.result()
                self.news.clear()
                self.dispatch()
                if self.crashed:
                    raise self.crashed
                if self.frontier.queued < self.batch_size:
                    self.wanted.set()
                await self.wait()
                if self.results >= COMMIT_RESULTS or monotonic() - self.committed_at >= COMMIT_SECONDS:
                    self.commit()
            reader.result()
        finally:
            for task in (reader, *self.tasks):
                task.cancel()
            await asyncio.gather(reader, *self.tasks, return_exceptions=True)
            self.commit()

    async def wait(self) -> None:
        """Until something ends, a host is ready again, or it is time to commit."""
        seconds = COMMIT_SECONDS
        if self.frontier.active < self.concurrency and (ready := self.frontier.next_time()) is not None:
            seconds = min(seconds, ready - monotonic())
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm = asyncio.get_running_loop().call_later(seconds, self.news.set)
        await self.news.wait()
        alarm.cancel()

    async def read(self, source: str, rows: Iterator[str], position: int) -> None:
        """Put rows into store and frontier as they are worked off. In a thread: a hub can be slow."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while chunk := await loop.run_in_executor(thread, lambda: list(islice(rows, CHUNK))):
                for text in chunk:
                    self.add(text, linked=False)
                position += len(chunk)
                self.store.set_position(source, position)
                self.news.set()
                while self.frontier.queued >= self.batch_size or self.pending >= BACKLOG * self.batch_size:
                    self.wanted.clear()
                    await self.wanted.wait()
                    await asyncio.sleep(COMMIT_SECONDS if self.pending >= BACKLOG * self.batch_size else 0)

    def add(self, text: str, linked: bool) -> None:
        url = as_url(text)
        if url is None:
            if not linked:
                self.count_failure(text, "not a URL", linked)
            return
        id = self.store.add(url.raw_host, str(url), linked)
        if id is not None:
            self.pending += 1
            self.frontier.add(url.raw_host, FetchTask(id, str(url), linked))

    def dispatch(self) -> None:
        now = monotonic()
        while self.frontier.active < self.concurrency and (taken := self.frontier.take(now)):
            host, job = taken
            if not job.robots_of and not self.cleared(host, job):
                self.frontier.give_back(host)
                continue
            self.frontier.started(host, now)
            task = asyncio.create_task(self.work(host, job))
            self.tasks.add(task)
            task.add_done_callback(self.worked)

    def worked(self, task: asyncio.Task) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.crashed = error
        self.news.set()

    def commit(self) -> None:
        now = monotonic()
        self.counts["milliseconds"] += round(1000 * (now - self.committed_at))
        self.counts["requests"] += self.fetcher.requests
        self.fetcher.requests = 0
        self.store.commit()
        self.results, self.committed_at = 0, now
        self.on_commit(self)

    # One job

    def cleared(self, host: Host, job: FetchTask) -> bool:
        """Whether the rules of the site let the job go out; if not, it is ended here, or waits for them."""
        origin = origin_of(job.url)
        rules = self.rules_of(origin)
        if rules is None:
            host.awaiting = True
            self.frontier.add_first(host.name, job)
            self.frontier.add_first(host.name, FetchTask(0, origin + "/robots.txt", robots_of=origin))
            return False
        refusal = rules.refusal
        if not refusal and rules.delay > robots.MAX_DELAY:
            refusal = "crawl-delay too long"
        elif not refusal and not rules.allow(job.url):
            refusal = "robots.txt forbids"
        if refusal:
            self.fail(job, refusal)
            return False
        self.pace(host, rules)
        return True

    def pace(self, host: Host, rules: robots.Rules) -> None:
        if rules.delay:
            host.delay, host.limit = max(self.manners.host_delay, rules.delay), 1

    async def work(self, host: Host, job: FetchTask) -> None:
        wait = 0.0
        try:
            if job.robots_of:
                await self.work_robots(job)
            else:
                await self.work_page(job)
            host.slowed = max(1.0, host.slowed / 2)
        except Failed as failure:
            wait = self.after_failure(host, job, failure)
        finally:
            self.frontier.ended(host, monotonic(), wait)

    async def work_page(self, job: FetchTask) -> None:
        answer = await self.fetcher.get(URL(job.url, encoded=True), self.manners.max_bytes, MEDIA_TYPES)
        if robots.opted_out(answer.headers):
            raise Failed("opted out")
        if self.redirected(job, answer, MAX_REDIRECTS):
            return
        if answer.status != 200:
            raise Failed(f"http {answer.status}")
        try:
            found = extract(answer.body, answer.media_type, answer.charset, job.url, self.seen)
        except Unreadable as reason:
            raise Failed(str(reason)) from None
        except Exception as error:  # a bug of ours or of a library: counted under its name
            raise Failed(f"error: {type(error).__name__}") from None
        self.succeed(job, found)

    async def work_robots(self, job: FetchTask) -> None:
        answer = await self.fetcher.get(URL(job.url, encoded=True), robots.MAX_BYTES, cut=True)
        if self.redirected(job, answer, MAX_ROBOTS_REDIRECTS):
            return
        if answer.status >= 500:
            raise Failed(f"http {answer.status}")
        # 4xx: there are no rules (RFC 9309 2.3.1.3). 429 did not come here: it is an overloaded server, as is 5xx.
        self.learn(job.robots_of, "", answer.body if answer.status == 200 else b"")

    def redirected(self, job: FetchTask, answer: Response, most: int) -> bool:
        """Send the job to where the answer points, into the queue of the host there. Raises Failed."""
        if not answer.location:
            return False
        target = as_url(answer.location, job.url)
        if target is None:
            raise Failed("redirect to no URL")
        if job.hops >= most:
            raise Failed("too many redirects")
        job.url, job.hops = str(target), job.hops + 1
        self.frontier.add_first(target.raw_host, job)
        return True

    def after_failure(self, host: Host, job: FetchTask, failure: Failed) -> float:
        """Try again later or give up; return the seconds for which to leave the host alone."""
        wait = 0.0
        if failure.again:
            wait = max(failure.wait, self.manners.retry_wait * 2**job.tries * random.uniform(0.5, 1.5))
            if failure.reason in ("http 429", "http 503"):
                host.slowed = min(2 * host.slowed, MAX_SLOWED)
            if job.tries < self.manners.retries and wait <= MAX_WAIT:
                job.tries += 1
                self.frontier.add_first(host.name, job)
                return wait
        if job.robots_of:
            # Unreachable, for whatever reason: everything is disallowed (RFC 9309 2.3.1.4).
            self.learn(job.robots_of, f"robots.txt: {failure.reason}", b"")
        else:
            self.fail(job, failure.reason)
        return min(failure.wait, MAX_WAIT)

    def succeed(self, job: FetchTask, found: ExtractedSvgs) -> None:
        self.counts["found"] += len(found.svgs) + found.repeats
        for svg in found.svgs:
            self.counts["kept"] += self.store.keep(svg, job.url)
        for reason, number in found.passed.items():
            self.counts[f"passed over: {reason}"] += number
        for link in () if job.linked else found.links:
            self.add(link, linked=True)
        self.end(job)

    def fail(self, job: FetchTask, reason: str) -> None:
        self.count_failure(job.url, reason, job.linked)
        self.pending -= 1
        self.store.done(job.id)
        self.results += 1

    def end(self, job: FetchTask) -> None:
        self.counts["linked" if job.linked else "pages"] += 1
        self.pending -= 1
        self.store.done(job.id)
        self.results += 1

    def count_failure(self, url: str, reason: str, linked: bool) -> None:
        self.counts["linked" if linked else "pages"] += 1
        self.counts[f"failed: {reason}"] += 1
        self.on_failure(url, reason)

    # Rules

    def rules_of(self, origin: str) -> robots.Rules | None:
        """Return the rules of a site, from memory or from the store; None when they must be asked for."""
        known = self.rules.get(origin)
        if known and known[1] > time():
            self.rules.move_to_end(origin)
            return known[0]
        stored = self.store.robots(origin)
        if stored is None:
            return None
        fetched, refusal, body = stored
        until = fetched + (UNREACHABLE_KEPT if refusal else robots.KEPT_SECONDS)
        if until <= time():
            return None
        rules = robots.Rules(robots.decode(body), refusal)
        self.forget(origin)
        size = 6_000 + 44 * len(body)  # as measured with Protego
        self.rules[origin] = rules, until, size
        self.rules_bytes += size
        while self.rules_bytes > ROBOTS_MEMORY and len(self.rules) > 1:
            self.forget(next(iter(self.rules)))
        return rules

    def learn(self, origin: str, refusal: str, body: bytes) -> None:
        self.forget(origin)
        self.store.keep_robots(origin, time(), refusal, body)
        host = self.frontier.host(URL(origin).raw_host)
        host.awaiting = False
        self.pace(host, self.rules_of(origin) or NO_RULES)
        self.frontier.line_up(host)

    def forget(self, origin: str) -> None:
        if known := self.rules.pop(origin, None):
            self.rules_bytes -= known[2]


def as_url(text: str, base: str = "") -> URL | None:
    """Return the address without its fragment, normalised as it will be requested; None for one not to be asked."""
    try:
        url = URL(text.strip())
        url = (URL(base, encoded=True).join(url) if base else url).with_fragment(None)
        if url.scheme not in ("http", "https") or not url.raw_host or url.user or url.password:
            return None
        if url.port < 1024 and url.port not in PORTS:
            return None
        return url if len(str(url)) <= MAX_URL else None
    except (ValueError, TypeError):  # yarl raises both
        return None


def origin_of(url: str) -> str:
    """scheme://host[:port]"""
    scheme, _, rest = url.partition("://")
    for end, character in enumerate(rest):
        if character in "/?#":
            return f"{scheme}://{rest[:end]}"
    return url
