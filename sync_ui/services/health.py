"""How the installation is, in words for monitors: nothing that a stranger may not know.

Cheap enough to be asked every few seconds; `flask check` looks closer.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import exists, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.models import AuditEntry, Backup, Connection, Practice, db
from sync_ui.models.installation import current
from sync_ui.services import damage, host, trail
from sync_ui.services.sync import WORKED_ON

# One is made each day.
OLDEST_BACKUP = timedelta(days=2)

SYNC_IS_LATE = timedelta(minutes=15)


class Level(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"  # it serves, and somebody should look
    ERROR = "error"  # it cannot serve


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that can be out of order; `word` says how."""

    name: str
    word: str = "ok"
    level: Level = Level.OK


@dataclass(frozen=True, slots=True)
class Health:
    parts: tuple[Part, ...]

    @property
    def level(self) -> Level:
        return max((part.level for part in self.parts), key=list(Level).index)


def health() -> Health:
    """Asks the database five short questions, and the disk two. Never raises SQLAlchemyError."""
    alone = (_disk(), _worker())
    try:
        db.session.scalar(select(Practice.id))
        return Health((_database(), *alone, _clock(), _backup(), _sync(), _audit()))
    except SQLAlchemyError as error:
        current().damage.notice(error)
        db.session.rollback()
        word = "damaged" if damage.is_known() else "out of order"
        return Health((Part("database", word, Level.ERROR), *alone))


def _database() -> Part:
    return Part("database", "damaged", Level.ERROR) if damage.is_known() else Part("database")


def _disk() -> Part:
    try:
        found = host.disk()
    except OSError:
        return Part("disk", "gone", Level.ERROR)
    if not found.writable:
        return Part("disk", "read-only", Level.DEGRADED)
    if found.is_full:
        return Part("disk", "full", Level.ERROR)
    return Part("disk", "nearly full", Level.DEGRADED) if found.is_short else Part("disk")


def _worker() -> Part:
    silent = host.worker_is_silent()
    return Part("worker", "silent", Level.DEGRADED) if silent else Part("worker")


def _clock() -> Part:
    behind = host.clock_is_behind()
    return Part("clock", "behind", Level.DEGRADED) if behind else Part("clock")


def _backup() -> Part:
    """On its first day an installation may be without."""
    oldest = clock.now() - OLDEST_BACKUP
    newest = db.session.scalar(select(func.max(Backup.verified_at)))
    if newest is not None:
        return Part("backup", "old", Level.DEGRADED) if newest < oldest else Part("backup")
    begun = db.session.scalar(select(AuditEntry.at).order_by(AuditEntry.id).limit(1))
    is_young = begun is None or begun > oldest
    return Part("backup") if is_young else Part("backup", "none", Level.DEGRADED)


def _sync() -> Part:
    now = clock.now()
    nobody_is_on_it = or_(Connection.leased_until.is_(None), Connection.leased_until < now)
    late = select(
        exists().where(
            Connection.state.in_(WORKED_ON),
            Connection.next_at < now - SYNC_IS_LATE,
            nobody_is_on_it,
        )
    )
    return Part("sync", "late", Level.DEGRADED) if db.session.scalar(late) else Part("sync")


def _audit() -> Part:
    """As the worker found it when it last verified the chain."""
    last = trail.last_verified()
    wrong = last is not None and last.verdict.wrong
    return Part("audit", "not as written", Level.DEGRADED) if wrong else Part("audit")
