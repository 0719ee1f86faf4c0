"""The audit as a whole: is it as it was written, and what does it say.

Entries are kept as long as the practice keeps its database, which HIPAA wants
to be six years at least (45 CFR 164.316): nothing here or elsewhere deletes one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, inspect, select

from sync_ui import clock
from sync_ui.domain import chain, csv_write
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models import AuditEntry, User, db, transaction
from sync_ui.models.head import START, Newest
from sync_ui.models.installation import current
from sync_ui.services import access, plans, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.audit_words import words

SUBJECT = "audit"

# Entries read at once; between two batches nothing is held.
BATCH = 1000

A_DAY = timedelta(days=1)

COLUMNS = ("Number", "When (UTC)", "Who", "Actor", "What", "Action", "Which", "More", "Digest")

_FIELDS = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor,
    AuditEntry.action,
    AuditEntry.subject,
    AuditEntry.detail,
    AuditEntry.digest,
)

_EVERYTHING: Select[Any] = select(*_FIELDS)

_Entry = Row[Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wrong` names the first entry that is not as it was written, in a sentence; or is empty.

    `after_head`: how many of the entries audit.head does not know of. A crash
    between a commit and the head leaves some; so does whoever adds entries
    with the database's key.
    """

    entries: int
    wrong: str = ""
    after_head: int = 0

    @property
    def words(self) -> str:
        entries = f"{self.entries} {'entry' if self.entries == 1 else 'entries'}"
        after = f", {self.after_head} of them after audit.head" if self.after_head else ""
        return self.wrong or f"whole: {entries}{after}"


@dataclass(frozen=True, slots=True)
class Verified:
    """When the worker last looked, and what it found."""

    at: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the audit is asked for; what is empty is not asked about.

    `action` is an action's word, or the beginning of several with its dot
    (`link.`); the days are the practice's, `last` included.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    first: date | None = None
    last: date | None = None


def verify() -> Verdict:
    """Walk the whole chain and compare its end with the head outside the database.

    Changes nothing; entries may be added meanwhile.
    """
    if not inspect(db.engine).has_table(AuditEntry.__tablename__):
        return Verdict(0, "the table of the entries is missing. Restore a backup.")
    head = current().head.read()  # first: what comes later only makes the chain longer
    newest = START
    for entry in _walk():
        number = newest.number + 1
        if entry.id > number:
            return Verdict(newest.number, f"entry {number} is missing.")
        if entry.id < number:
            return Verdict(newest.number, f"entry {entry.id} was put in.")
        if not _follows(entry, newest.digest):
            return Verdict(newest.number, f"entry {number} was changed.")
        newest = Newest(number, entry.digest)
        if head is not None and head.number == number and head != newest:
            words = f"entry {number} is not the one that was written: the audit was made anew."
            return Verdict(number, words)
    return Verdict(newest.number, _cut_off(newest, head), _after_head(newest))


def _after_head(newest: Newest) -> int:
    """Looks at the head once more: it may have been raised while the chain was walked."""
    head = current().head.read()
    return max(newest.number - head.number, 0) if head else 0


def _cut_off(newest: Newest, head: Newest | None) -> str:
    if head is None:
        return (
            "audit.head is missing or damaged, so that nobody can tell whether the last "
            "entries are still there. Put it back from a copy, or begin a new one: "
            "flask audit restart."
        )
    if head.number <= newest.number:
        return ""
    first = newest.number + 1
    if first == head.number:
        return f"entry {first} is missing: the end was cut off."
    return f"entry {first} is missing, and all up to {head.number}: the end was cut off."


def verify_daily() -> None:
    """The audit was verified today, and says so itself."""
    last = last_verified()
    if last is not None and clock.now() < last.at + A_DAY:
        return
    found = verify()
    with transaction() as session:
        detail = {
            "entries": found.entries,
            "wrong": found.wrong or None,
            "after_head": found.after_head or None,
        }
        record(session, access.WORKER, Action.AUDIT_VERIFIED, SUBJECT, **detail)


def last_verified() -> Verified | None:
    """What the worker found when it last verified the audit."""
    of_these = select(AuditEntry).where(AuditEntry.action == Action.AUDIT_VERIFIED)
    found = db.session.scalar(of_these.order_by(AuditEntry.id.desc()).limit(1))
    if found is None:
        return None
    detail = found.detail
    verdict = Verdict(
        int(detail.get("entries", 0)), detail.get("wrong") or "", int(detail.get("after_head") or 0)
    )
    return Verified(found.at, verdict)


