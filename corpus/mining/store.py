"""Everything a run leaves behind: shards of JSON lines, and a journal that makes it resumable at any moment.

The journal is one SQLite file. All work that is known of stands in its table `pending`: the reader puts URLs there and
moves the position in the source in the same transaction; a result takes its URL out in the transaction that records
the hashes and the lengths of the shards. Shards are written just before that commit, so after a kill a shard may be
longer than the journal says, with whole or half records of URLs that are still pending: opening cuts it back. A record
is therefore in a shard if and only if its URL is done.

Commits survive the death of the process. They are not forced to the disk one by one, so a power failure may undo the
last seconds; a shard is then as long as what is left of it.

Memory does not grow with the run. On disk, a distinct SVG or linked address costs some 12 bytes: its 64-bit hash is the
row id. With n of them the chance that a new one is taken for an old one is n / 2^64: 5e-12 at 100 million.
"""

import hashlib
import json
import os
import sqlite3
import zlib
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from qwen_svg.common.errors import UserError

PREFIX = 2  # hexadecimal digits of the MD5: 256 shards
CACHE_KIB = 65_536  # of the journal's pages in memory
GROWTH_STEP = 1.02  # a point of the growth curve for every 2 % more pages

SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (name TEXT PRIMARY KEY, position INTEGER);
CREATE TABLE IF NOT EXISTS pending (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT, url TEXT, linked INTEGER);
CREATE INDEX IF NOT EXISTS pending_by_host ON pending (host, id);
CREATE TABLE IF NOT EXISTS svgs (hash INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS links (hash INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS robots (origin TEXT PRIMARY KEY, fetched REAL, refusal TEXT, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (name TEXT PRIMARY KEY, bytes INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS growth (pages INTEGER PRIMARY KEY, found INTEGER, kept INTEGER, seconds REAL);
"""


class CrawlStore:
    """One output folder. Raises UserError when another process is mining into it."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        self.journal = sqlite3.connect(folder / "journal.sqlite", isolation_level=None, timeout=1)
        try:
            # EXCLUSIVE: held until closed, so that two runs cannot mix; needs no shared-memory file either.
            self.journal.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.journal.execute("PRAGMA journal_mode = WAL")
            self.journal.execute("PRAGMA synchronous = NORMAL")
            self.journal.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self.journal.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA.split(";\n"):
                self.journal.execute(statement)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UserError(f"another run is mining into {folder}; wait for it or change OUTPUT_DIR.") from None
            raise
        except sqlite3.DatabaseError:
            raise UserError(f"{folder}/journal.sqlite is not a journal of this script; move it away.") from None
        self.counts: Counter[str] = Counter(dict(self.journal.execute("SELECT name, value FROM counts")))
        self._files: dict[str, BinaryIO] = {}
        self._broken = False
        self._lines: dict[str, list[bytes]] = {}
        self._growth = self.journal.execute("SELECT max(pages) FROM growth").fetchone()[0] or 0
        self._cut_back()
        self.commit()

    def _cut_back(self) -> None:
        """Take away what a killed run wrote after its last commit."""
        lengths = dict(self.journal.execute("SELECT name, bytes FROM shards"))
        for path in (self.folder / "shards").glob("*.jsonl"):
            if path.stat().st_size > lengths.get(path.stem, 0):
                os.truncate(path, lengths.get(path.stem, 0))

    # Work

    def position(self, source: str) -> int:
        row = self.journal.execute("SELECT position FROM sources WHERE name = ?", (source,)).fetchone()
        return row[0] if row else 0

    def set_position(self, source: str, position: int) -> None:
        self.journal.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (source, position))

    def add(self, host: str, url: str, linked: bool) -> int | None:
        """Note a URL as pending and return its id; None for a linked one that was met before."""
        if linked and not self._is_new("links", hash64(url.encode())):
            return None
        return self.journal.execute(
            "INSERT INTO pending (host, url, linked) VALUES (?, ?, ?)", (host, url, linked)
        ).lastrowid

    def pending(self) -> sqlite3.Cursor:
        """All work, as (id, host, url, linked), oldest first."""
        return self.journal.execute("SELECT id, host, url, linked FROM pending ORDER BY id")

    def pending_of(self, host: str, after: int, count: int) -> list[tuple[int, str, int]]:
        """Up to `count` of a host's (id, url, linked) with an id above `after`, oldest first."""
        query = "SELECT id, url, linked FROM pending WHERE host = ? AND id > ? ORDER BY id LIMIT ?"
        return self.journal.execute(query, (host, after, count)).fetchall()

    def pending_count(self) -> int:
        return self.journal.execute("SELECT count(*) FROM pending").fetchone()[0]

    def done(self, id: int) -> None:
        self.journal.execute("DELETE FROM pending WHERE id = ?", (id,))

    # Results

    def keep(self, svg: str, url: str) -> bool:
        """Note an SVG to be written unless its text was met before; return whether it is new."""
        digest = hashlib.md5(svg.encode(), usedforsecurity=False)
        if not self._is_new("svgs", int.from_bytes(digest.digest()[:8], signed=True)):
            return False
        record = {"url": url, "timestamp": datetime.now(UTC).isoformat(), "svg": svg}
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        self._lines.setdefault(digest.hexdigest()[:PREFIX], []).append(line)
        return True

    def _is_new(self, table: str, hash: int) -> bool:
        return self.journal.execute(f"INSERT OR IGNORE INTO {table} VALUES (?)", (hash,)).rowcount == 1

    def commit(self) -> None:
        """Append the lines to their shards, then make everything since the last commit true at once.

        When that fails (a full disk), nothing is committed any more: what is in the shards then is not known.
        """
        if self._broken:
            return
        self._broken = True
        for name, lines in self._lines.items():
            if name not in self._files:
                self._files[name] = (self.folder / "shards" / f"{name}.jsonl").open("ab")
            file = self._files[name]
            file.write(b"".join(lines))
            file.flush()
            # The length is asked for, not summed: the user may have moved a shard away between two runs.
            self.journal.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (name, file.tell()))
        self._lines.clear()
        self.journal.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", self.counts.items())
        if self.counts["pages"] > self._growth * GROWTH_STEP:
            self.note_growth()
        if self.journal.in_transaction:
            self.journal.execute("COMMIT")
        self.journal.execute("BEGIN")
        self._broken = False

    # Counts and the growth curve

    def note_growth(self) -> None:
        self._growth = self.counts["pages"]
        point = (self._growth, self.counts["found"], self.counts["kept"], self.counts["milliseconds"] / 1000)
        self.journal.execute("INSERT OR REPLACE INTO growth VALUES (?, ?, ?, ?)", point)

    def growth(self) -> list[tuple[int, int, int, float]]:
        """Points (pages seen, SVGs found, SVGs kept, seconds mined)."""
        return self.journal.execute("SELECT * FROM growth ORDER BY pages").fetchall()

    # robots.txt files, so that a run that goes on need not ask again

    def keep_robots(self, origin: str, fetched: float, refusal: str, body: bytes) -> None:
        row = (origin, fetched, refusal, zlib.compress(body, 1))
        self.journal.execute("INSERT OR REPLACE INTO robots VALUES (?, ?, ?, ?)", row)

    def robots(self, origin: str) -> tuple[float, str, bytes] | None:
        query = "SELECT fetched, refusal, body FROM robots WHERE origin = ?"
        row = self.journal.execute(query, (origin,)).fetchone()
        return row and (row[0], row[1], zlib.decompress(row[2]))

    def drop_robots(self, before: float) -> None:
        self.journal.execute("DELETE FROM robots WHERE fetched < ?", (before,))

    def close(self) -> None:
        self.commit()
        self.journal.close()
        for file in self._files.values():
            with suppress(OSError):  # what is left in the buffer after a failure; the next run cuts it away
                file.close()


def hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), signed=True)
