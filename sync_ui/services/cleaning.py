"""Everything that a connection wrote is removed, and nothing else.

That is what has an id of ours and carries our mark, or is known to be ours
though it has lost the mark.
"""

from sqlalchemy import delete

from sync_ui.domain.outside import Missing, Provider, Stale
from sync_ui.models import Connection, Copy, db
from sync_ui.services import copies, farewells, leaving, pull, steps
from sync_ui.services.leases import Lease
from sync_ui.services.steps import Did

# So many are removed before others have their turn.
AT_ONCE = 100


def clean(lease: Lease, provider: Provider) -> bool:
    """Whether more is left to remove. Raises the provider's Trouble, LeaseLost."""
    connection = db.session.get_one(Connection, lease.connection_id)
    calendar_id, mark = connection.outside_id, copies.mark(connection.calendar)
    known = copies.known(db.session(), connection.id).keys()
    farewell = farewells.prepared(connection, provider)
    db.session.rollback()
    try:
        changes = pull.read(provider, calendar_id, None)
    except Missing:
        changes = None  # the calendar is gone, and all of it with it
    ours = copies.ours(changes.entries if changes else (), known, mark)
    for entry in ours[:AT_ONCE]:
        try:
            provider.remove(calendar_id, entry.id, None)
        except Stale:
            continue  # it is read again
    with lease.writing() as (session, connection):
        steps.note(session, connection.id, Did.REMOVED, len(ours[:AT_ONCE]))
        if len(ours) > AT_ONCE:
            return True
        session.execute(delete(Copy).where(Copy.connection_id == connection.id))
        leaving.end(connection)
    if farewell is not None:
        farewell.say()
    return False
