"""A web of synthetic pages on 127.0.0.1 for benchmarks.mining, in a process of its own.

    python -m benchmarks.mining_site PORT PAGE_KILOBYTES

/p/N is a page: text in ordinary markup, and in three of four pages up to eight inline SVGs. Which ones follows Zipf's
law, as icons on the web do: a few are everywhere, most on one page. One page in ten links to an .svg file. /requests
is how many requests there were. It ends when its standard input does.
"""

import asyncio
import random
import sys

WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they".split()
)


ZIPF = 0.3  # exponent of the tail


def drawing(number: int) -> str:
    r = random.Random(number)
    points = [
        f"{r.choice('MLlCcHhVv')}{r.randint(0, 240) / 10} {r.randint(0, 240) / 10}" for _ in range(r.randint(6, 60))
    ]
    return f'viewBox="0 0 24 24"><path fill="#{r.randrange(4096):03x}" d="M{number} 0{"".join(points[1:])}z"/></svg>'


def paragraphs(kilobytes: int) -> list[str]:
    r = random.Random(0)
    made, size = [], 0
    while size < 1000 * kilobytes:
        text = " ".join(r.choices(WORDS, k=40))
        made.append(
            f'<div class="c{r.randrange(99)}"><p>{text} <a href="/p/{r.randrange(10**6)}">{text[:20]}</a></p></div>\n'
        )
        size += len(made[-1])
    return made


class Site(asyncio.Protocol):
    requests = 0
    body: list[str]

    def connection_made(self, transport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            Site.requests += path != "/requests"
            kind, body = self.answer(path)
            # urllib sends "Connection: close" and waits for it.
            close = b"connection: close" in head.lower()
            self.transport.write(
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()
                + body
            )
            if close:
                self.transport.close()

    def answer(self, path: str) -> tuple[str, bytes]:
        if path == "/robots.txt":
            return "text/plain", b"User-agent: *\nDisallow: /private/\nSitemap: http://127.0.0.1/sitemap.xml\n"
        if path == "/requests":
            return "text/plain", str(self.requests).encode()
        number = int("".join(filter(str.isdigit, path)))
        if path.endswith(".svg"):
            return "image/svg+xml", f'<svg xmlns="http://www.w3.org/2000/svg" {drawing(number)}'.encode()
        r = random.Random(number)
        parts = self.body.copy()
        for _ in range(r.randint(1, 8) if number % 4 else 0):
            rank = min(int(r.paretovariate(ZIPF)), 10**7)
            parts.insert(r.randrange(len(parts)), f"<svg {drawing(rank)}")
        if number % 10 == 0:
            parts.insert(r.randrange(len(parts)), f'<img src="/logo{min(int(r.paretovariate(ZIPF)), 10**7)}.svg">')
        return "text/html; charset=utf-8", f"<!DOCTYPE html><html><body>{''.join(parts)}</body></html>".encode()


async def main(port: int, kilobytes: int) -> None:
    Site.body = paragraphs(kilobytes)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Site, "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started us closes it, or ends


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
