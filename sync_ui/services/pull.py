"""What was changed outside is read, and becomes a question, an answer, or nothing.

Everything that one reading found is stored together with the token that stands
for it: a reading that is cut off, or done twice, changes nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import reconcile
from sync_ui.domain.outside import Changes, Entry, Expired, Provider, Told
from sync_ui.domain.reconcile import OTHER, Found, Rule
from sync_ui.models import (
    Appointment,
    Connection,
    ConnectionState,
    Copy,
    Outcome,
    Proposal,
    ProposalKind,
    db,
)
from sync_ui.services import copies, events, steps
from sync_ui.services.copies import Wanted
from sync_ui.services.leases import Lease
from sync_ui.services.steps import Did

# So often within a day we put back what somebody else, or a program, keeps changing.
MOST_RESTORED = 2
A_DAY = timedelta(days=1)

_DID = {
    Found.ADOPT: Did.ADOPTED,
    Found.RESTORE: Did.RESTORED,
    Found.MOVED: Did.MOVED_OUTSIDE,
    Found.REMOVED: Did.REMOVED_OUTSIDE,
    Found.OVERTAKEN: Did.OVERTAKEN,
    Found.STRAY: Did.FOUND_AGAIN,
}


@dataclass(frozen=True, slots=True)
class Pulled:
    """Proposals that the connection's rule may accept by itself; whether it was stopped."""

    proposals: tuple[int, ...] = ()
    stopped: bool = False


def pull(lease: Lease, provider: Provider) -> Pulled:
    """Raises the provider's Trouble, LeaseLost."""
    connection = db.session.get_one(Connection, lease.connection_id)
    calendar_id, token, mark = (
        connection.outside_id,
        connection.token,
        copies.mark(connection.calendar),
    )
    db.session.rollback()
    changes = read(provider, calendar_id, token)
    now = clock.now()
    with lease.writing() as (session, connection):
        wanted = copies.wanted(connection, now)
        return _Reading(session, connection, wanted, now).of(changes, mark)


def read(provider: Provider, calendar_id: str, token: str | None) -> Changes:
    """Since the token; everything if it is no longer good."""
    try:
        return provider.changes(calendar_id, token)
    except Expired:
        return provider.changes(calendar_id, None)


class _Reading:
    """What a reading means for the copies of one connection, in the transaction under way."""

    def __init__(
        self, session: Session, connection: Connection, wanted: Mapping[str, Wanted], now: datetime
    ) -> None:
        self._session = session
        self._connection = connection
        self._wanted = wanted
        self._window = events.window(copies.shown(connection), now)
        self._known = copies.known(session, connection.id)

    def of(self, changes: Changes, mark: str) -> Pulled:
        ours = copies.ours(changes.entries, self._known, mark)
        seen: dict[str, Entry | None] = {entry.id: entry for entry in ours}
        seen |= {gone: None for gone in changes.gone if gone in self._known}
        if changes.whole:
            seen |= {known: None for known in self._known if known not in seen}
        means = {
            entry_id: self._meaning(entry_id, entry, marked=entry is None or entry.mark == mark)
            for entry_id, entry in seen.items()
        }
        connection = self._connection
        standing = sum(bool(copy.etag) for copy in self._known.values())
        if connection.answer is None and reconcile.is_suspicious(means.values(), standing):
            connection.state = ConnectionState.STOPPED
            count = sum(means[each] in reconcile.BY_OTHERS for each in means)
            connection.trouble = (
                f"{count} of {standing} appointments were changed or removed outside at once."
            )
            steps.note(self._session, connection.id, Did.STOPPED, count)
            return Pulled(stopped=True)
        rule = connection.answer or connection.rule
        proposals = [
            settle(
                self._session,
                connection,
                self._known.get(each),
                each,
                means[each],
                seen[each],
                self._wanted.get(each),
                rule,
            )
            for each in seen
        ]
        note(self._session, connection, Counter(means.values()))
        if changes.whole:
            steps.note(self._session, connection.id, Did.READ_WHOLE, len(changes.entries))
        connection.token, connection.answer = changes.token, None
        self._session.flush()
        # No rule cancels: of a removal somebody is always asked.
        made = [each.id for each in proposals if each and each.kind is ProposalKind.MOVE]
        return Pulled(tuple(made) if rule is Rule.FOLLOW else ())

    def _meaning(self, entry_id: str, entry: Entry | None, *, marked: bool) -> Found:
        wanted = self._wanted.get(entry_id)
        past = entry is not None and is_past(entry.told, self._window[0])
        base = copies.base(self._known.get(entry_id))
        return reconcile.found(
            wanted.told if wanted else None, base, entry, past=past, marked=marked
        )


