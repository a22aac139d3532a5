"""How many threads find a core each, beside what other programs compute?

llama.cpp's threads wait for one another hundreds of times a token, and spin. Where another program has one's core, all
wait until the system gives it back: measured with two threads on two busy cores, 0.7 to 1.2 tokens/s where one thread
writes 19.
"""

import time

import psutil

FIRST, INTERVAL = 0.05, 0.5  # seconds that the machine is looked at in the beginning, and then at least


class FreeCores:
    def __init__(self, most: int):
        """most: threads on a machine that has nothing else to do."""
        self.most, self.seen = most, _clocks()
        time.sleep(FIRST)
        self._look()

    def count(self) -> int:
        """Return the threads to take now, 1 to `most`: what others have left since the last look at the machine."""
        if time.perf_counter() - self.seen[0] >= INTERVAL:
            self._look()
        return self.threads

    def _look(self) -> None:
        before, self.seen = self.seen, _clocks()
        seconds, idle, own = (now - then for now, then in zip(self.seen, before, strict=True))
        self.threads = max(1, min(self.most, round((idle + own) / seconds)))


def _clocks() -> tuple[float, float, float]:
    """Return seconds on the clock, those that cores were idle, and those that this process has computed."""
    times = psutil.cpu_times()
    return time.perf_counter(), times.idle + getattr(times, "iowait", 0.0), time.process_time()