def restart_head(actor: Actor, *, restored_from: datetime | None = None) -> None:
    """From now on the chain's end is the one that is here, whatever the head said.

    For a database that was restored as it stood at `restored_from`, or a head
    that was lost. An entry says so first. Raises OSError, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    before = current().head.read()
    with transaction() as session:
        detail = {
            "restored_from": restored_from.isoformat() if restored_from else None,
            "head_was": before.number if before else None,
        }
        record(session, actor, Action.AUDIT_RESTARTED, SUBJECT, **detail)
        session.flush()
        added = session.execute(
            select(AuditEntry.id, AuditEntry.digest).order_by(AuditEntry.id.desc()).limit(1)
        ).one()
    current().head.restart(Newest(*added))


def page(actor: Actor, asked: Asked, before: int | None, size: int) -> list[AuditEntry]:
    """The newest entries that were asked for, or the newest below the number `before`.

    Raises Invalid for days too far away, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    _check_days(asked)
    wanted = _asked_for(select(AuditEntry), asked)
    if before is not None:
        wanted = wanted.where(AuditEntry.id < before)
    return list(db.session.scalars(wanted.order_by(AuditEntry.id.desc()).limit(size)))


def export(actor: Actor, asked: Asked) -> Iterator[bytes]:
    """The entries that were asked for as CSV, oldest first; noted before anything leaves.

    Raises Invalid for days too far away, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    _check_days(asked)
    with transaction() as session:
        days = {
            "first": asked.first.isoformat() if asked.first else None,
            "last": asked.last.isoformat() if asked.last else None,
        }
        record(session, actor, Action.AUDIT_EXPORTED, SUBJECT, **days)
    return _table(asked)


def names() -> dict[str, str]:
    """Each user's name, by the word that entries have for the user."""
    found = db.session.execute(select(User.id, User.name).order_by(User.name))
    return {f"user:{user_id}": name for user_id, name in found}


def _check_days(asked: Asked) -> None:
    """The day after has to be a day as well, in every zone."""
    if not all(plans.is_near(day) for day in (asked.first, asked.last) if day):
        raise Invalid(plans.TOO_FAR)


def _table(asked: Asked) -> Iterator[bytes]:
    yield csv_write.write_table(COLUMNS, [])
    known = names()
    for entry in _walk(_asked_for(_EVERYTHING, asked)):
        yield csv_write.write_rows([_cells(entry, known)])


def _cells(entry: _Entry, known: dict[str, str]) -> tuple[str, ...]:
    return (
        str(entry.id),
        entry.at.isoformat(timespec="seconds"),
        known.get(entry.actor, entry.actor),
        entry.actor,
        words(entry.action),
        entry.action,
        entry.subject,
        ", ".join(f"{word}: {value}" for word, value in entry.detail.items() if value is not None),
        entry.digest,
    )


def _asked_for(wanted: Select[Any], asked: Asked) -> Select[Any]:
    if asked.actor:
        wanted = wanted.where(AuditEntry.actor == asked.actor)
    if asked.action.endswith("."):
        wanted = wanted.where(AuditEntry.action.startswith(asked.action, autoescape=True))
    elif asked.action:
        wanted = wanted.where(AuditEntry.action == asked.action)
    if asked.subject:
        wanted = wanted.where(AuditEntry.subject == asked.subject)
    if asked.first:
        wanted = wanted.where(AuditEntry.at >= _midnight(asked.first))
    if asked.last:
        wanted = wanted.where(AuditEntry.at < _midnight(asked.last + A_DAY))
    return wanted


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(practice.get().zone))


def _walk(wanted: Select[Any] | None = None) -> Iterator[_Entry]:
    """In the order of their numbers, a batch at a time."""
    wanted = _EVERYTHING if wanted is None else wanted
    after: int | None = None
    while entries := _batch(wanted, after, BATCH):
        yield from entries
        after = entries[-1].id


def _batch(wanted: Select[Any], after: int | None, size: int) -> list[_Entry]:
    following = wanted if after is None else wanted.where(AuditEntry.id > after)
    following = following.order_by(AuditEntry.id).limit(size)
    try:
        return list(db.session.execute(following).all())
    except (TypeError, ValueError):
        # Somebody wrote what is no moment, or no JSON: the entries before it are whole.
        if size > 1:
            return _batch(wanted, after, 1)
        return list(db.session.execute(following.with_only_columns(AuditEntry.id)).all())
    finally:
        db.session.rollback()  # a long reading transaction would let the log of changes grow


def _follows(entry: _Entry, before: str) -> bool:
    try:
        found = chain.digest(
            *(before, entry.id, entry.at, entry.actor, entry.action, entry.subject, entry.detail)
        )
        return bool(found == entry.digest)
    except (AttributeError, TypeError, ValueError):
        return False
