"""Backups: made by hand and daily, read back, kept as long as the rule says, and listed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import backups as rules
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, NotFound, SyncError, Unavailable
from sync_ui.models import Backup, BackupKind, Calendar, copying, db, former, transaction
from sync_ui.models import installation as installations
from sync_ui.models.database import sqlite_path
from sync_ui.models.installation import Installation, current
from sync_ui.services import access, doubts, practice
from sync_ui.services.access import WORKER, Actor
from sync_ui.services.audit import Action, record

# Of those made by hand into the folder of backups; and how long failures are remembered.
BY_HAND_KEPT = 10
TROUBLE_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Made:
    """One line of the list; `path` is None if the file is not in the folder of backups."""

    backup: Backup
    path: Path | None


def make(actor: Actor) -> Backup:
    """A backup more stands in the folder of backups, read back whole.

    Raises Unavailable, Conflict while another one is made or before there is a practice, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    _require_practice()
    return _make(actor, BackupKind.BY_HAND, _new_path())


def write(actor: Actor, path: Path) -> Backup:
    """The same in a place of one's own choice, where a former one of ours may stand.

    Raises Conflict for whatever else stands there.
    """
    access.require(actor, Permission.SETTINGS)
    _require_practice()
    copying.refuse_to_overwrite(path)
    if path.exists() and copying.whose(path, current().keys.ring("database")) != _ours():
        raise Conflict(
            "The backup in this place is of another installation, or opens with none of the keys "
            "that are here. Nothing was changed; choose another name."
        )
    return _make(actor, BackupKind.BY_HAND, path)


def make_daily() -> Backup | None:
    """The daily backup, if it is due; then those that are no longer kept are gone."""
    if not _is_due():
        return None
    try:
        made = _make(WORKER, BackupKind.DAILY, _new_path())
    except SyncError:
        return None  # its row tells, and it is tried again within the hour
    thin_out(WORKER)
    return made


def adopt(session: Session, found: Installation) -> int:
    """Files of this installation that no row tells of have one; nobody has read them back since.

    A restored backup knows only those before it. Returns how many.
    """
    known = set(session.scalars(select(Backup.name)))
    ring, number = found.keys.ring("database"), 0
    for path in sorted(found.config.backups.glob(f"sync-*{copying.ENDING}")):
        at = _moment_of(path.name)
        if path.name in known or at is None or not copying.opens_with(path, ring):
            continue
        size = path.stat().st_size
        session.add(Backup(at=at, kind=BackupKind.DAILY, name=path.name, size=size))
        number += 1
    return number


def thin_out(actor: Actor) -> int:
    """Daily backups beyond 7 days, 4 weeks and 6 months are gone, and old ones made by hand.

    So is what upgrades and restores have kept, but for the latest. Only files that we named
    ourselves. Returns how many.
    """
    gone: list[Path] = []
    past = _past_need()
    with transaction() as session:
        adopt(session, current())
        zone = ZoneInfo(practice.get(session).zone)
        whole = session.scalars(select(Backup).where(Backup.trouble.is_(None))).all()
        daily = [each for each in whole if each.kind is BackupKind.DAILY]
        kept = rules.kept((each.at for each in daily), zone)
        by_hand = [each for each in whole if each.kind is BackupKind.BY_HAND and _path(each)]
        late = sorted(by_hand, key=lambda each: each.at, reverse=True)[BY_HAND_KEPT:]
        over = [each for each in daily if each.at not in kept] + late
        old = select(Backup).where(Backup.trouble.is_not(None))
        forgotten = session.scalars(old.where(Backup.at < clock.now() - TROUBLE_KEPT)).all()
        gone.extend(path for each in over if (path := _path(each)))
        for each in [*over, *forgotten]:
            session.delete(each)
        if number := len(over) + len(past):
            record(session, actor, Action.BACKUPS_THINNED, count=number)
    for path in [*gone, *past]:
        copying.discard(path)
    return len(gone) + len(past)


def _past_need() -> list[Path]:
    """What upgrades and restores have kept for long enough."""
    gone: list[Path] = []
    found = current()
    upgrades, restores = former.found(found.config)
    ring = found.keys.ring("database")
    # Several installations may share the folder of backups.
    ours = {path: at for path, at in upgrades.items() if copying.opens_with(path, ring)}
    for copies in (ours, restores):
        kept = rules.kept_former(copies.values(), clock.now())
        gone.extend(path for path, at in copies.items() if at not in kept)
    return gone


def listed(actor: Actor) -> list[Made]:
    """The latest first. Raises Refused."""
    access.require(actor, Permission.SETTINGS)
    found = db.session.scalars(select(Backup).order_by(Backup.at.desc(), Backup.id.desc()))
    return [Made(backup, _path(backup)) for backup in found]


