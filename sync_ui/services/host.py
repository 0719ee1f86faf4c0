"""What the host gives the installation: room on its disk, a clock, and a worker that lives."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from sync_ui import clock
from sync_ui.models import AuditEntry, db
from sync_ui.models.installation import current

LEAST_FREE = 200 * 1024 * 1024
LEAST_SHARE = 0.05

# Below it no change can be counted on.
NOTHING = 1024 * 1024

# The worker says once a minute that it lives; a large import may keep it from it for a while.
SILENT_FOR = timedelta(minutes=5)

# Machines that share a database need not agree to the second.
CLOCKS_DIFFER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Disk:
    """Of the data directory, in bytes."""

    free: int
    total: int
    writable: bool

    @property
    def is_full(self) -> bool:
        return self.free < NOTHING

    @property
    def is_short(self) -> bool:
        return self.free < LEAST_FREE or self.free < self.total * LEAST_SHARE


def disk() -> Disk:
    """Raises OSError if the data directory is gone."""
    data_dir = current().config.data_dir
    found = shutil.disk_usage(data_dir)
    return Disk(found.free, found.total, os.access(data_dir, os.W_OK))


def beat() -> None:
    """The worker lives: a file's time says so, since a row a minute would fill the database."""
    now = clock.now().timestamp()
    with suppress(OSError):  # a disk that takes nothing is told of elsewhere
        _pulse().touch(mode=0o600)
        os.utime(_pulse(), (now, now))


def worker_is_silent() -> bool:
    """Whether it is long since the worker last said here that it lives."""
    try:
        last = datetime.fromtimestamp(_pulse().stat().st_mtime, UTC)
    except OSError:
        # With a database of its own the worker may run on another machine.
        return current().config.database_url is None
    return abs(clock.now() - last) > SILENT_FOR


def _pulse() -> Path:
    return current().config.data_dir / "worker.alive"


def clock_is_behind() -> bool:
    """Whether something has happened already that, by this clock, is still to come."""
    newest = select(AuditEntry.at).order_by(AuditEntry.id.desc()).limit(1)
    at = db.session.scalar(newest)
    return at is not None and at > clock.now() + CLOCKS_DIFFER
