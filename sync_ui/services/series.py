"""Series: repeating rules, kept as appointments a year ahead."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import recurrence
from sync_ui.models import Appointment, Series, transaction
from sync_ui.services import appointments, calendars
from sync_ui.services.access import Actor
from sync_ui.services.appointments import Plan
from sync_ui.services.audit import Action, record


class Scope(StrEnum):
    """How much of a series a change is meant for."""

    THIS = "this"
    FOLLOWING = "following"
    ALL = "all"


AHEAD = timedelta(days=366)

# How far back an imported series is kept as appointments.
BACK = timedelta(days=366)


def extend(actor: Actor) -> int:
    """Every series reaches a year ahead; one that does already is left alone.

    Returns how many appointments were added. Doing it twice adds nothing.
    """
    until = horizon()
    with transaction() as session:
        short = session.scalars(
            select(Series).where(Series.extended_until < until - timedelta(days=1))
        ).all()
        added = sum(_extend(session, series, until) for series in short)
        if added:
            record(session, actor, Action.SERIES_EXTENDED, count=added)
    return added


def horizon() -> datetime:
    return clock.now() + AHEAD


def _extend(session: Session, series: Series, until: datetime) -> int:
    """Raises each calendar once, and only if the series has a new appointment."""
    begins = walls(series, series.extended_until, until)
    series.extended_until = until
    known = set(
        session.scalars(select(Appointment.occurrence).where(Appointment.series_id == series.id))
    )
    missing = [wall for wall in begins if name(wall) not in known]
    if not missing:
        return 0
    at = calendars.stamp(session)
    plan = plan_of(session, series)
    for wall in missing:
        appointment = appointments.add(session, series.clinician_id, turn(plan, wall), at)
        appointment.series_id, appointment.occurrence = series.id, name(wall)
    calendars.raise_versions(session, {series.clinician_id}, at)
    return len(missing)


def walls(series: Series, after: datetime, before: datetime) -> list[datetime]:
    """The wall times at which the series' turns begin, between two moments."""
    zone = ZoneInfo(series.zone)
    first, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (after, before))
    start, exceptions, additions = _rule_times(series)
    found = recurrence.expand(
        series.rule,
        start,
        series.zone,
        first.date() if series.all_day else first,
        end.date() if series.all_day else end,
        exceptions=exceptions,
        additions=additions,
    )
    return [as_wall(begin) for begin in found]


def _rule_times(
    series: Series,
) -> tuple[datetime | date, list[datetime | date], list[datetime | date]]:
    """The rule's start, exceptions and additions: days for an all-day series, else wall times."""
    times = [
        [datetime.fromisoformat(text) for text in texts]
        for texts in (series.exceptions, series.additions)
    ]
    if not series.all_day:
        return series.starts_local, [*times[0]], [*times[1]]
    exceptions, additions = ([time.date() for time in some] for some in times)
    return series.starts_local.date(), [*exceptions], [*additions]


def as_wall(start: datetime | date) -> datetime:
    return start if isinstance(start, datetime) else datetime.combine(start, time())


def name(wall: datetime) -> str:
    """How a turn of a series is known for life: the wall time of its rule."""
    return wall.isoformat()


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


def turn(plan: Plan, wall: datetime) -> Plan:
    """The same by the clock on the wall: 10:00 stays 10:00 across daylight saving."""
    return replace(plan, starts=wall, ends=wall + (plan.ends - plan.starts))
