"""A change of a series taken back as a whole, as long as nobody has changed the same since."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any

from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.event import Status
from sync_ui.errors import Conflict, NotFound
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Change,
    Client,
    Series,
    db,
    transaction,
)
from sync_ui.services import access, calendars, clients, snapshots
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.bulk import delete_rows, put_back, reserved
from sync_ui.services.known import batches

# So long a change can be undone.
KEPT = timedelta(days=1)

_APPOINTMENT: Table = Appointment.__table__  # type: ignore[assignment]
_ATTENDANCE: Table = AppointmentClient.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]

# Rows as `snapshots.plain` has them, with `clients` as [id, position], by table and key:
# the UID of an appointment, since an id can be given out again, and the id of a series.
Kept = dict[str, Any]
Rows = dict[tuple[str, str], Kept]


@contextmanager
def kept(session: Session, actor: Actor, appointment_id: int, *, when: bool) -> Iterator[None]:
    """What happens inside to the appointment and its series can be undone, if `when`.

    To be used in the transaction of the change. Raises NotFound.
    """
    if not when:
        yield
        return
    before = _around(session, set(), {access.appointment(actor, appointment_id).uid})
    yield
    rows = _difference(before, _around(session, *_keys(before)))
    if rows:
        own = {"user_id": actor.user_id, "appointment_id": appointment_id}
        session.add(Change(**own, at=clock.now(), rows=rows))


def latest(actor: Actor, appointment_id: int) -> int | None:
    """The actor's newest change of this appointment, if it can still be undone.

    A change of this appointment alone is none. Raises NotFound.
    """
    access.appointment(actor, appointment_id)
    change = db.session.scalar(
        select(Change)
        .where(Change.appointment_id == appointment_id, Change.user_id == actor.user_id)
        .where(Change.undone_at.is_(None))
        .order_by(Change.id.desc())
        .limit(1)
    )
    if change is None:
        return None
    try:
        _Undoing(db.session(), change).refuse(actor)
    except (Conflict, NotFound):
        return None
    return change.id


def undo(actor: Actor, change_id: int) -> Appointment:
    """Everything is as it was before the change; feeds hear of it at their next reading.

    Whatever has come to be at the old time does not stand in its way. Returns the
    appointment that was edited. Raises NotFound for another's change, Conflict if it
    is too late.
    """
    with transaction() as session:
        change = access.get(Change, change_id, "There is no such change.")
        if change.user_id != actor.user_id:
            raise NotFound("There is no such change.")
        undoing = _Undoing(session, change)
        undoing.refuse(actor)
        undoing.number_initials()
        change.undone_at = clock.now()
        at = calendars.stamp(session)
        session.flush()
        try:
            undoing.carry_out(at)
        except IntegrityError:  # something new has taken the place of what was deleted
            raise _late() from None
        session.expire_all()
        calendars.raise_versions(session, undoing.clinician_ids, at)
        subject = f"appointment:{change.appointment_id}"
        record(session, actor, Action.CHANGE_UNDONE, subject, rows=len(change.rows))
        return access.appointment(actor, change.appointment_id)


class _Undoing:
    """A change, and what it touched as it is now."""

    def __init__(self, session: Session, change: Change) -> None:
        self._session = session
        self._change = change
        self._noted = {(noted["table"], noted["key"]): noted for noted in change.rows}
        self._before: dict[str, Kept] = {
            key: noted["before"]
            for (table, key), noted in self._noted.items()
            if table == _APPOINTMENT.name and noted["before"]
        }
        found = _rows(session, *_keys(self._noted))
        self._now = {key: row for key, row in found.items() if key in self._noted}
        # Turns that the touched series have come to have by themselves.
        self._grown = [
            row
            for key, row in found.items()
            if key not in self._noted and datetime.fromisoformat(row["created_at"]) > change.at
        ]

    @property
    def clinician_ids(self) -> set[int]:
        return {row["clinician_id"] for row in (*self._before.values(), *self._now.values())}

    def refuse(self, actor: Actor) -> None:
        """Raises Conflict, and NotFound for another's schedule."""
        if self._change.undone_at is not None:
            raise Conflict("This change was undone already.")
        if self._change.at < clock.now() - KEPT:
            raise Conflict("This change is more than a day old and can be undone no more.")
        for key, noted in self._noted.items():
            now = self._now.get(key)
            if (now and _digest(now)) != noted["after"]:
                raise _late()
        if any(map(_is_touched, self._grown)):
            raise _late()
        for clinician_id in self.clinician_ids:
            if access.clinician(actor, clinician_id).archived_at is not None:
                raise Conflict("This clinician has left the practice.")

    def number_initials(self) -> None:
        """Whoever comes again may have another name by now."""
        coming: defaultdict[int, set[int]] = defaultdict(set)
        for row in self._before.values():
            coming[row["clinician_id"]].update(client_id for client_id, _ in row["clients"])
        for clinician_id, ids in coming.items():
            found = self._session.scalars(select(Client).where(Client.id.in_(ids)))
            attending = list(clients.kept(self._session, found))
            clients.number_initials(self._session, clinician_id, attending)

    def carry_out(self, at: datetime) -> None:
        """Raises IntegrityError if something new stands where a deleted row was."""
        made = [
            row["uid"]
            for key, row in self._now.items()
            if key[0] == _APPOINTMENT.name and key[1] not in self._before
        ]
        delete_rows(
            self._session, _APPOINTMENT.c.uid, [*made, *(turn["uid"] for turn in self._grown)]
        )
        stayed = {
            self._now[_APPOINTMENT.name, uid]["id"]: row
            for uid, row in self._before.items()
            if (_APPOINTMENT.name, uid) in self._now
        }
        for ids in batches(stayed):  # first all of them, since names trade places
            nowhere = {"series_id": None, "occurrence": None}
            of_ids = _APPOINTMENT.c.id.in_(ids)
            self._session.execute(update(_APPOINTMENT).where(of_ids).values(**nowhere))
        self._put_series_back()
        put_back(self._session, stayed, at)
        gone = [
            row for uid, row in self._before.items() if (_APPOINTMENT.name, uid) not in self._now
        ]
        self._attend(stayed | self._bring_back(gone, at))

    def _put_series_back(self) -> None:
        for (table, key), noted in self._noted.items():
            if table != _SERIES.name:
                continue
            if noted["before"] is None:
                delete_rows(self._session, _SERIES.c.id, [int(key)])
                continue
            values = snapshots.restored(_SERIES, noted["before"])
            known = (self._merged.get(each, each) for each in values["client_ids"])
            values["client_ids"] = list(dict.fromkeys(known))
            self._session.execute(update(_SERIES).where(_SERIES.c.id == int(key)).values(**values))

    def _bring_back(self, gone: Sequence[Kept], at: datetime) -> dict[int, Kept]:
        """Those that the change deleted, by their ids: the old ones, if nothing else has them."""
        taken: set[int] = set()
        for ids in batches(row["id"] for row in gone):
            of_ids = _APPOINTMENT.c.id.in_(ids)
            taken.update(self._session.scalars(select(_APPOINTMENT.c.id).where(of_ids)))
        back = {row["id"]: row for row in gone if row["id"] not in taken}
        self._insert(back, at)
        others = [row for row in gone if row["id"] in taken]
        free = reserved(self._session, _APPOINTMENT, len(others))
        renamed = dict(zip(free, others, strict=True))
        self._insert(renamed, at)
        return back | renamed

    def _insert(self, rows: dict[int, Kept], at: datetime) -> None:
        values = [
            snapshots.restored(_APPOINTMENT, row)
            | {"id": row_id, "revision": row["revision"] + 1, "changed_at": at}
            for row_id, row in rows.items()
        ]
        for some in batches(values):
            self._session.execute(insert(_APPOINTMENT), some)

    def _attend(self, rows: dict[int, Kept]) -> None:
        delete_rows(self._session, _ATTENDANCE.c.appointment_id, list(rows))
        attending = []
        for row_id, row in rows.items():
            positions: dict[int, int] = {}
            for client_id, position in row["clients"]:
                positions.setdefault(self._merged.get(client_id, client_id), position)
            attending += [
                {"appointment_id": row_id, "client_id": client_id, "position": position}
                for client_id, position in positions.items()
            ]
        for some in batches(attending):
            self._session.execute(insert(_ATTENDANCE), some)

    @cached_property
    def _merged(self) -> dict[int, int]:
        """Who was kept for each duplicate."""
        columns = select(Client.id, Client.merged_into_id)
        found = self._session.execute(columns.where(Client.merged_into_id.is_not(None)))
        return {row.id: row.merged_into_id for row in found}


