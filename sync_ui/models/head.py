"""The audit's head: number and digest of its newest entry, kept outside the database.

The chain shows whatever is done to entries in its midst; that its end was cut
off, or all of it made anew, shows by this file alone. It is written after each
commit: the chain may be longer than it says, never shorter.
"""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

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
        self._intent = path.with_name(f"{path.name}.intent")

    def create(self) -> None:
        """It is there; called before there is any entry that it could tell of."""
        with FileLock(self._lock):
            if not self._path.exists():
                self._write(START)

    def read(self) -> Newest | None:
        """None when the file is missing, damaged or not ours to read."""
        return _read(self._path)

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
        """Whatever it said before is forgotten, and what was intended done. Raises OSError."""
        with FileLock(self._lock):
            self._write(newest)
            self._intent.unlink(missing_ok=True)

    def intend(self, newest: Newest) -> None:
        """A database that ends so is about to be put in place. Raises OSError."""
        with FileLock(self._lock):
            self._write(newest, self._intent)

    def resume(self, engine: Engine) -> None:
        """What was intended is done, if that database is in place: somebody was killed in between.

        Otherwise it is forgotten. A disk that takes nothing leaves it for the next start.
        """
        intended = _read(self._intent)
        with suppress(OSError, SQLAlchemyError):
            if intended is not None and _has(engine, intended):
                self.restart(intended)
            self._intent.unlink(missing_ok=True)

    def _write(self, newest: Newest, path: Path | None = None) -> None:
        path = path or self._path
        fresh = path.with_name(f"{path.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{newest.number} {newest.digest}\n")
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave an empty file in its place
        _give_to_owner_of(path.parent, fresh)
        fresh.replace(path)


def _read(path: Path) -> Newest | None:
    try:
        line = _LINE.fullmatch(path.read_text())
    except (OSError, ValueError):
        return None
    found = line and Newest(int(line[1]), line[2])
    # Before the first entry there is one digest alone: any other would switch the head off.
    return None if not found or (found.number == 0 and found != START) else found


def _has(engine: Engine, entry: Newest) -> bool:
    """Whether the database's audit has the entry; no two databases have the same by chance."""
    wanted = text("SELECT digest FROM audit_entry WHERE id = :number")
    with engine.connect() as connection:
        return bool(connection.scalar(wanted, {"number": entry.number}) == entry.digest)


def _give_to_owner_of(folder: Path, path: Path) -> None:
    """A command that root runs must not take the file away from the server's user."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
