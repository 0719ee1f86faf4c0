"""What of the schedule leaves the building: a calendar as one display mode shows it.

Feed, preview and every later way out share `window` and `upcoming`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import Row, Select, func, select

from sync_ui.domain import display
from sync_ui.domain.event import GONE, DisplayMode, Event
from sync_ui.domain.event import Appointment as Facts
from sync_ui.domain.event import Client as ClientFacts
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Client,
    Clinician,
    Initials,
    db,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A calendar as a link (or a preview) shows it: all that its events depend on.

    `clinician_id` is None for the practice's. `revision` and `link_changed_at`
    are those of the link and of the practice's policy together.
    """

    clinician_id: int | None
    zone: str
    mode: DisplayMode
    revision: int
    link_changed_at: datetime
    days_back: int
    months_ahead: int


def in_window(shown: Shown, now: datetime) -> list[Event]:
    """Every event of the rolling window, in order."""
    rows = db.session.execute(_appointments(shown.clinician_id, *window(shown, now))).all()
    return _events(shown, rows)


def count(shown: Shown, now: datetime) -> int:
    """How many events the rolling window holds."""
    wanted = _appointments(shown.clinician_id, *window(shown, now)).order_by(None)
    return db.session.scalar(select(func.count()).select_from(wanted.subquery())) or 0


def upcoming(shown: Shown, now: datetime, limit: int) -> list[Event]:
    """The next events, at most `limit`, from now on."""
    wanted = _appointments(shown.clinician_id, now, window(shown, now)[1]).limit(limit)
    return _events(shown, db.session.execute(wanted).all())


def window(shown: Shown, now: datetime) -> tuple[datetime, datetime]:
    """From local midnight `days_back` days ago to the one that ends the last day ahead."""
    local = today(shown.zone, now)
    first = local - timedelta(days=shown.days_back)
    last = local + relativedelta(months=shown.months_ahead) + timedelta(days=1)
    zone = ZoneInfo(shown.zone)
    return (
        datetime.combine(first, time(), zone).astimezone(UTC),
        datetime.combine(last, time(), zone).astimezone(UTC),
    )


def today(zone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(zone)).date()


def _appointments(
    clinician_id: int | None, starts: datetime, ends: datetime
) -> Select[*tuple[Any, ...]]:
    """Columns rather than objects: a feed reads thousands of rows."""
    wanted = (
        select(
            Appointment.id,
            Appointment.uid,
            Appointment.clinician_id,
            Appointment.kind,
            Appointment.title,
            Appointment.location,
            Appointment.zone,
            Appointment.starts_local,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.all_day,
            Appointment.revision,
            Appointment.created_at,
            Appointment.changed_at,
            Clinician.name.label("clinician"),
        )
        .join(Clinician, Clinician.id == Appointment.clinician_id)
        .where(Appointment.ends_at > starts, Appointment.starts_at < ends)
        .where(Appointment.status.not_in(GONE))
        .order_by(Appointment.starts_at, Appointment.uid)
    )
    if clinician_id is None:
        return wanted
    return wanted.where(Appointment.clinician_id == clinician_id)


def _events(shown: Shown, rows: Sequence[Row[Any]]) -> list[Event]:
    attending = _attending(rows)
    practice_wide = shown.clinician_id is None
    return [
        display.show(
            _facts(row, attending[row.id]),
            shown.mode,
            link_revision=shown.revision,
            link_changed_at=shown.link_changed_at,
            practice_wide=practice_wide,
        )
        for row in rows
    ]


def _facts(row: Row[Any], attending: list[ClientFacts]) -> Facts:
    return Facts(
        uid=row.uid,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        kind=row.kind,
        clinician=row.clinician,
        revision=row.revision,
        created_at=row.created_at,
        changed_at=row.changed_at,
        clients=tuple(attending),
        title=row.title,
        location=row.location,
        days=_days(row) if row.all_day else None,
    )


def _days(row: Row[Any]) -> tuple[date, date]:
    return row.starts_local.date(), row.ends_at.astimezone(ZoneInfo(row.zone)).date()


def _attending(rows: Sequence[Row[Any]]) -> defaultdict[int, list[ClientFacts]]:
    """Who comes to each of these appointments, in order."""
    attending: defaultdict[int, list[ClientFacts]] = defaultdict(list)
    if not rows:
        return attending
    clinicians = {row.id: row.clinician_id for row in rows}
    numbers = _numbers(set(clinicians.values()))
    known: dict[tuple[int, int], ClientFacts] = {}
    for person in _persons(rows):
        clinician_id = clinicians.get(person.appointment_id)
        if clinician_id is None:
            continue
        key = (clinician_id, person.id)
        if key not in known:
            known[key] = _client_facts(person, numbers.get(key, {}))
        attending[person.appointment_id].append(known[key])
    return attending


def _persons(rows: Sequence[Row[Any]]) -> Iterable[Row[Any]]:
    first = min(row.starts_at for row in rows)
    last = max(row.starts_at for row in rows)
    clinician_ids = {row.clinician_id for row in rows}
    return db.session.execute(
        select(
            AppointmentClient.appointment_id,
            Client.id,
            Client.first_name,
            Client.last_name,
            Client.preferred_name,
            Client.internal_id,
            Client.ceiling,
        )
        .join(Client, Client.id == AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(Appointment.starts_at >= first, Appointment.starts_at <= last)
        .where(Appointment.clinician_id.in_(clinician_ids))
        .order_by(AppointmentClient.appointment_id, AppointmentClient.position)
    )


def _client_facts(person: Row[Any], numbers: dict[str, int]) -> ClientFacts:
    letters = display.initials(person.first_name, person.last_name)
    return ClientFacts(
        first_name=person.first_name,
        last_name=person.last_name,
        preferred_name=person.preferred_name,
        internal_id=person.internal_id,
        number=numbers.get(letters),
        ceiling=person.ceiling,
    )


def _numbers(clinician_ids: set[int]) -> dict[tuple[int, int], dict[str, int]]:
    """(clinician, client) → initials → number, where several clients share the initials."""
    of_these = Initials.clinician_id.in_(clinician_ids)
    shared = (
        select(Initials.clinician_id, Initials.letters)
        .where(of_these)
        .group_by(Initials.clinician_id, Initials.letters)
        .having(func.count() > 1)
        .subquery()
    )
    rows = db.session.execute(
        select(Initials).join(
            shared,
            (shared.c.clinician_id == Initials.clinician_id)
            & (shared.c.letters == Initials.letters),
        )
    ).scalars()
    numbers: dict[tuple[int, int], dict[str, int]] = {}
    for row in rows:
        numbers.setdefault((row.clinician_id, row.client_id), {})[row.letters] = row.number
    return numbers
