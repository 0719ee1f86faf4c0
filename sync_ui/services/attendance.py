"""What of the schedule belongs to one client: the pages of a record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select

from sync_ui import clock
from sync_ui.domain.event import GONE, Kind, Status
from sync_ui.domain.roles import Permission
from sync_ui.models import Appointment, AppointmentClient, Clinician, db
from sync_ui.services.access import Actor

UPCOMING = 10
PAST = 5


@dataclass(frozen=True, slots=True)
class Attended:
    """One appointment of a client, as the record lists it."""

    id: int
    starts_at: datetime
    ends_at: datetime
    starts_local: datetime
    all_day: bool
    kind: Kind
    status: Status
    location: str
    clinician: str


@dataclass(frozen=True, slots=True)
class Attendance:
    """The next appointments and the last ones; `ahead` counts all that are to come."""

    upcoming: Sequence[Attended]
    past: Sequence[Attended]
    ahead: int


def of(actor: Actor, client_id: int) -> Attendance:
    """What the actor may see of the client's appointments; a constant number of queries."""
    now = clock.now()
    ahead = Appointment.ends_at > now
    coming = _appointments(actor, client_id).where(ahead, Appointment.status.not_in(GONE))
    number = select(func.count()).select_from(coming.subquery())
    over = _appointments(actor, client_id).where(~ahead)
    return Attendance(
        upcoming=_listed(coming.order_by(Appointment.starts_at, Appointment.id).limit(UPCOMING)),
        past=_listed(over.order_by(Appointment.starts_at.desc(), Appointment.id).limit(PAST)),
        ahead=db.session.scalar(number) or 0,
    )


def counts(client_ids: Sequence[int]) -> dict[int, int]:
    """How many appointments each of these clients has, of any time and status."""
    found = db.session.execute(
        select(AppointmentClient.client_id, func.count())
        .where(AppointmentClient.client_id.in_(client_ids))
        .group_by(AppointmentClient.client_id)
    )
    return dict.fromkeys(client_ids, 0) | dict(iter(found))


def _appointments(
    actor: Actor, client_id: int
) -> Select[int, datetime, datetime, datetime, bool, Kind, Status, str, str]:
    wanted = (
        select(
            Appointment.id,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.starts_local,
            Appointment.all_day,
            Appointment.kind,
            Appointment.status,
            Appointment.location,
            Clinician.name,
        )
        .join(AppointmentClient, AppointmentClient.appointment_id == Appointment.id)
        .join(Clinician, Clinician.id == Appointment.clinician_id)
        .where(AppointmentClient.client_id == client_id)
    )
    if actor.may(Permission.EVERY_SCHEDULE):
        return wanted
    return wanted.where(Appointment.clinician_id == actor.clinician_id)


def _listed(
    wanted: Select[int, datetime, datetime, datetime, bool, Kind, Status, str, str],
) -> list[Attended]:
    return [Attended(*row) for row in db.session.execute(wanted)]
