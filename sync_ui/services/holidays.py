"""Days on which the practice is closed; what is booked on them stays until someone moves it."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.event import GONE, Kind
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, Holiday, db, transaction
from sync_ui.services import access, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.plans import is_near
from sync_ui.services.practice import checked_name

LONGEST_DAYS = 92


def upcoming() -> list[Holiday]:
    """Today's and later ones, in order."""
    today = clock.now().astimezone(ZoneInfo(practice.get().zone)).date()
    return list(
        db.session.scalars(
            select(Holiday).where(Holiday.last_day >= today).order_by(Holiday.first_day, Holiday.id)
        )
    )


def collisions(holidays: list[Holiday]) -> Counter[int]:
    """How many scheduled appointments fall on each, by the holiday's id."""
    if not holidays:
        return Counter()
    zone = ZoneInfo(practice.get().zone)
    spans = {found.id: _span(found, zone) for found in holidays}
    booked = db.session.execute(
        select(Appointment.starts_at, Appointment.ends_at)
        .where(Appointment.status.not_in(GONE), Appointment.kind != Kind.TIME_OFF)
        .where(Appointment.starts_at < max(over for _, over in spans.values()))
        .where(Appointment.ends_at > min(begins for begins, _ in spans.values()))
    )
    counts: Counter[int] = Counter()
    for starts, ends in booked:
        counts.update(
            holiday_id
            for holiday_id, (begins, over) in spans.items()
            if starts < over and ends > begins
        )
    return counts


def add(actor: Actor, *, name: str, first_day: date, last_day: date | None = None) -> Holiday:
    """The practice is closed then: booking asks first. Raises Invalid, Refused."""
    access.require(actor, Permission.SETTINGS)
    name, last_day = checked_name(name), last_day or first_day
    if not is_near(first_day) or not is_near(last_day):
        raise Invalid("The date is too far away. Check the year.")
    if not timedelta(0) <= last_day - first_day < timedelta(days=LONGEST_DAYS):
        raise Invalid(f"A holiday lasts from its first day on, {LONGEST_DAYS} days at most.")
    with transaction() as session:
        added = Holiday(name=name, first_day=first_day, last_day=last_day)
        session.add(added)
        session.flush()
        record(session, actor, Action.HOLIDAY_CREATED, f"holiday:{added.id}")
    return added


def remove(actor: Actor, holiday_id: int) -> None:
    """The practice is open then. Raises NotFound, Refused."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        session.delete(access.get(Holiday, holiday_id, "There is no such holiday."))
        record(session, actor, Action.HOLIDAY_REMOVED, f"holiday:{holiday_id}")


def _span(holiday: Holiday, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return (
        datetime.combine(holiday.first_day, time(), zone),
        datetime.combine(holiday.last_day + timedelta(days=1), time(), zone),
    )