def download(actor: Actor, backup_id: int) -> Path:
    """The file, to be handed over; the audit says to whom. Raises NotFound, Refused."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        found = access.get(Backup, backup_id, "There is no such backup.")
        path = _path(found)
        if path is None:
            raise NotFound("The file of this backup is not in the folder of backups any more.")
        record(session, actor, Action.BACKUP_DOWNLOADED, f"backup:{backup_id}")
    return path


def newest_whole() -> datetime | None:
    """When the newest backup that could be read back was made."""
    return db.session.scalar(select(func.max(Backup.at)).where(Backup.verified_at.is_not(None)))


def is_too_old() -> bool:
    """Whether a lost disk would cost more than two days; never for a new installation."""
    return rules.is_too_old(newest_whole(), practice.get().created_at, clock.now())


def finding() -> tuple[bool, str]:
    """Whether all is well with backups, and the sentence that says so."""
    if not practice.is_set_up():
        return True, "none needed yet."
    doubtful = doubts.count()
    if doubtful:
        return False, (
            "one was restored without revoked.log, so that dead links may have come back: "
            f"{doubtful}. Reset them under Settings, Policy."
        )
    newest = newest_whole()
    latest = db.session.scalar(select(Backup).order_by(Backup.at.desc(), Backup.id.desc()).limit(1))
    if latest is not None and latest.trouble:
        return False, f"the latest failed. {latest.trouble}"
    words = f"the newest is of {newest:%d %B %Y, %H:%M} UTC." if newest else "none was made yet."
    return not is_too_old(), words


def _require_practice() -> None:
    """A backup of nothing must not look like one of something."""
    if not practice.is_set_up():
        raise Conflict("There is nothing to back up yet: the practice is not set up.")


def _ours() -> str:
    """What our own backups say that they are of."""
    uid = select(Calendar.uid).where(Calendar.clinician_id.is_(None)).order_by(Calendar.id)
    return copying.installation_of(db.session.scalars(uid).first() or "")


def _is_due() -> bool:
    if not practice.is_set_up():
        return False
    found, now = practice.get(), clock.now()
    daily = select(Backup).where(Backup.kind == BackupKind.DAILY)
    latest = db.session.scalar(daily.order_by(Backup.at.desc()).limit(1))
    failed = latest.at if latest is not None and latest.trouble else None
    whole = daily.where(Backup.verified_at.is_not(None)).order_by(Backup.at.desc()).limit(1)
    last = db.session.scalar(whole)
    since = last.at if last is not None else found.created_at
    zone = ZoneInfo(found.zone)
    db.session.rollback()
    return rules.is_due(since, failed, now, zone)


def _make(actor: Actor, kind: BackupKind, path: Path) -> Backup:
    at = clock.now()
    db.session.rollback()
    try:
        with _alone():
            if path.parent == current().config.backups:
                installations.make_backup_directory(current().config)
            _require_room(path.parent)
            copying.make(_source(), path)
        size = path.stat().st_size
    except Unavailable as error:
        _note(actor, Backup(at=at, kind=kind, name=path.name, size=0, trouble=error.sentence))
        raise
    return _note(
        actor, Backup(at=at, kind=kind, name=path.name, size=size, verified_at=clock.now())
    )


def _note(actor: Actor, backup: Backup) -> Backup:
    with transaction() as session:
        session.add(backup)
        session.flush()
        action = Action.BACKUP_FAILED if backup.trouble else Action.BACKUP_MADE
        subject = f"backup:{backup.id}"
        record(session, actor, action, subject, kind=backup.kind.value, size=backup.size)
    return backup


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time; what a backup that was killed left behind is gone."""
    lock = FileLock(current().config.data_dir / "backup.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict("Another backup is being made. Try again in a minute.") from None
    try:
        for left in copying.leftovers(current().config.backups, f"*{copying.ENDING}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _require_room(directory: Path) -> None:
    """A backup must never be what fills the disk."""
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return  # the copy says what is wrong
    if free < 2 * _database_size():
        raise Unavailable(
            "There is too little room for a backup: twice the database's size is kept free. "
            "Make room, or choose another folder with SYNC_BACKUP_DIR."
        )


def _database_size() -> int:
    """In bytes."""
    if current().config.database_url is None:
        return sqlite_path(current().config.data_dir).stat().st_size
    size = db.session.scalar(text("SELECT pg_database_size(current_database())"))
    db.session.rollback()
    return int(size or 0)


def _source() -> copying.Source:
    found = current()
    return copying.Source(found.config.data_dir, found.config.database_url, found.keys.database)


def _new_path() -> Path:
    """A name that says when, in UTC, and sorts by it."""
    name = f"sync-{clock.now():%Y%m%dT%H%M%S%fZ}{copying.ENDING}"
    return current().config.backups / name


def _moment_of(name: str) -> datetime | None:
    """When the backup of this name was made; None for a name that is not ours."""
    try:
        return datetime.strptime(name, f"sync-%Y%m%dT%H%M%S%fZ{copying.ENDING}").replace(tzinfo=UTC)
    except ValueError:
        return None


def _path(backup: Backup) -> Path | None:
    """Where it is, if it is one of ours and still there."""
    path = current().config.backups / backup.name
    ours = backup.name.startswith("sync-") and backup.name == path.name
    return path if ours and backup.size and path.is_file() else None
