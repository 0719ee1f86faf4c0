"""The one door: who is acting, and whether that thing is theirs to see.

What an actor may not know of is not found, rather than refused.
"""

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from sync_ui.domain.roles import Permission, Role, may
from sync_ui.errors import NotFound, Refused
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Calendar,
    Client,
    Clinician,
    Link,
    Practice,
    User,
    db,
)
from sync_ui.models.database import Row

PRACTICE = "practice"
LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change: `word` is what the audit remembers."""

    word: str
    role: Role
    user_id: int | None = None
    clinician_id: int | None = None

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)


# Whoever can run commands on the host can do everything anyway.
COMMAND = Actor("command", Role.ADMINISTRATOR)
WORKER = Actor("worker", Role.ADMINISTRATOR)
SETUP = Actor("setup", Role.ADMINISTRATOR)

# Whoever holds a code or a link, signed in or not.
PHONE = Actor("phone", Role.CLINICIAN)
NOBODY = Actor("nobody", Role.CLINICIAN)


def actor_for(user: User) -> Actor:
    clinician_id = user.clinician.id if user.clinician else None
    return Actor(f"user:{user.id}", user.role, user.id, clinician_id)


def require(actor: Actor, permission: Permission) -> None:
    if not actor.may(permission):
        raise Refused("Your role does not allow this. Ask an administrator of your practice.")


def require_in(actor: Actor) -> None:
    """In the transaction under way: nobody has put the actor out, or given them another role,
    while the request was on its way. Raises Refused.
    """
    if actor.user_id is None:
        return
    wanted = select(User.role, User.disabled_at).where(User.id == actor.user_id)
    found = db.session.execute(wanted).one_or_none()
    if found is None or found.disabled_at is not None:
        raise Refused("You have no access any more. Ask an administrator of your practice.")
    if found.role is not actor.role:
        raise Refused("Your role was changed just now. Load the page again.")


def calendar(actor: Actor, key: str) -> Calendar:
    """The calendar by its id, or by the word `practice`, if the actor may manage its links."""
    found = _calendar(key)
    if may_share(actor, found):
        return found
    raise NotFound("There is no such calendar.")


def own_calendar(actor: Actor) -> Calendar | None:
    if actor.clinician_id is None:
        return None
    return db.session.scalar(select(Calendar).where(Calendar.clinician_id == actor.clinician_id))


def calendar_of(clinician: Clinician) -> Calendar:
    return db.session.scalars(select(Calendar).where(Calendar.clinician_id == clinician.id)).one()


def link(actor: Actor, link_id: int) -> Link:
    found = get(Link, link_id, "There is no such link.")
    if not may_share(actor, found.calendar):
        raise NotFound("There is no such link.")
    return found


def appointment(actor: Actor, appointment_id: int) -> Appointment:
    found = get(Appointment, appointment_id, "There is no such appointment.")
    if not may_schedule(actor, found.clinician_id):
        raise NotFound("There is no such appointment.")
    return found


def clinician(actor: Actor, clinician_id: int) -> Clinician:
    """The clinician, if the actor may keep their schedule."""
    if not may_schedule(actor, clinician_id):
        raise NotFound("There is no such clinician.")
    return get(Clinician, clinician_id, "There is no such clinician.")


def client(actor: Actor, client_id: int) -> Client:
    """The client, if the actor sees every client, or this one has come to see the actor."""
    found = get(Client, client_id, "There is no such client.")
    if may_know(actor, client_id):
        return found
    raise NotFound("There is no such client.")


def may_know(actor: Actor, client_id: int) -> bool:
    return actor.may(Permission.EVERY_CLIENT) or _sees(actor, client_id)


def may_schedule(actor: Actor, clinician_id: int) -> bool:
    return actor.may(Permission.EVERY_SCHEDULE) or _is_own(
        actor, clinician_id, Permission.OWN_SCHEDULE
    )


def may_share(actor: Actor, found: Calendar) -> bool:
    if found.clinician_id is None:
        return may_share_practice(actor)
    return actor.may(Permission.EVERY_LINK) or _is_own(
        actor, found.clinician_id, Permission.OWN_LINKS
    )


def may_share_practice(actor: Actor) -> bool:
    """Whether the practice-wide calendar is the actor's to share: a scheduler's by policy."""
    if actor.may(Permission.SETTINGS):
        return True
    policy = db.session.get_one(Practice, 1)
    return actor.may(Permission.EVERY_LINK) and policy.schedulers_share_practice


def _is_own(actor: Actor, clinician_id: int | None, permission: Permission) -> bool:
    return clinician_id is not None and clinician_id == actor.clinician_id and actor.may(permission)


def _sees(actor: Actor, client_id: int) -> bool:
    if actor.clinician_id is None:
        return False
    seen = (
        select(AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(AppointmentClient.client_id == client_id)
        .where(Appointment.clinician_id == actor.clinician_id)
        .limit(1)
    )
    return db.session.scalar(seen) is not None


def _calendar(key: str) -> Calendar:
    wanted = select(Calendar)
    if key == PRACTICE:
        wanted = wanted.where(Calendar.clinician_id.is_(None))
    elif key.isascii() and key.isdigit() and len(key) < 10:
        wanted = wanted.where(Calendar.id == int(key), Calendar.clinician_id.is_not(None))
    else:
        raise NotFound("There is no such calendar.")
    found = db.session.scalar(wanted)
    if found is None:
        raise NotFound("There is no such calendar.")
    return found


_Row = TypeVar("_Row", bound=Row)


def get(table: type[_Row], row_id: int, otherwise: str) -> _Row:
    # What no row can have as its id, no database takes as a number.
    found = db.session.get(table, row_id) if 0 < row_id <= LARGEST_ID else None
    if found is None:
        raise NotFound(otherwise)
    return found
