"""Which feeds a change is seen in: versions grow in the change's own transaction."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import validators
from sync_ui.models import Appointment, AppointmentClient, Calendar, Practice
from sync_ui.models.database import owes_more


def stamp(session: Session) -> datetime:
    """The moment of a change: whole seconds, later than every one given out before."""
    found = session.get_one(Practice, 1)
    found.last_change = validators.next_change(clock.now(), found.last_change)
    return found.last_change


def raise_versions(session: Session, clinician_ids: Collection[int], at: datetime) -> None:
    """Something of these clinicians' schedules changed: theirs and the practice's feeds move."""
    owes_more(session)
    session.execute(
        update(Calendar)
        .where(or_(Calendar.clinician_id.in_(clinician_ids), Calendar.clinician_id.is_(None)))
        .values(version=Calendar.version + 1, changed_at=at)
    )


def raise_policy(session: Session, at: datetime) -> None:
    """Something that every feed shows changed: all of them move, with every event in them."""
    owes_more(session)
    found = session.get_one(Practice, 1)
    found.policy_revision += 1
    found.policy_changed_at = at


def raise_client(session: Session, client_id: int, at: datetime) -> None:
    """How a client shows has changed: so has each of their appointments."""
    attended = select(AppointmentClient.appointment_id).where(
        AppointmentClient.client_id == client_id
    )
    clinician_ids = session.scalars(
        select(Appointment.clinician_id).where(Appointment.id.in_(attended)).distinct()
    )
    raise_versions(session, set(clinician_ids), at)
    _raise_appointments(session, Appointment.id.in_(attended), at)


def raise_clinician(session: Session, clinician_id: int, at: datetime) -> None:
    """A clinician's name has changed, which the practice-wide feed puts before each event."""
    raise_versions(session, {clinician_id}, at)
    _raise_appointments(session, Appointment.clinician_id == clinician_id, at)


def raise_type(session: Session, type_id: int, at: datetime) -> None:
    """How a type of appointment shows has changed: so has each appointment of it."""
    clinician_ids = session.scalars(
        select(Appointment.clinician_id).where(Appointment.type_id == type_id).distinct()
    )
    raise_versions(session, set(clinician_ids), at)
    _raise_appointments(session, Appointment.type_id == type_id, at)


def _raise_appointments(session: Session, which: ColumnElement[bool], at: datetime) -> None:
    session.execute(
        update(Appointment)
        .where(which)
        .values(revision=Appointment.revision + 1, changed_at=at)
        .execution_options(synchronize_session=False)
    )
