"""The schedule: appointments are added, changed and cancelled here."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import recurrence
from sync_ui.domain.event import GONE, HOME_VISIT, TELEHEALTH, Kind, Status
from sync_ui.errors import Conflict, Invalid, NotFound
from sync_ui.models import Appointment, AppointmentClient, Client, db, transaction
from sync_ui.services import access, calendars, clients, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line, visible

LONGEST = timedelta(days=366)

TOO_FAR = "The date is too far away. Check the year."


@dataclass(frozen=True, slots=True)
class Plan:
    """What an appointment shall be; `starts` and `ends` are wall times in `zone`.

    All-day ones begin and end at midnight (end exclusive).
    """

    starts: datetime
    ends: datetime
    zone: str
    clients: tuple[Client, ...] = ()
    kind: Kind = Kind.SESSION
    type_id: int | None = None
    title: str = ""
    location: str = ""
    telehealth_address: str = ""
    note: str = ""
    all_day: bool = False
    status: Status = Status.SCHEDULED


def clashes(plan: Plan, clinician_id: int, except_id: int | None = None) -> list[Appointment]:
    """Scheduled appointments of the clinician or of one of the clients at the same time."""
    starts, ends = moments(plan)
    overlapping = (
        select(Appointment)
        .where(Appointment.starts_at < ends, Appointment.ends_at > starts)
        .where(Appointment.status.not_in(GONE), Appointment.id != (except_id or 0))
        .order_by(Appointment.starts_at)
    )
    attended = select(AppointmentClient.appointment_id).where(
        AppointmentClient.client_id.in_([client.id for client in plan.clients])
    )
    return list(
        db.session.scalars(
            overlapping.where(
                (Appointment.clinician_id == clinician_id) | Appointment.id.in_(attended)
            )
        )
    )


def create(
    actor: Actor, clinician_id: int, plan: Plan, *, despite_clashes: bool = False
) -> Appointment:
    """The appointment is in the schedule. Raises NotFound, Invalid, Conflict for a clash."""
    check(plan)
    with transaction() as session:
        clinician = access.clinician(actor, clinician_id)
        if clinician.archived_at is not None:
            raise Conflict("This clinician has left the practice.")
        _refuse_clashes(plan, clinician_id, None, despite_clashes)
        at = calendars.stamp(session)
        appointment = add(session, clinician_id, plan, at)
        calendars.raise_versions(session, {clinician_id}, at)
        record(session, actor, Action.APPOINTMENT_CREATED, f"appointment:{appointment.id}")
    return appointment


def change(
    actor: Actor,
    appointment_id: int,
    plan: Plan,
    *,
    revision: int | None = None,
    despite_clashes: bool = False,
) -> Appointment:
    """The appointment is so from now on.

    `revision` is what the form was drawn from: Conflict if someone else has
    changed it since. Raises NotFound, Invalid, Conflict for a clash.
    """
    check(plan, kept_location=access.appointment(actor, appointment_id).location)
    with transaction() as session:
        appointment = access.appointment(actor, appointment_id)
        if revision is not None and revision != appointment.revision:
            raise Conflict(
                "Someone changed this appointment in the meantime. "
                "Look at it again; your change was not saved."
            )
        if plan.status not in GONE:
            _refuse_clashes(plan, appointment.clinician_id, appointment_id, despite_clashes)
        at = calendars.stamp(session)
        fill(session, appointment, plan, at)
        calendars.raise_versions(session, {appointment.clinician_id}, at)
        record(session, actor, Action.APPOINTMENT_CHANGED, f"appointment:{appointment_id}")
    return appointment


def cancel(actor: Actor, appointment_id: int, *, late: bool = False) -> Appointment:
    """The appointment leaves every feed at its next reading. Raises NotFound."""
    with transaction() as session:
        appointment = access.appointment(actor, appointment_id)
        if appointment.status in GONE:
            return appointment
        at = calendars.stamp(session)
        appointment.status = Status.LATE_CANCELLED if late else Status.CANCELLED
        appointment.revision += 1
        appointment.changed_at = at
        calendars.raise_versions(session, {appointment.clinician_id}, at)
        record(session, actor, Action.APPOINTMENT_CANCELLED, f"appointment:{appointment_id}")
    return appointment


def add(session: Session, clinician_id: int, plan: Plan, at: datetime) -> Appointment:
    """Add an appointment to the transaction under way."""
    appointment = Appointment(
        uid=str(uuid.uuid4()), clinician_id=clinician_id, created_at=clock.now(), changed_at=at
    )
    _copy(plan, appointment)
    session.add(appointment)
    session.flush()
    _attend(session, appointment, plan)
    return appointment


def fill(session: Session, appointment: Appointment, plan: Plan, at: datetime) -> None:
    """Change an appointment in the transaction under way; its UID and key stay."""
    _copy(plan, appointment)
    _attend(session, appointment, plan)
    appointment.revision += 1
    appointment.changed_at = at


def moments(plan: Plan) -> tuple[datetime, datetime]:
    """The plan's start and end in UTC.

    In the night of a time change wall times can mislead: an appointment that touches
    the odd hour lasts as long as its wall times are apart.
    """
    starts, ends = (recurrence.in_utc(wall, plan.zone) for wall in (plan.starts, plan.ends))
    plain = all(recurrence.is_shown_once(wall, plan.zone) for wall in (plan.starts, plan.ends))
    return starts, ends if plain or plan.all_day else starts + (plan.ends - plan.starts)


def is_near(day: date) -> bool:
    """Whether an appointment may be then; a wrong year is a slip."""
    return 1970 <= day.year <= 2200


def end_of(starts: datetime, length: timedelta) -> datetime:
    """When it ends. Raises Invalid beyond the last date that there is."""
    try:
        return starts + length
    except OverflowError:
        raise Invalid(TOO_FAR) from None


def check(plan: Plan, kept_location: str = "") -> None:
    """Raises Invalid for what cannot be an appointment.

    `kept_location` is allowed although the practice may have removed the place since.
    """
    if not is_near(plan.starts):
        raise Invalid(TOO_FAR)
    starts, ends = moments(plan)
    if ends <= starts:
        raise Invalid("An appointment must end after it begins.")
    if ends - starts > LONGEST:
        raise Invalid("An appointment can last a year at most.")
    if plan.location not in {"", kept_location, *practice.location_names()}:
        raise Invalid(
            f"The location must be a place of the practice, {TELEHEALTH} or {HOME_VISIT}: "
            "feeds may never name a client's address."
        )
    if len(plan.title) > 200 or len(plan.note) > 5000:
        raise Invalid("A title can have 200 characters and a note 5 000.")


def find_clients(session: Session, client_ids: list[int]) -> tuple[Client, ...]:
    """These clients, in this order. Raises NotFound if one does not exist."""
    found = {c.id: c for c in session.scalars(select(Client).where(Client.id.in_(client_ids)))}
    if len(found) != len(set(client_ids)):
        raise NotFound("There is no such client.")
    return tuple(found[client_id] for client_id in dict.fromkeys(client_ids))


def _refuse_clashes(
    plan: Plan, clinician_id: int, except_id: int | None, despite_clashes: bool
) -> None:
    if not despite_clashes and clashes(plan, clinician_id, except_id):
        raise Conflict(
            "This time is taken: the clinician or a client has another appointment then. "
            "Choose another time, or tick “Save despite the clash”."
        )


def _copy(plan: Plan, appointment: Appointment) -> None:
    appointment.kind, appointment.status = plan.kind, plan.status
    appointment.title, appointment.note = one_line(plan.title), visible(plan.note).strip()
    appointment.type_id, appointment.location = plan.type_id, plan.location
    appointment.telehealth_address = plan.telehealth_address
    appointment.zone, appointment.all_day = plan.zone, plan.all_day
    appointment.starts_local = plan.starts
    appointment.starts_at, appointment.ends_at = moments(plan)


def _attend(session: Session, appointment: Appointment, plan: Plan) -> None:
    wanted = [client.id for client in plan.clients]
    if [attendance.client_id for attendance in appointment.attendance] != wanted:
        appointment.attendance.clear()
        session.flush()
        appointment.attendance.extend(
            AppointmentClient(client_id=client_id, position=position)
            for position, client_id in enumerate(wanted)
        )
        session.flush()
    clients.number_initials(session, appointment.clinician_id, list(plan.clients))
