"""The product under the machine: a family of processes, its clock, its files and its database."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher

from sync_ui.domain import chain
from tests.journeys.product import SECONDS_TO_STOP, Product, descendants, is_alive, port_is_free
from tests.journeys.product import until as wait_until
from tests.stepped_clock import SteppedClock


class Installation(Product):
    """One that can be killed whole, whose clock can be set and whose files can be read."""

    def __init__(self, folder: Path, *, starts_at: datetime | None = None, **settings: str) -> None:
        self._clock = SteppedClock(folder)
        super().__init__(folder, **settings, **(self._clock.settings() if starts_at else {}))
        if starts_at:
            self.step(starts_at - datetime.now(UTC))

    def step(self, span: timedelta) -> None:
        """The product's clock is set so much forward, or back; ours stays."""
        self._clock.step(span)

    def now(self) -> datetime:
        """What the product's clock says."""
        return self._clock.now()

    def kill_all(self) -> None:
        """As a power cut does, for every process at once."""
        assert self._process is not None
        family = [self._process.pid, *descendants(self._process.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(SECONDS_TO_STOP)
        wait_until(
            lambda: not any(map(is_alive, family)) and port_is_free(self.port), SECONDS_TO_STOP
        )
        self._process = None

    def kill_if_running(self) -> None:
        if self._process is not None:
            self.kill_all()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Its database, unlocked, to look at."""
        key = (self.data_dir / "database.key").read_text().split()[0]
        with closing(sqlcipher.connect(str(self.data_dir / "sync.db"), timeout=10)) as opened:
            opened.execute(f"PRAGMA key=\"x'{key}'\"")
            opened.execute("PRAGMA query_only=ON")
            yield opened

    def output(self) -> str:
        return self._log.read_text()

    def everything_stored(self) -> Iterator[tuple[str, bytes]]:
        """Each file of its folder as it lies there, backups too, and what the database holds."""
        for path in sorted(self._log.parent.rglob("*")):
            if path.is_file() and path.suffix != ".ics":
                yield path.name, path.read_bytes()
        with self.database() as opened:
            yield "database", b"\n".join(_cells(opened))


def _cells(opened: sqlite3.Connection) -> Iterator[bytes]:
    """Everything in every table."""
    tables = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for row in opened.execute(f'SELECT * FROM "{table}"'):
            for cell in row:
                yield cell if isinstance(cell, bytes) else str(cell).encode()


def sound(opened: sqlite3.Connection) -> dict[str, list[Any]]:
    """What three checks find wrong with the file: nothing, if it is whole."""
    answers = opened.execute("PRAGMA integrity_check").fetchall()
    return {
        "integrity": [] if answers == [("ok",)] else answers,
        "cipher": opened.execute("PRAGMA cipher_integrity_check").fetchall(),
        "foreign keys": opened.execute("PRAGMA foreign_key_check").fetchall(),
    }


Entry = tuple[str, str, str]


def chained(opened: sqlite3.Connection, known: Sequence[str] = ()) -> list[tuple[str, Entry]]:
    """Every entry of the audit by its digest: (actor, action, subject); the chain must be whole.

    It begins with the `known` digests, whose entries were looked at before.
    """
    found: list[tuple[str, Entry]] = []
    before = chain.START
    rows = opened.execute(
        "SELECT id, at, actor, action, subject, detail, digest FROM audit_entry ORDER BY id"
    )
    for number, (row_id, at, actor, action, subject, detail, digest) in enumerate(rows, 1):
        assert row_id == number, "an entry is missing"
        if number <= len(known):
            assert digest == known[number - 1], f"entry {number} is another one now"
        else:
            moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
            said = chain.digest(before, number, moment, actor, action, subject, json.loads(detail))
            assert digest == said, f"entry {number} is not what was written"
        found.append((digest, (actor, action, subject)))
        before = digest
    assert len(found) >= len(known), "the audit's end is missing"
    return found
