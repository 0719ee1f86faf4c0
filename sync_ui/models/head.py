"""The audit's head: number and digest of its newest entry, kept outside the database.

The chain shows whatever is done to entries in its midst; that its end was cut
off, or all of it made anew, shows by this file alone. It is written after each
commit: the chain may be longer than it says, never shorter.
"""

import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from sync_ui.domain import chain

log = logging.getLogger(__name__)

# It tells developers four times of each lock.
logging.getLogger("filelock").setLevel(logging.WARNING)


class Newest(NamedTuple):
    """An entry's number and digest."""

    number: int
    digest: str


START = Newest(0, chain.START)

_LINE = re.compile(r"(0|[1-9][0-9]{0,18}) ([0-9a-f]{64})\n?")


class Head:
    """All processes may write it at once; readers always find one whole line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def create(self) -> None:
        """It is there; called before there is any entry that it could tell of."""
        with FileLock(self._lock):
            if not self._path.exists():
                self._write(START)

    def read(self) -> Newest | None:
        """None when the file is missing, damaged or not ours to read."""
        try:
            line = _LINE.fullmatch(self._path.read_text())
        except (OSError, ValueError):
            return None
        found = line and Newest(int(line[1]), line[2])
        # Before the first entry there is one digest alone: any other would switch the head off.
        return None if not found or (found.number == 0 and found != START) else found

    def raise_to(self, newest: Newest) -> None:
        """Never lower, and never out of nothing: a lost head has to be noticed.

        The change that the entry tells of stands, whether this succeeds or not.
        """
        try:
            with FileLock(self._lock, poll_interval=0.005):
                found = self.read()
                if found is not None and found.number < newest.number:
                    self._write(newest)
        except OSError as error:
            log.error("The audit's head cannot be written: %s", type(error).__name__)

    def restart(self, newest: Newest) -> None:
        """Whatever it said before is forgotten. Raises OSError."""
        with FileLock(self._lock):
            self._write(newest)

    def _write(self, newest: Newest) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{newest.number} {newest.digest}\n")
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave an empty file in its place
        _give_to_owner_of(self._path.parent, fresh)
        fresh.replace(self._path)


def _give_to_owner_of(folder: Path, path: Path) -> None:
    """A command that root runs must not take the file away from the server's user."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
