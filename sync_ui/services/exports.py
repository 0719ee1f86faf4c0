"""What the practice takes along: schedule and clients as files with full names.

An export is a disclosure: each one is in the audit. It is for the practice's
own use, so that ceilings and display modes, which rule what outsiders read, do
not hold here.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, and_, select

from sync_ui import clock
from sync_ui.domain import ics_own, ics_write, recurrence
from sync_ui.domain.csv_write import write_table
from sync_ui.domain.event import GONE, Event, Kind, Status
from sync_ui.domain.ics_own import KINDS, OwnWords
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Client,
    Clinician,
    db,
    transaction,
)
from sync_ui.services import access, plans, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

# Names that our own import knows (`csv_table.COLUMNS`), and after them two that it leaves out.
SCHEDULE_COLUMNS = (
    *("Start Date", "Start Time", "End Date", "End Time", "All Day Event"),
    *("First Name", "Last Name", "Client ID", "Title", "Type", "Status", "Location", "Notes"),
    *("Time Zone", "Appointment ID", "Clinician", "Name of the Type"),
)

CLIENT_COLUMNS = (
    *("First Name", "Last Name", "Preferred Name", "Internal ID", "Calendars Show At Most"),
    *("On Record Since", "Archived"),
)

STATUSES = {
    Status.SCHEDULED: "Scheduled",
    Status.CANCELLED: "Cancelled",
    Status.LATE_CANCELLED: "Late cancelled",
    Status.NO_SHOW: "No-show",
}

_NOBODY = ("", "", "")

# First name, last name, internal ID.
_Person = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """What of the schedule is exported: `clinician_id` is None for everyone's; `last` is included.

    Private notes are left out unless `notes` asks for them.
    """

    clinician_id: int | None
    first: date
    last: date
    notes: bool = False


def schedule_table(actor: Actor, span: Span) -> bytes:
    """The schedule as CSV: one row an appointment, one for each client of a couple or a group.

    Raises Invalid, Refused, NotFound.
    """
    _check(actor, span)
    rows = _appointments(span)
    attending = _attending(span)
    cells = (line for row in rows for line in table_rows(row, attending[row.id], span))
    table = write_table(SCHEDULE_COLUMNS, cells)
    _note(actor, span, "csv", len(rows))
    return table


def schedule_calendar(actor: Actor, span: Span) -> bytes:
    """The schedule as iCalendar, cancelled appointments included as such.

    Our own import makes of it what it was: see `ics_own`.

    Raises Invalid, Refused, NotFound.
    """
    _check(actor, span)
    rows = _appointments(span)
    attending = _attending(span)
    now = clock.now()
    calendar = ics_write.Calendar(
        uid=str(uuid.uuid4()),
        name=f"Schedule of {_whose(actor, span)}",
        description="An export. It does not renew itself.",
        zone=practice.get().zone,
        changed_at=now,
    )
    vevents = (_vevent(row, attending[row.id], span) for row in rows)
    written = ics_write.assemble(calendar, vevents, year=now.year)
    _note(actor, span, "ics", len(rows))
    return written


def client_table(actor: Actor) -> bytes:
    """Every client as CSV, the archived ones included. Raises Refused."""
    access.require(actor, Permission.EVERY_CLIENT)
    found = db.session.execute(
        select(
            Client.first_name,
            Client.last_name,
            Client.preferred_name,
            Client.internal_id,
            Client.ceiling,
            Client.created_at,
            Client.archived_at,
        )
        .where(Client.merged_into_id.is_(None))
        .order_by(Client.last_name, Client.first_name, Client.id)
    ).all()
    zone = ZoneInfo(practice.get().zone)
    table = write_table(
        CLIENT_COLUMNS,
        (
            (
                *row[:4],
                row.ceiling.value.replace("_", " ") if row.ceiling else "",
                row.created_at.astimezone(zone).date().isoformat(),
                row.archived_at.astimezone(zone).date().isoformat() if row.archived_at else "",
            )
            for row in found
        ),
    )
    with transaction() as session:
        record(session, actor, Action.CLIENTS_EXPORTED, "practice", clients=len(found))
    return table


def _check(actor: Actor, span: Span) -> None:
    if span.clinician_id is None:
        access.require(actor, Permission.EVERY_SCHEDULE)
    else:
        access.clinician(actor, span.clinician_id)
    if not (plans.is_near(span.first) and plans.is_near(span.last)):
        raise Invalid(plans.TOO_FAR)
    if span.last < span.first:
        raise Invalid("The last day must not come before the first.")


def _note(actor: Actor, span: Span, format_: str, count: int) -> None:
    """Before anything leaves: what cannot be noted is not exported."""
    whose = "practice" if span.clinician_id is None else f"clinician:{span.clinician_id}"
    with transaction() as session:
        record(
            session,
            actor,
            Action.SCHEDULE_EXPORTED,
            whose,
            format=format_,
            appointments=count,
            first=span.first.isoformat(),
            last=span.last.isoformat(),
            notes=span.notes,
        )


def _whose(actor: Actor, span: Span) -> str:
    if span.clinician_id is None:
        return practice.get().name
    return access.clinician(actor, span.clinician_id).name


def _within(span: Span) -> ColumnElement[bool]:
    """The appointments that touch these days of the practice."""
    zone = ZoneInfo(practice.get().zone)
    starts = datetime.combine(span.first, time(), zone)
    ends = datetime.combine(span.last + timedelta(days=1), time(), zone)
    within = and_(Appointment.ends_at > starts, Appointment.starts_at < ends)
    if span.clinician_id is None:
        return within
    return and_(within, Appointment.clinician_id == span.clinician_id)


def _appointments(span: Span) -> Sequence[Row[Any]]:
    """Columns rather than objects: an export reads tens of thousands of rows."""
    wanted: Select[*tuple[Any, ...]] = (
        select(
            Appointment.id,
            Appointment.uid,
            Appointment.kind,
            Appointment.status,
            Appointment.title,
            Appointment.location,
            Appointment.note,
            Appointment.zone,
            Appointment.starts_local,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.all_day,
            Appointment.revision,
            Appointment.created_at,
            Appointment.changed_at,
            Clinician.name.label("clinician"),
            AppointmentType.name.label("type"),
        )
        .join(Clinician, Clinician.id == Appointment.clinician_id)
        .outerjoin(AppointmentType, AppointmentType.id == Appointment.type_id)
        .where(_within(span))
        .order_by(Appointment.starts_at, Appointment.uid)
    )
    return db.session.execute(wanted).all()


def _attending(span: Span) -> defaultdict[int, list[_Person]]:
    """Who comes to each of these appointments, in order."""
    attending: defaultdict[int, list[_Person]] = defaultdict(list)
    persons = db.session.execute(
        select(
            AppointmentClient.appointment_id,
            Client.first_name,
            Client.last_name,
            Client.internal_id,
        )
        .join(Client, Client.id == AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(_within(span))
        .order_by(AppointmentClient.appointment_id, AppointmentClient.position)
    )
    for appointment_id, *person in persons:
        attending[appointment_id].append((person[0], person[1], person[2]))
    return attending


def table_rows(row: Row[Any], attending: list[_Person], span: Span) -> Iterator[Sequence[str]]:
    """A row for each client (first, last name, ID); one Appointment ID makes them one again."""
    starts, ends = row.starts_local, _ends_local(row)
    if row.all_day:
        times = (starts.date().isoformat(), "", _last_day(row).isoformat(), "", "True")
    else:
        times = (*_day_and_time(starts), *_day_and_time(ends), "False")
    for person in attending or (_NOBODY,):
        yield (
            *times,
            *person,
            row.title,
            KINDS[row.kind],
            STATUSES[row.status],
            row.location,
            row.note if span.notes else "",
            row.zone,
            row.uid,
            row.clinician,
            row.type or "",
        )


def _day_and_time(wall: datetime) -> tuple[str, str]:
    return f"{wall:%Y-%m-%d}", f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"


def _ends_local(row: Row[Any]) -> datetime:
    """The end on the wall, such that `plans.moments` finds the same end again."""
    zone = ZoneInfo(row.zone)
    starts, ends = row.starts_at.astimezone(zone), row.ends_at.astimezone(zone)
    wall: datetime = ends.replace(tzinfo=None, fold=0)
    along: datetime = row.starts_local + (row.ends_at - row.starts_at)
    if row.all_day or wall == along:
        return wall
    # Across a change of the clocks walls are told, within the odd hour lengths.
    plain = all(recurrence.is_shown_once(each, row.zone) for each in (row.starts_local, wall))
    return wall if plain and starts.utcoffset() != ends.utcoffset() else along


def _last_day(row: Row[Any]) -> date:
    """Of an all-day appointment; the first one if it ends before it begins."""
    first: date = row.starts_local.date()
    return max(first, (_ends_local(row) - datetime.resolution).date())


def _vevent(row: Row[Any], attending: list[_Person], span: Span) -> str:
    words = OwnWords(row.kind, row.status, row.zone, row.title, tuple(attending))
    starts, ends = row.starts_at.astimezone(UTC), row.ends_at.astimezone(UTC)
    event = Event(
        uid=row.uid,
        starts=row.starts_local.date() if row.all_day else starts,
        ends=_last_day(row) + timedelta(days=1) if row.all_day else ends,
        summary=f"{row.clinician}: {words.summary}" if span.clinician_id is None else words.summary,
        sequence=row.revision,
        created_at=row.created_at,
        changed_at=row.changed_at,
        location=row.location,
        description=row.note if span.notes else "",
        out_of_office=row.kind is Kind.TIME_OFF,
        cancelled=row.status in GONE,
    )
    return ics_write.write_event(event, beside=ics_own.write(words))
