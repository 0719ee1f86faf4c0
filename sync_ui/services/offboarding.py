"""Who leaves, or may do less, leaves no link, no code and no connection behind.

All of it works in the transaction under way; `addresses.write_journal` follows it.
"""

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from sync_ui.domain.roles import Role
from sync_ui.models import Calendar, Code, Link, Reason, User
from sync_ui.services import access, addresses, leaving


def end_all_of_clinician(session: Session, clinician_id: int) -> None:
    """The clinician's calendar has no live link any more, and no connection."""
    leaving.leave_clinician(session, clinician_id)
    of_clinician = (
        select(Link)
        .join(Calendar)
        .where(Link.disabled_at.is_(None), Calendar.clinician_id == clinician_id)
    )
    for link in session.scalars(of_clinician).all():
        addresses.end(session, link, Reason.LEFT)


def end_all_of_user(session: Session, user: User) -> None:
    """Whatever the user could read outside is dead."""
    if user.clinician is not None:
        end_all_of_clinician(session, user.clinician.id)
    leaving.leave_user(session, user)
    for link in session.scalars(_made_by(user)).all():
        addresses.end(session, link, Reason.LEFT)
    # Whoever drew a code for a colleague's link could still have its address by it.
    session.execute(delete(Code).where(Code.made_by_id == user.id))


def end_out_of_reach(session: Session, user: User) -> None:
    """The user's role or the policy has changed; what the user made for calendars of others
    is dead if they are no longer the user's to share.
    """
    actor = access.actor_for(user)
    leaving.leave_user(session, user, out_of_reach=True)
    for link in session.scalars(_made_by(user)).all():
        if not access.may_share(actor, link.calendar):
            addresses.end(session, link)
    for code in session.scalars(select(Code).where(Code.made_by_id == user.id)).all():
        if not access.may_share(actor, code.link.calendar):
            session.delete(code)


def end_out_of_reach_of_schedulers(session: Session) -> None:
    """What schedulers made for calendars that are no longer theirs to share is dead."""
    for user in session.scalars(select(User).where(User.role == Role.SCHEDULER)).all():
        end_out_of_reach(session, user)


def _made_by(user: User) -> Select[Link]:
    return select(Link).where(Link.disabled_at.is_(None), Link.created_by_id == user.id)
