"""The journal of revocations: which tokens are dead, whatever the database says.

It stands outside the database, so that an old backup cannot bring a dead link
back to life. A line is a token's SHA-256 and the time; lines are only added.
"""

import logging
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import IO

log = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")

# When a token died whose line a crash has cut short.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Journal:
    """Reads its file again whenever it has grown, so that all processes agree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._size = 0
        self._dead: dict[str, datetime] = {}

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
        return self._dead.get(digest)

    def add(self, digests: Iterable[str], at: datetime) -> None:
        """On disk when this returns; digests that stand there already are left out."""
        self._read()
        lines = [f"{digest} {at.isoformat()}\n" for digest in digests if digest not in self._dead]
        if not lines:
            return
        with self._file() as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def unite(self, text: str) -> None:
        """What another journal knew is known here, too; on disk when this returns."""
        for digest, died_at in self.entries(text):
            self.add([digest], died_at)

    def knows(self, text: str) -> bool:
        """Whether all that another journal knew is known here."""
        return all(digest in self for digest, _ in self.entries(text))

    @staticmethod
    def entries(text: str) -> list[tuple[str, datetime]]:
        """The tokens of a journal's text, and when each died."""
        entries = map(_entry, text.splitlines())
        return [(digest, at) for digest, at in entries if _DIGEST.fullmatch(digest)]

    def __len__(self) -> int:
        self._read()
        return len(self._dead)

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
            # The first line of a token tells when it died.
            self._dead = dict(_entry(line) for line in reversed(text.splitlines()) if line)
            self._size = size


def _entry(line: str) -> tuple[str, datetime]:
    digest, _, at = line.partition(" ")
    try:
        died_at = datetime.fromisoformat(at)
    except ValueError:
        return digest, LONG_AGO
    return digest, died_at if died_at.tzinfo else LONG_AGO
