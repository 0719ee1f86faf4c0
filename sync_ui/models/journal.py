"""The journal of revocations: which tokens are dead, whatever the database says.

It stands outside the database, so that an old backup cannot bring a dead link
back to life. A line is a token's SHA-256 and the time; lines are only added.
`until` before the time is a death to come. `lost`: a restored backup did not
know the token; it lives again if a database comes back that does.
"""

import logging
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO

from sync_ui import clock

log = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")

# When a token died whose line a crash has cut short.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

# What a line is about: a death, one to come, or a token that no row tells of.
DEAD, UNTIL, LOST = "", "until", "lost"


class Journal:
    """Reads its file again whenever it has grown, so that all processes agree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._size = 0
        self._dead: dict[str, datetime] = {}
        self._until: dict[str, datetime] = {}
        self._lost: dict[str, datetime] = {}

    def open(self) -> None:
        """The file exists and can be read and added to; raises OSError otherwise.

        Made by whoever serves, before a command of another user makes it theirs.
        """
        with self._file() as file:
            file.seek(0)
            file.read(1)

    def __contains__(self, digest: str) -> bool:
        return self.died_at(digest) is not None

    def died_at(self, digest: str) -> datetime | None:
        """When the token of this digest died; None as long as it lives."""
        self._read()
        died_at = self._dead.get(digest)
        if died_at is None and self._until:
            ends_at = self._until.get(digest)
            return ends_at if ends_at is not None and ends_at <= clock.now() else None
        return died_at

    def ends_at(self, digest: str) -> datetime | None:
        """When the token of this digest is to die, if that was settled before."""
        self._read()
        return self._until.get(digest)

    def gone_at(self, digest: str) -> datetime | None:
        """Of a token that no row tells of: when it died, or was lost; None if it never was."""
        return self.died_at(digest) or self._lost.get(digest)

    def add(self, digests: Iterable[str], at: datetime) -> None:
        """On disk when this returns; digests that stand there already are left out."""
        self._read()
        self._write([(digest, at) for digest in digests if digest not in self._dead], DEAD)

    def plan(self, ends: Iterable[tuple[str, datetime]]) -> None:
        """The same for tokens that die by themselves, each at its moment; the first one holds."""
        self._read()
        known = self._dead.keys() | self._until.keys()
        self._write([(digest, at) for digest, at in ends if digest not in known], UNTIL)

    def lose(self, digests: Iterable[str], at: datetime) -> None:
        """The same for living tokens of a database that is replaced by one without them."""
        self._read()
        known = self._dead.keys() | self._lost.keys()
        self._write([(digest, at) for digest in digests if digest not in known], LOST)

    def unite(self, text: str) -> None:
        """What another journal knew is known here, too; on disk when this returns."""
        for digest, died_at in self.entries(text):
            self.add([digest], died_at)
        self.plan(self.entries(text, UNTIL))

    def knows(self, text: str) -> bool:
        """Whether all that another journal knew to be dead is dead here."""
        return all(digest in self for digest, _ in self.entries(text))

    @staticmethod
    def entries(text: str, kind: str = DEAD) -> list[tuple[str, datetime]]:
        """The tokens of a journal's text that are dead (or of another kind), and since when."""
        found = map(_entry, text.splitlines())
        return [(digest, at) for digest, its, at in found if its == kind and _is_digest(digest)]

    def __len__(self) -> int:
        self._read()
        return len(self._dead)

    def _write(self, entries: list[tuple[str, datetime]], kind: str) -> None:
        if not entries:
            return
        word = f"{kind} " if kind else ""
        with self._file() as file:
            file.writelines(f"{digest} {word}{at.isoformat()}\n" for digest, at in entries)
            file.flush()
            os.fsync(file.fileno())

    def _file(self) -> IO[str]:
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(handle, "a+", errors="replace")

    def _read(self) -> None:
        try:
            size = os.stat(self._path).st_size  # noqa: PTH116 - a third of Path's time
        except FileNotFoundError:
            size = 0
        if size == self._size:
            return
        with self._lock:
            try:
                # A damaged line costs itself alone.
                text = self._path.read_text(errors="replace") if size else ""
            except OSError as error:
                # What is known stays known, and the database knows of every death too.
                log.error("The journal of dead links cannot be read: %s", type(error).__name__)
                return
            found: dict[str, dict[str, datetime]] = {DEAD: {}, UNTIL: {}, LOST: {}}
            # The first line of a token tells when it died.
            for digest, kind, at in map(_entry, filter(None, reversed(text.splitlines()))):
                found[kind][digest] = at
            self._dead, self._until, self._lost = found[DEAD], found[UNTIL], found[LOST]
            self._size = size


def _is_digest(word: str) -> bool:
    return _DIGEST.fullmatch(word) is not None


def _entry(line: str) -> tuple[str, str, datetime]:
    """Digest, kind and time; a line that was cut short tells of a death."""
    digest, _, rest = line.partition(" ")
    kind, _, at = rest.rpartition(" ")
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return digest, DEAD, LONG_AGO
    if kind not in {DEAD, UNTIL, LOST} or found.tzinfo is None:
        return digest, DEAD, LONG_AGO
    return digest, kind, found
