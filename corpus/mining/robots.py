"""What a site allows: robots.txt (RFC 9309) and the X-Robots-Tag header."""

import re
from collections.abc import Iterable

from protego import Protego

from corpus.mining.fetch import AGENT

MAX_BYTES = 512_000  # of a robots.txt; RFC 9309 2.5 asks for 500 KiB at least, the rest is not read
KEPT_SECONDS = 86_400  # RFC 9309 2.4: not longer than 24 hours
MAX_DELAY = 30.0  # seconds; a site that asks for longer pauses is left alone (the limit of Apache Nutch)
# Words that refuse use in training sets or indexes; the first two are those that AI opt-outs agree on.
REFUSING = {"noai", "noimageai", "noindex", "noimageindex", "none"}
_WITH_VALUES = {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
_TOKEN = re.compile(r"[\w.-]+", re.ASCII)
_AGENT_LINE = re.compile(r"^([^\S\n]*user[- ]?agent[^\S\n]*:?)([^\n#]*)", re.IGNORECASE | re.MULTILINE)


class Rules:
    """The rules of one site for us. `refusal` names why nothing is allowed, "" when the file decides."""

    def __init__(self, text: str, refusal: str = ""):
        self.refusal = refusal
        # A file with no rules takes no memory, and there are millions of those.
        self._file = Protego.parse(_for_us(text)) if text.strip() else None

    def allow(self, url: str) -> bool:
        return not self.refusal and (self._file is None or self._file.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """Seconds between requests, 0 when the file does not ask for any."""
        if self._file is None:
            return 0.0
        rate = self._file.request_rate(AGENT)
        per_request = min(rate.seconds, KEPT_SECONDS) / rate.requests if rate else 0.0
        return max(self._file.crawl_delay(AGENT) or 0.0, per_request)


def _for_us(text: str) -> str:
    """Give all other crawlers one name: the time Protego takes grows with names times rules."""

    def renamed(line: re.Match) -> str:
        name = line[2].partition("/")[0].strip().lower().replace("*", "")
        return f"{line[1]} {(name or '*') if name in AGENT.lower() else 'others'}"

    return _AGENT_LINE.sub(renamed, text.replace("\r\n", "\n").replace("\r", "\n"))


def decode(body: bytes) -> str:
    """RFC 9309 2.3: UTF-8. A byte order mark is dropped, what is not UTF-8 is replaced, UTF-16 is read by its mark."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", errors="replace")
    return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")


def opted_out(headers) -> bool:
    """Whether the response's headers refuse: X-Robots-Tag, for everyone or for us, or TDM reservation (W3C TDMRep)."""
    return _refuses(headers.getall("X-Robots-Tag", ())) or headers.get("TDM-Reservation", "").strip() == "1"


def _refuses(values: Iterable[str]) -> bool:
    for value in values:
        # "agent: words" speaks to one crawler; "max-snippet: -1" and "noai, max-snippet: -1" to all.
        agent, colon, rest = (part.strip().lower() for part in value.partition(":"))
        if colon and _TOKEN.fullmatch(agent) and agent not in _WITH_VALUES:
            if agent != AGENT.lower():
                continue
            value = rest
        if not REFUSING.isdisjoint(word.strip().lower() for word in value.split(",")):
            return True
    return False