def note(session: Session, connection: Connection, means: Mapping[Found, int]) -> None:
    """In the log of the connection, how often each was found."""
    for meaning, count in means.items():
        if meaning in _DID:
            steps.note(session, connection.id, _DID[meaning], count)


def is_past(told: Told | None, window_starts: datetime) -> bool:
    """Whether it has left the window at its back."""
    if told is None:
        return False
    return _moment(told.ends, ZoneInfo("UTC")) <= window_starts


def _moment(moment: datetime | date, zone: ZoneInfo) -> datetime:
    """Of a day: when it begins in the zone."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), zone).astimezone(UTC)


def settle(
    session: Session,
    connection: Connection,
    copy: Copy | None,
    entry_id: str,
    meaning: Found,
    entry: Entry | None,
    wanted: Wanted | None,
    rule: Rule,
) -> Proposal | None:
    """Note what was found of one copy; the proposal that it makes, if it makes one."""
    if meaning is Found.NOTHING:
        return None
    if meaning is Found.FORGET:
        if copy is not None and wanted is None:
            close(session, copy, Outcome.WITHDRAWN)
            session.delete(copy)
        return None
    if copy is None:
        copy = Copy(
            connection_id=connection.id, entry_id=entry_id, uid=wanted.uid if wanted else ""
        )
        session.add(copy)
    copy.etag = entry.etag if entry else ""
    if meaning in (Found.ADOPT, Found.STRAY):
        close(session, copy, Outcome.WITHDRAWN)
        told = entry.told if entry else None
        copy.digest, copy.when = (told.digest, told.when) if told else (OTHER, "")
        copy.attempts, copy.next_at, copy.trouble = 0, None, ""
        return None
    copy.digest = OTHER
    if meaning is Found.OVERTAKEN:
        close(session, copy, Outcome.OVERTAKEN)
        return _propose(session, connection, copy, entry, Outcome.OVERTAKEN)
    if meaning is Found.RESTORE or rule is Rule.PUT_BACK:
        close(session, copy, Outcome.PUT_BACK)
        _restore(session, copy)
        return None
    assert wanted is not None
    copy.held = wanted.told.digest
    return _propose(session, connection, copy, entry, None)


def _restore(session: Session, copy: Copy) -> None:
    """At most twice a day: otherwise a quarrel with another program would not end."""
    now = clock.now()
    if copy.restored_at is None or not copy.restored_at <= now < copy.restored_at + A_DAY:
        copy.restored, copy.restored_at = 0, now
    copy.restored += 1
    if copy.restored > MOST_RESTORED:
        copy.parked = True
        copy.trouble = "Somebody, or another program, keeps changing it outside."
        steps.note(session, copy.connection_id, Did.PARKED, 1)


def _propose(
    session: Session,
    connection: Connection,
    copy: Copy,
    entry: Entry | None,
    outcome: Outcome | None,
) -> Proposal | None:
    """One open proposal for each copy: a later change outside takes the place of the earlier."""
    appointment = session.scalar(select(Appointment).where(Appointment.uid == copy.uid))
    if appointment is None:
        return None
    found = open_of(session, copy)
    proposal = found or Proposal(
        connection_id=connection.id, appointment_id=appointment.id, entry_id=copy.entry_id
    )
    told = entry.told if entry else None
    proposal.kind = ProposalKind.MOVE if told else ProposalKind.REMOVAL
    zone = ZoneInfo(appointment.zone)
    proposal.starts_at = _moment(told.starts, zone) if told else None
    proposal.ends_at = _moment(told.ends, zone) if told else None
    proposal.was_starts_at, proposal.was_ends_at = appointment.starts_at, appointment.ends_at
    proposal.made_at = clock.now()
    proposal.outcome = outcome
    proposal.decided_at = clock.now() if outcome else None
    session.add(proposal)
    return None if outcome else proposal


def open_of(session: Session, copy: Copy) -> Proposal | None:
    return session.scalar(
        select(Proposal).where(
            Proposal.connection_id == copy.connection_id,
            Proposal.entry_id == copy.entry_id,
            Proposal.decided_at.is_(None),
        )
    )


def close(session: Session, copy: Copy, outcome: Outcome) -> None:
    """Whoever was asked about this copy is asked no more."""
    found = open_of(session, copy)
    if found is not None:
        found.outcome, found.decided_at = outcome, clock.now()
    copy.held = ""
