"""Clinicians: who sees clients, each with a calendar."""

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import colours
from sync_ui.domain.colours import Colour
from sync_ui.domain.roles import Permission
from sync_ui.models import Calendar, Clinician, User, db, transaction
from sync_ui.services import access, addresses, calendars, offboarding
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import checked_name


def clinicians() -> list[Clinician]:
    return list(
        db.session.scalars(
            select(Clinician)
            .where(Clinician.archived_at.is_(None))
            .order_by(func.lower(Clinician.name))
        )
    )


def visible(actor: Actor) -> list[Clinician]:
    """The clinicians whose schedules the actor keeps."""
    return [found for found in clinicians() if access.may_schedule(actor, found.id)]


def create(actor: Actor, name: str) -> Clinician:
    """A clinician who does not sign in; others keep the schedule."""
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        added = add_clinician(session, checked_name(name))
        record(session, actor, Action.CLINICIAN_CREATED, f"clinician:{added.id}")
    return added


def change(actor: Actor, clinician_id: int, name: str, colour: Colour | None = None) -> None:
    """The practice-wide calendar shows the new name from its next reading on."""
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        found = clinician(clinician_id)
        renamed = found.name != checked_name(name)
        found.name, found.colour = checked_name(name), colour or found.colour
        if renamed:
            calendars.raise_clinician(session, clinician_id, calendars.stamp(session))
        record(session, actor, Action.CLINICIAN_CHANGED, f"clinician:{clinician_id}")


def archive(actor: Actor, clinician_id: int) -> None:
    """The clinician has left: appointments stay, every link of their calendar is dead."""
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        leaver = clinician(clinician_id)
        leaver.archived_at = leaver.archived_at or clock.now()
        offboarding.end_all_of_clinician(session, clinician_id)
        record(session, actor, Action.CLINICIAN_ARCHIVED, f"clinician:{clinician_id}")
    addresses.write_journal()


def add_clinician(session: Session, name: str, user: User | None = None) -> Clinician:
    """Add a clinician and their calendar to the transaction under way."""
    now = clock.now()
    colour = colours.nth(session.scalar(select(func.count(Clinician.id))) or 0)
    added = Clinician(name=name, colour=colour, user=user, created_at=now)
    session.add(added)
    session.flush()
    session.add(
        Calendar(uid=str(uuid.uuid4()), clinician_id=added.id, changed_at=calendars.stamp(session))
    )
    return added


def clinician(clinician_id: int) -> Clinician:
    """Raises NotFound."""
    return access.get(Clinician, clinician_id, "There is no such clinician.")