def _rows(session: Session, series_ids: Collection[int], uids: Collection[str]) -> Rows:
    """These series with all their turns, and these appointments."""
    found: Rows = {}
    for ids in batches(series_ids):
        stored = session.execute(select(_SERIES).where(_SERIES.c.id.in_(ids))).mappings()
        found |= {(_SERIES.name, str(row["id"])): snapshots.plain(_SERIES, row) for row in stored}
    by_id: dict[int, Kept] = {}
    for column, wanted in (
        (_APPOINTMENT.c.series_id, series_ids),
        (_APPOINTMENT.c.uid, uids),
    ):
        for some in batches(wanted):
            stored = session.execute(select(_APPOINTMENT).where(column.in_(some))).mappings()
            by_id |= {row["id"]: snapshots.plain(_APPOINTMENT, row) for row in stored}
    for ids in batches(by_id):
        of_ids = _ATTENDANCE.c.appointment_id.in_(ids)
        in_order = (_ATTENDANCE.c.appointment_id, _ATTENDANCE.c.position)
        for row in session.execute(select(_ATTENDANCE).where(of_ids).order_by(*in_order)):
            by_id[row.appointment_id]["clients"].append([row.client_id, row.position])
    return found | {(_APPOINTMENT.name, row["uid"]): row for row in by_id.values()}


