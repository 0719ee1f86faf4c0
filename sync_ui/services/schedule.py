"""The schedule as people look at it: a span of days with what is booked in them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, select

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Client,
    Clinician,
    Holiday,
    db,
)
from sync_ui.services import access, plans, practice
from sync_ui.services.access import Actor

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """What is booked, as the practice's wall shows it.

    `starts` and `ends` are wall times in the practice's zone, without one; of
    all-day ones midnights, the last exclusive. `minutes` is its length on the wall, which
    it keeps on any other day. `clients` are full names.
    """

    id: int
    clinician_id: int
    clinician: str
    clinician_colour: Colour
    starts: datetime
    ends: datetime
    minutes: int
    all_day: bool
    kind: Kind
    status: Status
    title: str
    clients: tuple[str, ...]
    type: str | None
    type_colour: Colour | None
    location: str
    telehealth: bool
    repeats: bool
    revision: int


def between(
    actor: Actor, first: date, days: int, clinician_ids: Collection[int] = ()
) -> list[Slot]:
    """What touches `days` days from `first` on, by start; of everyone if nobody is named.

    One query, however much is booked. Raises NotFound for a clinician whose
    schedule is not the actor's.
    """
    zone = ZoneInfo(practice.get().zone)
    wanted = _booked().where(
        Appointment.ends_at > datetime.combine(first, time(), zone),
        Appointment.starts_at < datetime.combine(first + timedelta(days=days), time(), zone),
    )
    if clinician_ids:
        for clinician_id in clinician_ids:
            _require(actor, clinician_id)
        wanted = wanted.where(Appointment.clinician_id.in_(clinician_ids))
    elif not actor.may(Permission.EVERY_SCHEDULE):
        wanted = wanted.where(Appointment.clinician_id == actor.clinician_id)
    # A couple's or a group's rows follow each other.
    found = groupby(db.session.execute(wanted), key=lambda row: row.id)
    return [_slot(list(rows), zone) for _, rows in found]


def on(slots: Iterable[Slot], day: date) -> list[Slot]:
    """Those that touch the day."""
    midnight = datetime.combine(day, time())
    return [
        slot
        for slot in slots
        if slot.starts < midnight + DAY and (slot.ends > midnight or slot.starts >= midnight)
    ]


def holidays(first: date, days: int) -> list[Holiday]:
    """Those that touch `days` days from `first` on."""
    return list(
        db.session.scalars(
            select(Holiday)
            .where(Holiday.last_day >= first, Holiday.first_day < first + timedelta(days=days))
            .order_by(Holiday.first_day, Holiday.id)
        )
    )


def _require(actor: Actor, clinician_id: int) -> None:
    # What no row can have as its id, no database takes as a number.
    if not 0 < clinician_id <= access.LARGEST_ID or not access.may_schedule(actor, clinician_id):
        raise NotFound("There is no such clinician.")


def _booked() -> Select[*tuple[Any, ...]]:
    """Columns, since there are many: a row for each client, or one where there is none."""
    return (
        select(
            Appointment.id,
            Appointment.clinician_id,
            Clinician.name.label("clinician"),
            Clinician.colour.label("clinician_colour"),
            Appointment.zone,
            Appointment.starts_local,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.all_day,
            Appointment.kind,
            Appointment.status,
            Appointment.title,
            AppointmentType.name.label("type"),
            AppointmentType.colour.label("type_colour"),
            Appointment.location,
            Appointment.telehealth_address,
            Appointment.series_id,
            Appointment.revision,
            Client.first_name,
            Client.last_name,
        )
        .join(Clinician, Clinician.id == Appointment.clinician_id)
        .outerjoin(AppointmentType, AppointmentType.id == Appointment.type_id)
        .outerjoin(AppointmentClient, AppointmentClient.appointment_id == Appointment.id)
        .outerjoin(Client, Client.id == AppointmentClient.client_id)
        .order_by(Appointment.starts_at, Clinician.name, Appointment.id, AppointmentClient.position)
    )


def _slot(rows: list[Row[Any]], zone: ZoneInfo) -> Slot:
    row = rows[0]
    starts, ends = _walls(row, zone)
    return Slot(
        id=row.id,
        clinician_id=row.clinician_id,
        clinician=row.clinician,
        clinician_colour=row.clinician_colour,
        starts=starts,
        ends=ends,
        minutes=_minutes(row, zone),
        all_day=row.all_day,
        kind=row.kind,
        status=row.status,
        title=row.title,
        clients=tuple(
            f"{each.first_name} {each.last_name}".strip()
            for each in rows
            if each.first_name is not None
        ),
        type=row.type,
        type_colour=row.type_colour,
        location=row.location,
        telehealth=bool(row.telehealth_address),
        repeats=row.series_id is not None,
        revision=row.revision,
    )


def _minutes(row: Row[Any], zone: ZoneInfo) -> int:
    shown_in = row.zone if row.all_day else zone.key
    length = plans.length_on_the_wall(row.starts_at, row.ends_at, shown_in)
    return int(length.total_seconds() // 60)


def _walls(row: Row[Any], zone: ZoneInfo) -> tuple[datetime, datetime]:
    if row.all_day:
        # Days are days wherever they were booked.
        last = row.ends_at.astimezone(ZoneInfo(row.zone)).replace(tzinfo=None)
        return row.starts_local, max(last, row.starts_local + DAY)
    starts = row.starts_at.astimezone(zone).replace(tzinfo=None)
    ends = row.ends_at.astimezone(zone).replace(tzinfo=None)
    # In the hour that the clocks repeat, 1:50 can come before 1:10: then its length tells the end.
    return starts, ends if ends > starts else starts + (row.ends_at - row.starts_at)
