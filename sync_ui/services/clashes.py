"""What already takes the time of an appointment: its clinician, client or room, or a holiday."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, or_, select

from sync_ui.domain.event import GONE, Kind
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import Appointment, AppointmentClient, Client, Holiday, Location, db
from sync_ui.services import access, busy, practice
from sync_ui.services.access import Actor
from sync_ui.services.plans import Plan, moments

LONGEST_REASON = 200

# What a page lists; a series can collide a hundred times.
MOST_TOLD = 50


class Taken(StrEnum):
    """What there is only one of."""

    CLINICIAN = "clinician"
    CLIENT = "client"
    ROOM = "room"
    HOLIDAY = "holiday"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Clash:
    """`starts_at` is that of what takes the time; `what` holds no more than the actor may see.

    `appointment_id` is there for an appointment that the actor may open.
    """

    taken: Taken
    starts_at: datetime
    ends_at: datetime
    all_day: bool
    what: str
    appointment_id: int | None = None


class Clashing(Conflict):
    """The time is taken; `clashes` says by what."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        super().__init__(
            "This time is taken. Choose another one, or say why it is booked all the same."
        )
        self.clashes = tuple(clashes)


def refuse(found: Sequence[Clash], despite: str) -> None:
    """Raises Clashing, unless `despite` says why the clash is wanted."""
    if len(despite) > LONGEST_REASON:
        raise Invalid(f"A reason can have {LONGEST_REASON} characters.")
    if found and not despite.strip():
        raise Clashing(found)


def found(
    actor: Actor, plan: Plan, clinician_id: int, except_ids: Collection[int] = ()
) -> list[Clash]:
    """What takes the time of this plan, other than the appointments `except_ids`."""
    return found_in(actor, [plan], clinician_id, except_ids)


def found_in(
    actor: Actor, plans: Sequence[Plan], clinician_id: int, except_ids: Collection[int] = ()
) -> list[Clash]:
    """The same for many plans of one series at once, in order; a constant number of queries."""
    times = [(plan, *moments(plan)) for plan in plans if blocks(plan.kind, plan.all_day)]
    if not times:
        return []
    clashes = [
        *_holidays(times),
        *_personal(times, clinician_id),
        *_appointments(actor, times, clinician_id, set(except_ids)),
    ]
    return sorted(clashes, key=lambda clash: (clash.starts_at, clash.taken))[:MOST_TOLD]


def blocks(kind: Kind, all_day: bool) -> bool:
    """A birthday or a conference in town takes no time; a day off does."""
    return kind is Kind.TIME_OFF or not all_day


_Times = Sequence[tuple[Plan, datetime, datetime]]


def _holidays(times: _Times) -> Iterator[Clash]:
    zone = ZoneInfo(practice.get().zone)
    first = min(starts for _, starts, _ in times).astimezone(zone).date()
    last = max(ends for _, _, ends in times).astimezone(zone).date()
    holidays = db.session.scalars(
        select(Holiday).where(Holiday.first_day <= last, Holiday.last_day >= first)
    ).all()
    for holiday in holidays:
        begins = datetime.combine(holiday.first_day, time(), zone)
        over = datetime.combine(holiday.last_day + timedelta(days=1), time(), zone)
        if any(
            plan.kind is not Kind.TIME_OFF and starts < over and ends > begins
            for plan, starts, ends in times
        ):
            yield Clash(Taken.HOLIDAY, begins, over, all_day=True, what=holiday.name)


def _personal(times: _Times, clinician_id: int) -> Iterator[Clash]:
    """The clinician's own events in outside calendars: when, and never what."""
    first, last = min(starts for _, starts, _ in times), max(ends for _, _, ends in times)
    for found in busy.between([clinician_id], first, last):
        if any(starts < found.ends_at and ends > found.starts_at for _, starts, ends in times):
            yield Clash(Taken.PERSONAL, found.starts_at, found.ends_at, all_day=False, what="")


def _appointments(
    actor: Actor, times: _Times, clinician_id: int, except_ids: set[int]
) -> Iterator[Clash]:
    client_ids = {client.id for plan, _, _ in times for client in plan.clients}
    rooms = _rooms({plan.location for plan, _, _ in times})
    rows = [
        row
        for row in _overlapping(times, clinician_id, client_ids, rooms)
        if row.id not in except_ids and blocks(row.kind, row.all_day)
    ]
    attending = _attending(rows)
    for row in rows:
        for plan, starts, ends in times:
            if row.starts_at >= ends or row.ends_at <= starts:
                continue
            taken = _what_is_taken(row, plan, clinician_id, attending[row.id], rooms)
            if taken is not None:
                yield _told(actor, taken, row, attending[row.id], (starts, ends))
                break


def _overlapping(
    times: _Times, clinician_id: int, client_ids: set[int], rooms: set[str]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Whatever could collide between the first plan's start and the last one's end."""
    attended = select(AppointmentClient.appointment_id).where(
        AppointmentClient.client_id.in_(client_ids)
    )
    return db.session.execute(
        select(
            Appointment.id,
            Appointment.clinician_id,
            Appointment.kind,
            Appointment.title,
            Appointment.location,
            Appointment.all_day,
            Appointment.starts_at,
            Appointment.ends_at,
        )
        .where(Appointment.starts_at < max(ends for _, _, ends in times))
        .where(Appointment.ends_at > min(starts for _, starts, _ in times))
        .where(Appointment.status.not_in(GONE))
        .where(
            or_(
                Appointment.clinician_id == clinician_id,
                Appointment.id.in_(attended),
                Appointment.location.in_(rooms),
            )
        )
        .order_by(Appointment.starts_at, Appointment.id)
    ).all()


def _rooms(locations: set[str]) -> set[str]:
    return set(
        db.session.scalars(
            select(Location.name).where(Location.exclusive, Location.name.in_(locations))
        )
    )


def _attending(rows: Sequence[Row[*tuple[Any, ...]]]) -> defaultdict[int, dict[int, str]]:
    """Who comes to each of these appointments: names by the client's id."""
    attending: defaultdict[int, dict[int, str]] = defaultdict(dict)
    people = db.session.execute(
        select(AppointmentClient.appointment_id, Client.id, Client.first_name, Client.last_name)
        .join(Client, Client.id == AppointmentClient.client_id)
        .where(AppointmentClient.appointment_id.in_([row.id for row in rows]))
        .order_by(AppointmentClient.position)
    )
    for person in people:
        name = f"{person.first_name} {person.last_name}".strip()
        attending[person.appointment_id][person.id] = name
    return attending


def _what_is_taken(
    row: Row[*tuple[Any, ...]],
    plan: Plan,
    clinician_id: int,
    attending: dict[int, str],
    rooms: set[str],
) -> Taken | None:
    if row.clinician_id == clinician_id:
        return Taken.CLINICIAN
    if any(client.id in attending for client in plan.clients):
        return Taken.CLIENT
    if plan.location in rooms and row.location == plan.location:
        return Taken.ROOM
    return None


def _told(
    actor: Actor,
    taken: Taken,
    row: Row[*tuple[Any, ...]],
    attending: dict[int, str],
    asked: tuple[datetime, datetime],
) -> Clash:
    """Another clinician's clients and times are theirs and the schedulers' business alone."""
    if not access.may_schedule(actor, row.clinician_id):
        return Clash(taken, *asked, all_day=False, what="")
    what = " & ".join(attending.values()) or row.title
    return Clash(taken, row.starts_at, row.ends_at, row.all_day, what, row.id)
