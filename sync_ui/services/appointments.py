"""Appointments are added, changed, moved, cancelled and restored here."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.event import GONE, Status
from sync_ui.errors import Conflict, Invalid, NotFound
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Client,
    Series,
    transaction,
)
from sync_ui.services import access, calendars, changes, clashes, clients
from sync_ui.services.access import LARGEST_ID, Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.clashes import Clash
from sync_ui.services.plans import Plan, check, moments, plan_of
from sync_ui.services.practice import one_line, visible


class Overtaken(Conflict):
    """Someone else was quicker; nothing was saved."""

    def __init__(self) -> None:
        super().__init__(
            "Someone changed this appointment in the meantime, so yours was not saved yet. "
            "Compare the two, then save again."
        )


def create(actor: Actor, clinician_id: int, plan: Plan, *, despite: str = "") -> Appointment:
    """The appointment is in the schedule.

    `despite` says why, if the time is taken. Raises NotFound, Invalid, Conflict, Clashing.
    """
    check(plan)
    with transaction() as session:
        refuse_archived(actor, clinician_id)
        refuse_past_choices(session, plan)
        found = clashes.found(actor, plan, clinician_id)
        clashes.refuse(found, despite)
        at = calendars.stamp(session)
        appointment = add(session, clinician_id, plan, at)
        appointment.clash_reason = _reason(found, despite)
        calendars.raise_versions(session, {clinician_id}, at)
        record(
            session,
            actor,
            Action.APPOINTMENT_CREATED,
            f"appointment:{appointment.id}",
            despite_clashes=len(found),
        )
    return appointment


def change(
    actor: Actor,
    appointment_id: int,
    plan: Plan,
    *,
    clinician_id: int | None = None,
    revision: int | None = None,
    despite: str = "",
    also: Callable[[Session], None] | None = None,
) -> Appointment:
    """The appointment is so from now on, with another clinician if `clinician_id` is given.

    `revision` is what the form was drawn from: Overtaken if someone else has
    changed it since. `also` happens in the same transaction, or nothing does.
    Raises NotFound, Invalid, Conflict, Clashing.
    """
    check(plan, kept_location=access.appointment(actor, appointment_id).location)
    given = clinician_id is not None
    with transaction() as session, changes.kept(session, actor, appointment_id, when=given):
        appointment = access.appointment(actor, appointment_id)
        refuse_overtaken(appointment, revision)
        refuse_past_choices(session, plan, appointment)
        before, after = appointment.clinician_id, clinician_id or appointment.clinician_id
        found: list[Clash] = []
        if plan.status not in GONE:
            found = clashes.found(actor, plan, after, {appointment_id})
            clashes.refuse(found, despite)
        if after != before:
            refuse_archived(actor, after)
            _hand_over(session, appointment, after)
        at = calendars.stamp(session)
        fill(session, appointment, plan, at)
        appointment.clash_reason = _reason(found, despite)
        calendars.raise_versions(session, {before, after}, at)
        record(
            session,
            actor,
            Action.APPOINTMENT_CHANGED,
            f"appointment:{appointment_id}",
            despite_clashes=len(found),
        )
        if also:
            also(session)
    return appointment


def cancel(
    actor: Actor,
    appointment_id: int,
    *,
    late: bool = False,
    revision: int | None = None,
    also: Callable[[Session], None] | None = None,
) -> Appointment:
    """The appointment leaves every feed at its next reading. Raises NotFound, Overtaken.

    `also` happens in the same transaction, or nothing does.
    """
    with transaction() as session:
        appointment = access.appointment(actor, appointment_id)
        if appointment.status in GONE:
            return appointment
        refuse_overtaken(appointment, revision)
        at = calendars.stamp(session)
        appointment.status = Status.LATE_CANCELLED if late else Status.CANCELLED
        touch(appointment, at)
        calendars.raise_versions(session, {appointment.clinician_id}, at)
        record(session, actor, Action.APPOINTMENT_CANCELLED, f"appointment:{appointment_id}")
        if also:
            also(session)
    return appointment


def restore(actor: Actor, appointment_id: int, *, despite: str = "") -> Appointment:
    """A cancelled appointment takes place after all. Raises NotFound, Clashing."""
    with transaction() as session:
        appointment = access.appointment(actor, appointment_id)
        if appointment.status not in GONE:
            return appointment
        plan = replace(plan_of(appointment), status=Status.SCHEDULED)
        found = clashes.found(actor, plan, appointment.clinician_id, {appointment_id})
        clashes.refuse(found, despite)
        at = calendars.stamp(session)
        appointment.status = Status.SCHEDULED
        appointment.clash_reason = _reason(found, despite)
        touch(appointment, at)
        calendars.raise_versions(session, {appointment.clinician_id}, at)
        record(session, actor, Action.APPOINTMENT_RESTORED, f"appointment:{appointment_id}")
    return appointment


def refuse_overtaken(appointment: Appointment, revision: int | None) -> None:
    if revision is not None and revision != appointment.revision:
        raise Overtaken


def refuse_archived(actor: Actor, clinician_id: int) -> None:
    """Raises NotFound for another's schedule, Conflict for a clinician who has left."""
    if access.clinician(actor, clinician_id).archived_at is not None:
        raise Conflict("This clinician has left the practice.")


