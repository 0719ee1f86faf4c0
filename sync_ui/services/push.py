"""What is owed is written: the difference between what is wanted and what stands there.

Ids are stored before the first writing, and every writing names the etag that it
overwrites: so a crash anywhere, an answer that is lost or a second worker can
neither write a thing twice nor overwrite what nobody has seen.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import outside, reconcile
from sync_ui.domain.outside import Later, Provider, Rejected, Stale, Told
from sync_ui.domain.reconcile import Found, Owed, Rule
from sync_ui.models import Connection, Copy, Direction, Outcome, db
from sync_ui.services import copies, events, pull, steps
from sync_ui.services.copies import Wanted
from sync_ui.services.leases import Lease
from sync_ui.services.steps import Did

# So many are written before others have their turn, and before a worker that is told to stop ends.
AT_ONCE = 20

MOST_ATTEMPTS = 8

# So many that fail one after the other are the provider's trouble, not their own.
MOST_IN_A_ROW = 3

# So many copies a connection can have at most: no practice has more, and a mistake stops there.
MOST_COPIES = 20_000

_DID = {
    Owed.CREATE: Did.WROTE,
    Owed.OVERWRITE: Did.WROTE,
    Owed.REMOVE: Did.REMOVED,
    Owed.FORGET: Did.LEFT,
}


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing to write, as it was known when the pass began.

    It is not `due` while it is put off or parked.
    """

    entry_id: str
    owed: Owed
    uid: str
    told: Told | None
    etag: str
    due: bool


def duties(connection: Connection, wanted: Mapping[str, Wanted]) -> list[Duty]:
    """Everything that is owed, what is put off or parked included."""
    known = copies.known(db.session(), connection.id)
    window_starts = events.window(copies.shown(connection), clock.now())[0]
    found = []
    for entry_id in [*wanted, *(each for each in known if each not in wanted)]:
        want, copy = wanted.get(entry_id), known.get(entry_id)
        told = want.told if want else None
        past = want is None and copy is not None and _is_past(copy.when, window_starts)
        owed = reconcile.owed(told, copies.base(copy), past=past)
        if owed is not Owed.NOTHING:
            uid = want.uid if want else ""
            etag = copy.etag if copy else ""
            found.append(Duty(entry_id, owed, uid, told, etag, _is_due(copy)))
    return found


def _is_past(when: str, window_starts: object) -> bool:
    ends = when.partition("/")[2]
    return bool(ends) and ends <= f"{window_starts:%Y%m%dT%H%M%SZ}"


