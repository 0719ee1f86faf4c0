"""Copies: what a connection wants to stand at the provider, and under which ids."""

import re
from base64 import b32hexencode
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sync_ui.domain import outside
from sync_ui.domain.outside import Entry, Told
from sync_ui.domain.reconcile import Base
from sync_ui.models import Calendar, Connection, Copy, db
from sync_ui.services import events, limits, practice

_OURS = re.compile("sc[0-9a-v]{32}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An appointment, by its UID, as it is to stand there."""

    uid: str
    told: Told


def shown(connection: Connection) -> events.Shown:
    """The connection's calendar as it may show it: within the same limits as a link's feed."""
    found = practice.get()
    return events.Shown(
        clinician_id=connection.calendar.clinician_id,
        zone=found.zone,
        mode=limits.shown(connection.mode, agreed=bool(connection.agreement)),
        choices=connection.choices,
        revision=0,
        link_changed_at=connection.created_at,
        days_back=found.days_back,
        months_ahead=found.months_ahead,
    )


def wanted(connection: Connection, now: datetime) -> dict[str, Wanted]:
    """Everything that is to stand there, by its id at the provider."""
    uid = connection.calendar.uid
    return {
        entry_id(uid, event.uid): Wanted(event.uid, outside.told(event))
        for event in events.all_within(shown(connection), now)
    }


def state(connection: Connection, now: datetime) -> str:
    """Changes with whatever may change what is wanted: the schedule, the policy, the day."""
    found = practice.get()
    about = (
        connection.calendar.version,
        found.policy_revision,
        events.today(found.zone, now),
        found.days_back,
        found.months_ahead,
        shown(connection).mode,
        connection.choices,
    )
    return _name(repr(about))


def entry_id(calendar_uid: str, appointment_uid: str) -> str:
    """The same for life, also when the calendar is connected anew: so nothing comes twice."""
    return "sc" + _name(f"copy:{calendar_uid}:{appointment_uid}")


def ours(entries: Iterable[Entry], known: Collection[str], mark: str) -> list[Entry]:
    """Those that the connection wrote: known by their ids, or with our mark under an id of ours.

    A copy that somebody made of an entry has the mark, but another kind of id.
    """
    return [
        entry
        for entry in entries
        if entry.id in known or (entry.mark == mark and _OURS.fullmatch(entry.id))
    ]


def mark(calendar: Calendar) -> str:
    """Says that it was written for this calendar by this installation."""
    return _name(f"mark:{calendar.uid}")[:16]


def _name(text: str) -> str:
    """32 of the characters that Google takes in an id: a to v, and digits."""
    return b32hexencode(sha256(text.encode()).digest()[:20]).decode().lower()


def known(session: Session, connection_id: int) -> dict[str, Copy]:
    found = session.scalars(select(Copy).where(Copy.connection_id == connection_id))
    return {copy.entry_id: copy for copy in found}


def find(session: Session, connection_id: int, entry_id: str) -> Copy | None:
    return session.scalar(
        select(Copy).where(Copy.connection_id == connection_id, Copy.entry_id == entry_id)
    )


def base(copy: Copy | None) -> Base | None:
    if copy is None:
        return None
    return Base(etag=copy.etag, digest=copy.digest, when=copy.when, held=copy.held)


def confirm(copy: Copy, told: Told, etag: str) -> None:
    """That is what stands there, and it is as we want it."""
    copy.etag, copy.digest, copy.when, copy.held = etag, told.digest, told.when, ""
    copy.attempts, copy.next_at, copy.parked, copy.trouble = 0, None, False, ""


def count(connection_id: int) -> int:
    """How many are known to stand there."""
    stand = Copy.connection_id == connection_id, Copy.etag != ""
    return db.session.scalar(select(func.count(Copy.id)).where(*stand)) or 0