def refuse_past_choices(session: Session, plan: Plan, kept: Appointment | None = None) -> None:
    """What is offered no more is only kept by an appointment that has it already.

    Raises Invalid for an archived type, Conflict for an archived client.
    """
    if plan.type_id is not None and (kept is None or plan.type_id != kept.type_id):
        found = session.get(AppointmentType, plan.type_id)
        if found is None or found.archived_at is not None:
            raise Invalid("Choose a type of appointment from the list.")
    # A duplicate that was merged is taken for the one who was kept.
    former = {c.id for c in plan.clients if c.archived_at is not None and c.merged_into_id is None}
    if former - {client.id for client in (kept.clients if kept else ())}:
        raise Conflict("A client is archived. Restore the record before you book.")


def _hand_over(session: Session, appointment: Appointment, clinician_id: int) -> None:
    """To another clinician; a turn of a series leaves it, and its series does not make it again."""
    if appointment.series_id is not None:
        series = session.get_one(Series, appointment.series_id)
        series.exceptions = sorted({*series.exceptions, appointment.occurrence or ""})
        appointment.series_id = appointment.occurrence = None
        appointment.own = []
    appointment.clinician_id = clinician_id


def _reason(found: list[Clash], despite: str) -> str:
    return one_line(despite) if found else ""


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
    touch(appointment, at)


def touch(appointment: Appointment, at: datetime) -> None:
    """A feed may show it differently from now on."""
    appointment.revision += 1
    appointment.changed_at = at


def find_clients(session: Session, client_ids: Sequence[int]) -> tuple[Client, ...]:
    """These clients, in this order. Raises NotFound if one does not exist."""
    found = _stored_clients(session, client_ids)
    if len(found) != len(set(client_ids)):
        raise NotFound("There is no such client.")
    return clients.kept(session, found)


def known_clients(session: Session, client_ids: Sequence[int]) -> tuple[Client, ...]:
    """Those of these clients who exist, in this order."""
    return clients.kept(session, _stored_clients(session, client_ids))


def _stored_clients(session: Session, client_ids: Sequence[int]) -> tuple[Client, ...]:
    near = [client_id for client_id in dict.fromkeys(client_ids) if 0 < client_id <= LARGEST_ID]
    found = {c.id: c for c in session.scalars(select(Client).where(Client.id.in_(near)))}
    return tuple(found[client_id] for client_id in near if client_id in found)


def _copy(plan: Plan, appointment: Appointment) -> None:
    appointment.kind, appointment.status = plan.kind, plan.status
    appointment.title, appointment.note = one_line(plan.title), visible(plan.note).strip()
    appointment.type_id, appointment.location = plan.type_id, plan.location
    appointment.telehealth_address = plan.telehealth_address
    appointment.zone, appointment.all_day = plan.zone, plan.all_day
    appointment.starts_local = plan.starts
    appointment.starts_at, appointment.ends_at = moments(plan)


def _attend(session: Session, appointment: Appointment, plan: Plan) -> None:
    attending = clients.kept(session, plan.clients)
    wanted = [client.id for client in attending]
    if [attendance.client_id for attendance in appointment.attendance] != wanted:
        appointment.attendance.clear()
        session.flush()
        appointment.attendance.extend(
            AppointmentClient(client_id=client_id, position=position)
            for position, client_id in enumerate(wanted)
        )
        session.flush()
    clients.number_initials(session, appointment.clinician_id, list(attending))