def _around(session: Session, series_ids: set[int], uids: set[str]) -> Rows:
    """These series and those that these appointments are in, with all their turns."""
    session.flush()
    joined = set(series_ids)
    for some in batches(uids):
        found = select(_APPOINTMENT.c.series_id).where(_APPOINTMENT.c.uid.in_(some))
        joined.update(session.scalars(found.where(_APPOINTMENT.c.series_id.is_not(None))))
    return _rows(session, joined, uids)


def _keys(rows: Collection[tuple[str, str]]) -> tuple[set[int], set[str]]:
    """The ids of the series and the UIDs of the appointments."""
    series_ids = {int(key) for table, key in rows if table == _SERIES.name}
    return series_ids, {key for table, key in rows if table == _APPOINTMENT.name}


def _difference(before: Rows, after: Rows) -> list[dict[str, Any]]:
    found = []
    for table, key in before | after:
        old, new = before.get((table, key)), after.get((table, key))
        if _told(old) != _told(new):
            left = _digest(new) if new else None
            found.append({"table": table, "key": key, "before": old, "after": left})
    return found


def _told(row: Kept | None) -> Kept | None:
    """All but what rises with the undoing as well."""
    return row and {name: row[name] for name in row if name not in {"revision", "changed_at"}}


def _digest(row: Kept) -> str:
    told = {name: row[name] for name in row if name not in snapshots.RISING}
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()


def _is_touched(turn: Kept) -> bool:
    moved = turn["starts_local"] != turn["occurrence"]
    return moved or bool(turn["own"]) or turn["status"] != Status.SCHEDULED.value


def _late() -> Conflict:
    return Conflict(
        "Some of these appointments were changed since, so this cannot be undone as a whole."
    )
