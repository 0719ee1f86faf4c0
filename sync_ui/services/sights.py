"""What a user can see, or could see until they left: the off-boarding's list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.roles import Permission, Role, may
from sync_ui.errors import Conflict
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AuditEntry,
    Client,
    Link,
    Reason,
    User,
    Visit,
    db,
    transaction,
)
from sync_ui.services import access, accounts, addresses, links, visits
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record


@dataclass(frozen=True, slots=True)
class Sight:
    """Inside, by every role they had; outside, by links.

    `own` are the links of their calendar, whoever made them, `made` those that
    they made for others' calendars: dead once the user is out. `known` are live
    links of others whose addresses their role showed them. `readers` tells what
    read `own` and `made`: where copies may be.
    """

    roles: Sequence[Role]
    clients: int
    sees_everyone: bool
    own: list[Link]
    made: list[Link]
    known: list[Link]
    readers: list[Visit]
    exports: int
    exported_at: datetime | None

    @property
    def outside(self) -> list[Link]:
        return [*self.own, *self.made]


def could_see(user: User) -> Sight:
    """Of a disabled user, what they could see when they were put out."""
    roles = _roles(user)
    clinician_id = user.clinician.id if user.clinician else None
    everyone = any(may(role, Permission.EVERY_CLIENT) for role in roles)
    own, made = _outside(user, clinician_id)
    exports = _exports(user)
    return Sight(
        roles=roles,
        clients=_clients(user, clinician_id, everyone=everyone),
        sees_everyone=everyone,
        own=own,
        made=made,
        known=_known(db.session(), user, roles),
        readers=[visit for link in (*own, *made) for visit in visits.of_link(link.id)],
        exports=len(exports),
        exported_at=exports[-1] if exports else None,
    )


def reset_known(actor: Actor, user_id: int) -> int:
    """Links of others whose addresses a disabled user knew have new ones. Returns how many.

    Raises Refused, NotFound, and Conflict for a user who is not out.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        user = accounts.user(user_id)
        if user.disabled_at is None:
            raise Conflict("This user still sees the new addresses. Disable the user first.")
        known = _known(session, user, _roles(user))
        for link in known:
            addresses.reset(session, link, Reason.LEFT)
        about, reason = f"user:{user_id}", Reason.LEFT.value
        record(session, actor, Action.LINKS_RESET, about, count=len(known), reason=reason)
    addresses.write_journal()
    return len(known)


def _roles(user: User) -> list[Role]:
    """The present one, and those that the audit remembers."""
    told = select(AuditEntry).where(AuditEntry.subject == f"user:{user.id}")
    words = [entry.detail.get("role") for entry in db.session.scalars(told)]
    return [role for role in Role if role is user.role or role.value in words]


def _left_at(user: User) -> datetime:
    return user.disabled_at or clock.now()


def _clients(user: User, clinician_id: int | None, *, everyone: bool) -> int:
    if everyone:
        there = Client.merged_into_id.is_(None), Client.created_at <= _left_at(user)
        return db.session.scalar(select(func.count(Client.id)).where(*there)) or 0
    seen = (
        select(func.count(distinct(AppointmentClient.client_id)))
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(Appointment.clinician_id == clinician_id)
        .where(Appointment.created_at <= _left_at(user))
    )
    return db.session.scalar(seen) or 0


def _outside(user: User, clinician_id: int | None) -> tuple[list[Link], list[Link]]:
    """Links that work, or did until the user was put out; of their calendar, and for others'."""
    found = [
        link
        for link in db.session.scalars(select(Link).order_by(Link.id))
        if links.is_live(link)
        or (user.disabled_at and link.disabled_at and link.disabled_at >= user.disabled_at)
    ]
    own = [link for link in found if clinician_id and link.calendar.clinician_id == clinician_id]
    made = [link for link in found if link.created_by_id == user.id and link not in own]
    return own, made


def _known(session: Session, user: User, roles: Sequence[Role]) -> list[Link]:
    """A new address that a link has got since then, they do not know."""
    if not any(may(role, Permission.EVERY_LINK) for role in roles):
        return []
    clinician_id = user.clinician.id if user.clinician else None
    found = []
    for link in session.scalars(addresses.alive().order_by(Link.id)):
        token = addresses.current(link)
        theirs = link.created_by_id == user.id or (
            clinician_id is not None and link.calendar.clinician_id == clinician_id
        )
        if token and token.created_at <= _left_at(user) and not theirs and links.is_live(link):
            found.append(link)
    return found


def _exports(user: User) -> list[datetime]:
    """Files that they took along, by when."""
    exported = Action.SCHEDULE_EXPORTED.value, Action.CLIENTS_EXPORTED.value
    told = select(AuditEntry.at).where(
        AuditEntry.actor == f"user:{user.id}", AuditEntry.action.in_(exported)
    )
    return list(db.session.scalars(told.order_by(AuditEntry.id)))
