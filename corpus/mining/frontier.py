"""Whose turn it is: URLs in queues by host, and each host ready again only after its delay.

In memory are at most QUEUE jobs of a host; more of them wait in the store. Whoever reads more URLs whenever fewer than
`batch_size` jobs are in memory therefore always has batch_size / QUEUE different hosts to turn to, however slow some
of them are, and memory does not grow with what waits for the slow ones.
"""

import heapq
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import count

from corpus.mining.store import CrawlStore

QUEUE = 8  # jobs of one host in memory
IDLE_HOSTS = 10_000  # without work, remembered for when they may be asked again


@dataclass(slots=True)
class FetchTask:
    """One URL on its way to an answer."""

    id: int  # in the store; 0 for a robots.txt
    url: str
    linked: bool = False
    robots_of: str = ""  # the origin whose robots.txt this is
    hops: int = 0  # redirects followed
    tries: int = 0


@dataclass(slots=True, eq=False)
class Host:
    name: str
    queue: deque[FetchTask]
    delay: float = 0.0  # seconds between the end of a request and the start of the next
    limit: int = 1  # requests at once
    slowed: float = 1.0  # the delay times this, after it complained
    active: int = 0
    ready_at: float = 0.0
    robots: deque[FetchTask] = field(default_factory=deque)  # robots.txt files to be fetched from here; they go first
    awaiting: bool = False  # its own robots.txt; nothing of the queue may go out
    in_line: bool = False
    last_id: int = 0  # of the store, in memory or beyond
    stored: bool = False  # whether the store has more jobs than the queue


class Frontier:
    def __init__(self, store: CrawlStore, delay: float, limit: int):
        self.store, self.delay, self.limit = store, delay, limit
        self.hosts: dict[str, Host] = {}
        self.idle: OrderedDict[str, Host] = OrderedDict()
        # Hosts that were asked before go first when they are due: their connections may still be open.
        self.line: list[tuple[float, int, Host]] = []  # a heap, by time
        self.new: deque[Host] = deque()
        self.order = count()
        self.queued = 0
        self.active = 0

    def host(self, name: str) -> Host:
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = Host(name, deque(), self.delay, self.limit)
        self.idle.pop(name, None)
        return host

    def add(self, name: str, job: FetchTask) -> None:
        """Queue a job that the store knows; jobs of one host come in the order of their ids."""
        host = self.host(name)
        if host.stored or (len(host.queue) >= QUEUE and host.last_id):
            host.stored = True
        else:
            host.last_id = job.id
            self._enqueue(host, job)

    def add_first(self, name: str, job: FetchTask) -> None:
        """Queue a job before all others of the host: a robots.txt, a redirect, another try."""
        host = self.host(name)
        (host.robots if job.robots_of else host.queue).appendleft(job)
        self.queued += 1
        self.line_up(host)

    def take(self, now: float) -> tuple[Host, FetchTask] | None:
        """Return the next job whose host may be asked now, and count it as active."""
        while self.new or (self.line and self.line[0][0] <= now):
            if self.line and self.line[0][0] <= now:
                ready_at, _, host = heapq.heappop(self.line)
            else:
                ready_at, host = 0.0, self.new.popleft()
            host.in_line = False
            if ready_at < host.ready_at or not self._may_go(host):
                self.line_up(host)
                continue
            job = (host.robots or host.queue).popleft()
            self.queued -= 1
            host.active += 1
            self.active += 1
            if not host.queue and host.stored:
                self._from_store(host)
            self.line_up(host)
            return host, job
        return None

    def started(self, host: Host, now: float) -> None:
        """A request goes out: with several at once, they too start a delay apart."""
        host.ready_at = max(host.ready_at, now + host.delay * host.slowed)

    def give_back(self, host: Host) -> None:
        """The active job of a host came to nothing, or ended; no delay follows from it."""
        host.active -= 1
        self.active -= 1
        if host.queue or host.robots:
            self.line_up(host)
        elif not host.active:
            self.idle[host.name] = host
            while len(self.idle) > IDLE_HOSTS:
                del self.hosts[self.idle.popitem(last=False)[0]]

    def ended(self, host: Host, now: float, wait: float = 0.0) -> None:
        """A request is over; the next starts after the delay, or after `wait` seconds if that is longer."""
        host.ready_at = max(host.ready_at, now + max(host.delay * host.slowed, wait))
        self.give_back(host)

    def next_time(self) -> float | None:
        return 0.0 if self.new else self.line[0][0] if self.line else None

    def line_up(self, host: Host) -> None:
        if not host.in_line and self._may_go(host):
            host.in_line = True
            if host.ready_at:
                heapq.heappush(self.line, (host.ready_at, next(self.order), host))
            else:
                self.new.append(host)

    @staticmethod
    def _may_go(host: Host) -> bool:
        return host.active < host.limit and bool(host.robots or (host.queue and not host.awaiting))

    def _enqueue(self, host: Host, job: FetchTask) -> None:
        host.queue.append(job)
        self.queued += 1
        self.line_up(host)

    def _from_store(self, host: Host) -> None:
        rows = self.store.pending_of(host.name, host.last_id, QUEUE)
        host.stored = len(rows) == QUEUE
        for id, url, linked in rows:
            host.last_id = id
            self._enqueue(host, FetchTask(id, url, bool(linked)))
