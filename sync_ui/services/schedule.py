"""The schedule as people look at it: days with their appointments."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from sync_ui.domain.roles import Permission
from sync_ui.models import Appointment, AppointmentClient, Clinician, db
from sync_ui.services import access, practice
from sync_ui.services.access import Actor


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the agenda, with the appointments that touch it."""

    date: date
    appointments: list[Appointment]


def agenda(actor: Actor, first: date, days: int, clinician_id: int | None = None) -> list[Day]:
    """`days` days from `first` on in the practice's zone; of one clinician, or of all the actor's.

    Raises NotFound for a clinician whose schedule is not the actor's.
    """
    zone = ZoneInfo(practice.get().zone)
    starts = datetime.combine(first, time(), zone)
    ends = datetime.combine(first + timedelta(days=days), time(), zone)
    wanted = (
        select(Appointment)
        .join(Clinician)
        .where(Appointment.ends_at > starts, Appointment.starts_at < ends)
        .order_by(Appointment.starts_at, Clinician.name, Appointment.id)
        .options(
            selectinload(Appointment.attendance).joinedload(AppointmentClient.client),
            selectinload(Appointment.clinician),
        )
    )
    if clinician_id is not None:
        access.clinician(actor, clinician_id)
        wanted = wanted.where(Appointment.clinician_id == clinician_id)
    elif not actor.may(Permission.EVERY_SCHEDULE):
        wanted = wanted.where(Appointment.clinician_id == actor.clinician_id)
    found = list(db.session.scalars(wanted))
    dates = [first + timedelta(days=n) for n in range(days)]
    return [Day(day, [a for a in found if _touches(a, day, zone)]) for day in dates]


def _touches(appointment: Appointment, day: date, zone: ZoneInfo) -> bool:
    starts = appointment.starts_at.astimezone(zone)
    ends = appointment.ends_at.astimezone(zone)
    return starts.date() <= day and (
        ends > datetime.combine(day, time(), zone) or starts.date() == day
    )
