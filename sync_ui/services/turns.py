"""The turns of a series: appointments that keep what was said of them alone."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from sync_ui import clock
from sync_ui.domain.event import Status
from sync_ui.domain.recurrence import on_the_wall
from sync_ui.domain.series import Pattern
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, AppointmentClient, Client, Series
from sync_ui.services import appointments
from sync_ui.services.plans import Plan, moments
from sync_ui.services.practice import one_line, visible


class Field(StrEnum):
    """What can be said of one turn alone: the words in `Appointment.own`.

    The time holds the length, the zone and whether it is all day; the location
    the address of the video room.
    """

    TIME = "time"
    CLIENTS = "clients"
    KIND = "kind"
    TYPE = "type"
    TITLE = "title"
    LOCATION = "location"
    NOTE = "note"
    STATUS = "status"


_COLUMNS = {
    Field.KIND: ("kind",),
    Field.TYPE: ("type_id",),
    Field.TITLE: ("title",),
    Field.LOCATION: ("location", "telehealth_address"),
    Field.NOTE: ("note",),
}


def tidy(plan: Plan) -> Plan:
    """As it will be stored."""
    return replace(plan, title=one_line(plan.title), note=visible(plan.note).strip())


def differing(appointment: Appointment, plan: Plan) -> set[Field]:
    """In what the plan differs from the appointment as it stands."""
    found = {
        field
        for field, columns in _COLUMNS.items()
        if any(getattr(appointment, column) != getattr(plan, column) for column in columns)
    }
    times = (*moments(plan), plan.all_day)
    if (appointment.starts_at, appointment.ends_at, appointment.all_day) != times:
        found.add(Field.TIME)
    attending = [attendance.client_id for attendance in appointment.attendance]
    if attending != [client.id for client in plan.clients]:
        found.add(Field.CLIENTS)
    if appointment.status is not plan.status:
        found.add(Field.STATUS)
    return found


def name(wall: datetime) -> str:
    """How a turn of a series is known: the wall time of its rule."""
    return wall.isoformat()


def turn(plan: Plan, wall: datetime) -> Plan:
    """The same by the clock on the wall: 10:00 stays 10:00 across daylight saving."""
    return replace(plan, starts=wall, ends=wall + (plan.ends - plan.starts))


def plan_of(session: Session, series: Series) -> Plan:
    """The first turn; `turn` moves it."""
    return Plan(
        starts=series.starts_local,
        ends=series.ends_local,
        zone=series.zone,
        clients=appointments.find_clients(session, series.client_ids),
        kind=series.kind,
        type_id=series.type_id,
        title=series.title,
        location=series.location,
        telehealth_address=series.telehealth_address,
        note=series.note,
        all_day=series.all_day,
    )


def pattern_of(series: Series) -> Pattern:
    exceptions, additions = (
        tuple(datetime.fromisoformat(text) for text in texts)
        for texts in (series.exceptions, series.additions)
    )
    return Pattern(
        series.rule, series.starts_local, series.zone, series.all_day, exceptions, additions
    )


def series_of(clinician_id: int, plan: Plan, pattern: Pattern, extended_until: datetime) -> Series:
    series = Series(
        clinician_id=clinician_id, extended_until=extended_until, created_at=clock.now()
    )
    _say(series, plan, _COLUMNS)
    series.client_ids = [client.id for client in plan.clients]
    _time(series, pattern, plan.ends - plan.starts)
    return series


def _say(row: Series | Appointment, plan: Plan, fields: Iterable[Field]) -> None:
    for field in fields:
        for column in _COLUMNS.get(field, ()):
            setattr(row, column, getattr(plan, column))


def _time(series: Series, pattern: Pattern, length: timedelta) -> None:
    series.rule, series.zone, series.all_day = pattern.rule, pattern.zone, pattern.all_day
    series.starts_local, series.ends_local = pattern.starts, pattern.starts + length
    series.exceptions = [name(wall) for wall in pattern.exceptions]
    series.additions = [name(wall) for wall in pattern.additions]


class Turns:
    """The turns of one series, in the transaction under way.

    `touched` are the appointments that a change made or changed, `removed` tells
    how many it took away. The caller raises the calendars' versions.
    """

    def __init__(self, session: Session, series: Series, at: datetime) -> None:
        self.series = series
        self.touched: dict[int, Appointment] = {}
        self.made: list[Appointment] = []
        self.removed = 0
        self._session, self._at = session, at
        self._plan = plan_of(session, series)
        self._pattern = pattern_of(series)
        self._rows = {
            datetime.fromisoformat(found.occurrence): found
            for found in session.scalars(
                select(Appointment)
                .where(Appointment.series_id == series.id)
                .options(selectinload(Appointment.attendance))
                .order_by(Appointment.occurrence)
            )
            if found.occurrence
        }
        self._own = {found.id: self._said_alone(wall) for wall, found in self._rows.items()}

    def wall_of(self, appointment: Appointment) -> datetime:
        assert appointment.occurrence is not None
        return datetime.fromisoformat(appointment.occurrence)

    def ahead(self, wall: datetime) -> list[Appointment]:
        """Those from this turn on that have not started yet."""
        now = clock.now()
        return [row for at, row in self._rows.items() if at >= wall and row.starts_at > now]

    def since(self, wall: datetime) -> "Turns":
        """The series that begins with this turn; the earlier turns stay behind in this one.

        Raises Invalid for a turn that was added outside the rule.
        """
        earlier = self._pattern.walls(self._pattern.starts, wall)
        if not earlier and wall <= min(self._rows, default=wall):
            return self
        rest = self._pattern.since(wall)
        plan = turn(self._plan, wall)
        series = series_of(self.series.clinician_id, plan, rest, self.series.extended_until)
        self._session.add(series)
        self._session.flush()
        self.end_before(wall)
        for at, row in self._rows.items():
            if at >= wall:
                row.series_id = series.id
        self._session.flush()
        return Turns(self._session, series, self._at)

    def end_before(self, wall: datetime) -> bool:
        """No more turns are made from this wall time on; true if some would have been."""
        before = self._pattern.rule, self._pattern.additions
        self._set(self._pattern.before(wall))
        return (self._pattern.rule, self._pattern.additions) != before

    def move(self, edited: Appointment, plan: Plan) -> None:
        """The edited turn takes place as planned, and the others move along.

        Turns that have a time of their own keep it.
        """
        pattern, mapping = self._pattern.moved(
            self.wall_of(edited), plan.starts, plan.zone, all_day=plan.all_day
        )
        rows, self._rows = self._rows, {}
        for row in rows.values():  # first all of them, since names trade places
            row.occurrence = None
        self._session.flush()
        self._plan = replace(
            self._plan,
            starts=pattern.starts,
            ends=pattern.starts + (plan.ends - plan.starts),
            zone=plan.zone,
            all_day=plan.all_day,
        )
        self._set(pattern)
        for old, row in rows.items():
            wall = mapping(old)
            if wall is None or wall in self._rows:
                self._detach(row)
                continue
            self._rows[wall], row.occurrence = row, name(wall)
            if row is edited or Field.TIME not in self._own[row.id]:
                put(row, turn(self._plan, wall), {Field.TIME})
                self._touch(row)

    def say(self, edited: Appointment, plan: Plan, fields: Collection[Field]) -> None:
        """These fields are as planned in every turn that has said nothing else."""
        self._plan = replace(
            self._plan,
            clients=plan.clients if Field.CLIENTS in fields else self._plan.clients,
            **{
                column: getattr(plan, column)
                for field in fields
                for column in _COLUMNS.get(field, ())
            },
        )
        _say(self.series, plan, fields)
        self.series.client_ids = [client.id for client in self._plan.clients]
        changed = []
        for row in self._rows.values():
            said = set(fields) if row is edited else set(fields) - self._own[row.id]
            if not said & differing(row, plan):
                continue
            put(row, plan, said)
            self._touch(row)
            if Field.CLIENTS in said:
                changed.append(row)
        if changed:
            attend(self._session, changed, plan.clients)

    def alone(self, edited: Appointment, plan: Plan, fields: Collection[Field]) -> None:
        """These fields are said of this turn alone."""
        put(edited, plan, fields)
        edited.own = sorted({*edited.own, *fields})
        self._touch(edited)

    def passed(self, wall: datetime) -> int:
        """How many turns of the rule come before."""
        return len(self._pattern.by_rule(self._pattern.starts, wall))

    def repeat(self, rule: str, edited: Appointment) -> None:
        """The series has this rule; "" ends it with the edited turn.

        Turns that the new rule does not make are gone, but for those that have
        started or say something of their own, which stay as single appointments;
        so does the edited one.
        """
        at = self.wall_of(edited)
        self._set(replace(self._pattern, rule=rule) if rule else self._pattern.until(at))
        if not self._pattern.by_rule(self._pattern.starts, at + timedelta(seconds=1)):
            raise Invalid("The repeat ends before it begins. Choose a later day.")
        last = max(self._rows)
        kept = {
            *self._pattern.by_rule(self._pattern.starts, last + timedelta(seconds=1)),
            *self._pattern.additions,
        }
        now = clock.now()
        for wall, row in list(self._rows.items()):
            if wall in kept:
                continue
            del self._rows[wall]
            untouched = row.status is Status.SCHEDULED and not self._own[row.id]
            if row is edited or not untouched or row.starts_at <= now:
                self._detach(row)
            else:
                self.touched.pop(row.id, None)
                self._session.delete(row)
                self.removed += 1
        self._session.flush()

    def complete(self, after: datetime, until: datetime) -> int:
        """Whatever turn is missing between these moments is made. Returns how many."""
        low, high = (on_the_wall(moment, self.series.zone) for moment in (after, until))
        missing = [wall for wall in self._pattern.walls(low, high) if wall not in self._rows]
        made = self._make(missing)
        self.series.extended_until = max(self.series.extended_until, until)
        return len(made)

    def _make(self, walls: list[datetime]) -> list[Appointment]:
        made = make(self._session, self.series, self._plan, walls, self._at)
        self._rows |= dict(zip(walls, made, strict=True))
        self._own |= {row.id: set() for row in made}
        self.made += made
        self.touched |= {row.id: row for row in made}
        return made

    def _said_alone(self, wall: datetime) -> set[Field]:
        """What was marked so, and whatever differs from the series, as an imported turn may."""
        row, plan = self._rows[wall], turn(self._plan, wall)
        found = {Field(word) for word in row.own} | differing(row, replace(plan, status=row.status))
        return found if Field.TIME in row.own or _is_elsewhen(row, plan) else found - {Field.TIME}

    def _detach(self, row: Appointment) -> None:
        row.series_id = row.occurrence = None
        row.own = []

    def _set(self, pattern: Pattern) -> None:
        self._pattern = pattern
        _time(self.series, pattern, self._plan.ends - self._plan.starts)

    def _touch(self, row: Appointment) -> None:
        if row.id not in self.touched:
            appointments.touch(row, self._at)
            self.touched[row.id] = row


def _is_elsewhen(row: Appointment, plan: Plan) -> bool:
    """By the wall: the moments may be those of an earlier law of the zone."""
    starts_at, ends_at = moments(plan)
    return (row.starts_local, row.zone, row.all_day, row.ends_at - row.starts_at) != (
        plan.starts,
        plan.zone,
        plan.all_day,
        ends_at - starts_at,
    )


def put(row: Appointment, plan: Plan, fields: Collection[Field]) -> None:
    """These fields are as planned; all but the clients, which `attend` brings."""
    _say(row, plan, fields)
    if Field.STATUS in fields:
        row.status = plan.status
    if Field.TIME in fields:
        row.zone, row.all_day, row.starts_local = plan.zone, plan.all_day, plan.starts
        row.starts_at, row.ends_at = moments(plan)


def make(
    session: Session, series: Series, plan: Plan, walls: Iterable[datetime], at: datetime
) -> list[Appointment]:
    """Add these turns to the transaction under way, all at once."""
    made = [_new(series, turn(plan, wall), name(wall), at) for wall in walls]
    session.add_all(made)
    session.flush()
    return made


def _new(series: Series, plan: Plan, occurrence: str, at: datetime) -> Appointment:
    row = Appointment(
        uid=str(uuid.uuid4()),
        clinician_id=series.clinician_id,
        series_id=series.id,
        occurrence=occurrence,
        status=Status.SCHEDULED,
        created_at=clock.now(),
        changed_at=at,
    )
    put(row, plan, set(Field) - {Field.STATUS, Field.CLIENTS})
    row.attendance = [
        AppointmentClient(client_id=client.id, position=position)
        for position, client in enumerate(plan.clients)
    ]
    return row


def attend(session: Session, rows: Collection[Appointment], clients: Sequence[Client]) -> None:
    """These clients come to each of these appointments."""
    session.flush()
    ids = [row.id for row in rows]
    session.execute(delete(AppointmentClient).where(AppointmentClient.appointment_id.in_(ids)))
    attending = {
        row_id: [
            AppointmentClient(appointment_id=row_id, client_id=client.id, position=position)
            for position, client in enumerate(clients)
        ]
        for row_id in ids
    }
    session.add_all(chain.from_iterable(attending.values()))
    session.flush()
    for row in rows:
        set_committed_value(row, "attendance", attending[row.id])


def mark(row: Appointment, plan: Plan, fields: Collection[Field]) -> None:
    """Of these fields it says those alone in which it differs from its series, whose plan this is.

    One that was put back to its time is a turn like the others, whatever the zone it came by.
    """
    assert row.occurrence is not None
    said = turn(replace(plan, status=Status.SCHEDULED), datetime.fromisoformat(row.occurrence))
    differs = differing(row, said)
    if Field.TIME in fields and Field.TIME not in differs:
        put(row, said, {Field.TIME})
    row.own = sorted(set(row.own) - set(fields) | set(fields) & differs)
