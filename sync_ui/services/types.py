"""Types of appointments: what sessions are for, how long they take, and their colour."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import AppointmentType, db, transaction
from sync_ui.services import access, calendars
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import checked_name

LONGEST_MINUTES = 24 * 60

# What most practices begin with; each can be changed or archived.
USUAL = (
    ("Individual session", 50, Colour.TEAL),
    ("Couple session", 80, Colour.VIOLET),
    ("Group session", 90, Colour.ORANGE),
    ("Intake", 90, Colour.BLUE),
)


def offered() -> list[AppointmentType]:
    """By name; archived ones are offered no more."""
    return list(
        db.session.scalars(
            select(AppointmentType)
            .where(AppointmentType.archived_at.is_(None))
            .order_by(func.lower(AppointmentType.name))
        )
    )


def add_usual(session: Session) -> list[AppointmentType]:
    """Add what most practices begin with to the transaction under way."""
    usual = [AppointmentType(name=n, minutes=m, colour=colour) for n, m, colour in USUAL]
    session.add_all(usual)
    session.flush()
    return usual


def create(
    actor: Actor,
    *,
    name: str,
    minutes: int,
    colour: Colour,
    ceiling: DisplayMode | None = None,
) -> AppointmentType:
    """Appointments can be of this type; links show no more of them than `ceiling`.

    Raises Invalid, Conflict, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    _check_minutes(minutes)
    with transaction() as session:
        name = _free_name(session, name)
        added = AppointmentType(name=name, minutes=minutes, colour=colour, ceiling=ceiling)
        session.add(added)
        session.flush()
        record(session, actor, Action.TYPE_CREATED, f"appointment_type:{added.id}")
    return added


def change(
    actor: Actor,
    type_id: int,
    *,
    name: str,
    minutes: int,
    colour: Colour,
    ceiling: DisplayMode | None = None,
) -> None:
    """Appointments of this type keep their length; links show them so from the next reading on.

    Raises Invalid, NotFound, Conflict, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    _check_minutes(minutes)
    with transaction() as session:
        found = get(type_id)
        name = _free_name(session, name, type_id)
        if (name, ceiling) != (found.name, found.ceiling):
            calendars.raise_type(session, type_id, calendars.stamp(session))
        found.name, found.ceiling = name, ceiling
        found.minutes, found.colour = minutes, colour
        detail = {"ceiling": ceiling}
        record(session, actor, Action.TYPE_CHANGED, f"appointment_type:{type_id}", **detail)


def archive(actor: Actor, type_id: int) -> None:
    """It is offered no more; appointments keep it."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        found = get(type_id)
        found.archived_at = found.archived_at or clock.now()
        record(session, actor, Action.TYPE_ARCHIVED, f"appointment_type:{type_id}")


def get(type_id: int) -> AppointmentType:
    """Raises NotFound."""
    return access.get(AppointmentType, type_id, "There is no such type of appointment.")


def _check_minutes(minutes: int) -> None:
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise Invalid("An appointment takes from a minute to a day.")


def _free_name(session: Session, name: str, own_id: int | None = None) -> str:
    """The name, if no other type has it; one that was archived gives it up."""
    name = checked_name(name)
    for other in session.scalars(select(AppointmentType)):
        if other.id == own_id or other.name.casefold() != name.casefold():
            continue
        if other.archived_at is None:
            raise Conflict("There is a type of this name already.")
        # Links that show types show the new name.
        calendars.raise_type(session, other.id, calendars.stamp(session))
        other.name = f"{other.name} (until {other.archived_at:%Y-%m-%d}, {other.id})"
    session.flush()
    return name