class Push:
    """Writes for one connection."""

    def __init__(self, lease: Lease, provider: Provider) -> None:
        self._lease = lease
        self._provider = provider
        self._failed_in_a_row = 0
        self._seen_anew = False

    def push(self, at_once: int = AT_ONCE) -> bool:
        """Write what is due, at most so much. Returns whether more of it is left.

        Raises the provider's Trouble, LeaseLost.
        """
        connection = db.session.get_one(Connection, self._lease.connection_id)
        now = clock.now()
        state = copies.state(connection, now)
        wanted = copies.wanted(connection, now)
        if len(wanted) > MOST_COPIES:
            raise Rejected(f"More than {MOST_COPIES} appointments would be written.")
        due = [duty for duty in duties(connection, wanted) if duty.due]
        self._calendar_id = connection.outside_id
        self._mark = copies.mark(connection.calendar)
        self._sends_only = connection.direction is Direction.SEND_ONLY
        db.session.rollback()
        self._prepare(due)
        did = Counter(_DID[duty.owed] for duty in due[:at_once] if self._do(duty))
        with self._lease.writing() as (session, connection):
            for each, count in did.items():
                steps.note(session, connection.id, each, count)
            left = len(due) > at_once or self._seen_anew
            if not left:
                connection.written = state
        return left

    def _prepare(self, due: list[Duty]) -> None:
        """Ids are known before anything is written under them; what is over is forgotten."""
        with self._lease.writing() as (session, connection):
            known = copies.known(session, connection.id)
            for duty in due:
                if duty.owed is Owed.FORGET and duty.entry_id in known:
                    session.delete(known[duty.entry_id])
                elif duty.entry_id not in known:
                    made = Copy(connection_id=connection.id, entry_id=duty.entry_id, uid=duty.uid)
                    session.add(made)

    def _do(self, duty: Duty) -> bool:
        """Whether it is done; if not, what became of it is noted."""
        if duty.owed is Owed.FORGET:
            return True
        try:
            self._write(duty)
        except Stale:
            self._look_again(duty)
        except Rejected as trouble:
            self._fail(duty, trouble)
        except Later as trouble:
            self._failed_in_a_row += 1
            self._fail(duty, trouble)
            if trouble.seconds is not None or self._failed_in_a_row >= MOST_IN_A_ROW:
                raise
        else:
            self._failed_in_a_row = 0
            return True
        return False

    def _write(self, duty: Duty) -> None:
        etag = duty.etag or None
        if duty.told is None:
            # Whoever reads nothing never learns what became of a writing whose answer was lost.
            if etag is not None or self._sends_only:
                self._provider.remove(self._calendar_id, duty.entry_id, etag)
            self._gone(duty)
            return
        copy = outside.Copy(id=duty.entry_id, mark=self._mark, told=duty.told)
        self._stands(duty, self._provider.put(self._calendar_id, copy, etag))

    def _stands(self, duty: Duty, etag: str) -> None:
        assert duty.told is not None
        with self._lease.writing() as (session, connection):
            copy = _copy(session, connection, duty)
            pull.close(session, copy, Outcome.OVERTAKEN)
            copies.confirm(copy, duty.told, etag)

    def _gone(self, duty: Duty) -> None:
        with self._lease.writing() as (session, connection):
            copy = _copy(session, connection, duty)
            pull.close(session, copy, Outcome.OVERTAKEN)
            session.delete(copy)

    def _look_again(self, duty: Duty) -> None:
        """Somebody was there first: ourselves, whose answer was lost, or somebody outside.

        What they did is taken note of as if it had been read; what is still owed
        is written by the next pass.
        """
        entry = self._provider.get(self._calendar_id, duty.entry_id)
        self._seen_anew = True
        with self._lease.writing() as (session, connection):
            copy = _copy(session, connection, duty)
            wanted = Wanted(duty.uid, duty.told) if duty.told else None
            if self._sends_only:  # whatever they did is of no interest
                copy.etag = entry.etag if entry else ""
                copy.digest = reconcile.OTHER
                told = entry.told if entry else None
                if told and duty.told and told.digest == duty.told.digest and entry:
                    copies.confirm(copy, duty.told, entry.etag)
                return
            meaning = reconcile.found(
                duty.told, copies.base(copy), entry, marked=not entry or entry.mark == self._mark
            )
            if meaning is Found.NOTHING:  # the provider refuses an etag that it tells itself
                copy.next_at = clock.now() + timedelta(minutes=1)
                return
            rule = Rule.ASK if connection.rule is Rule.FOLLOW else connection.rule
            pull.settle(session, connection, copy, duty.entry_id, meaning, entry, wanted, rule)
            pull.note(session, connection, {meaning: 1})

    def _fail(self, duty: Duty, trouble: Rejected | Later) -> None:
        """Later again; parked in the end, so that the others go on."""
        with self._lease.writing() as (session, connection):
            copy = _copy(session, connection, duty)
            copy.attempts += 1
            copy.trouble = str(trouble)
            copy.next_at = clock.now() + timedelta(minutes=2 ** min(copy.attempts, 6))
            if copy.attempts >= MOST_ATTEMPTS:
                copy.parked = True
                steps.note(session, connection.id, Did.PARKED, 1, copy.trouble)


def _copy(session: Session, connection: Connection, duty: Duty) -> Copy:
    copy = copies.find(session, connection.id, duty.entry_id)
    assert copy is not None  # `_prepare` made it, and the lease keeps everybody else away
    return copy


def _is_due(copy: Copy | None) -> bool:
    if copy is None:
        return True
    return not copy.parked and (copy.next_at is None or copy.next_at <= clock.now())
