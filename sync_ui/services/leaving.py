"""How a connection ends: what may happen inside other changes, without a word to the provider."""

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.models import (
    Calendar,
    Connection,
    ConnectionState,
    Outcome,
    Proposal,
    User,
)
from sync_ui.models.database import owes_more
from sync_ui.services import access, channels, leases

OVER = (ConnectionState.LEAVING, ConnectionState.ENDED)


def leave_calendar(session: Session, calendar_id: int) -> int:
    """Every connection of the calendar takes back what it wrote. Returns how many."""
    return _leave(session, _alive().where(Connection.calendar_id == calendar_id))


def leave_clinician(session: Session, clinician_id: int) -> int:
    """The same for the clinician's calendar."""
    return _leave(session, _alive().join(Calendar).where(Calendar.clinician_id == clinician_id))


def leave_user(session: Session, user: User, *, out_of_reach: bool = False) -> int:
    """The same for what the user connected; only what is no longer theirs, if `out_of_reach`."""
    actor = access.actor_for(user)
    found = session.scalars(_alive().where(Connection.created_by_id == user.id)).all()
    over = [each for each in found if not (out_of_reach and access.may_share(actor, each.calendar))]
    for connection in over:
        leave(session, connection, remove=True)
    return len(over)


def _alive() -> Select[Connection]:
    return select(Connection).where(Connection.state.not_in(OVER))


def _leave(session: Session, which: Select[Connection]) -> int:
    found = session.scalars(which).all()
    for connection in found:
        leave(session, connection, remove=True)
    return len(found)


def leave(session: Session, connection: Connection, *, remove: bool) -> None:
    """In the transaction under way: the connection ends, and whoever works on it stops."""
    leases.break_(connection)
    connection.busy_calendars.clear()
    session.execute(
        update(Proposal)
        .where(Proposal.connection_id == connection.id, Proposal.decided_at.is_(None))
        .values(decided_at=clock.now(), outcome=Outcome.WITHDRAWN)
    )
    if remove and connection.sealed is not None:
        connection.state = ConnectionState.LEAVING
        connection.failures, connection.trouble = 0, ""
        make_due(session, connection)
    else:
        end(connection)


def make_due(session: Session, connection: Connection) -> None:
    """In the transaction under way: the worker looks after it at once."""
    connection.next_at = clock.now()
    owes_more(session)


def end(connection: Connection) -> None:
    """It is over; what is left is the memory of it, and no way in."""
    connection.state = ConnectionState.ENDED
    connection.sealed, connection.token, connection.trouble = None, None, ""
    channels.forget(connection)
    connection.busy_calendars.clear()
