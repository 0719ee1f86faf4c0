"""The journal of revocations: which tokens are dead, whatever the database says.

It stands outside the database, so that an old backup cannot bring a dead link
back to life. A line is a token's SHA-256 and the time; lines are only added.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock


class Journal:
    """Reads its file again whenever it has grown, so that all processes agree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._size = 0
        self._dead: set[str] = set()

    def __contains__(self, digest: str) -> bool:
        self._read()
        return digest in self._dead

    def add(self, digests: Iterable[str], at: datetime) -> None:
        """On disk when this returns; digests that stand there already are left out."""
        self._read()
        lines = [f"{digest} {at.isoformat()}\n" for digest in digests if digest not in self._dead]
        if not lines:
            return
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            size = 0
        if size == self._size:
            return
        with self._lock:
            text = self._path.read_text() if size else ""
            self._dead = {line.split(" ", 1)[0] for line in text.splitlines() if line}
            self._size = size
