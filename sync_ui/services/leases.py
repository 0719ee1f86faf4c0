"""Who works on a connection: one at a time, and whoever comes too late can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.models import Connection, transaction

# Longer than the longest call of a provider; each writing makes it new.
LENGTH = timedelta(minutes=3)

# Whoever makes it due during a pass sets an earlier time than this: it is due again afterwards.
NOT_DUE = timedelta(hours=1)


class LeaseLost(Exception):
    """Somebody else works on the connection by now, or it was changed: nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a connection, until somebody else has a higher `fence`."""

    connection_id: int
    fence: int

    @contextmanager
    def writing(self) -> Iterator[tuple[Session, Connection]]:
        """A transaction on the connection. Raises LeaseLost, and writes nothing then."""
        with transaction() as session:
            connection = _fresh(session, self.connection_id)
            if connection is None or connection.fence != self.fence:
                raise LeaseLost
            connection.leased_until = clock.now() + LENGTH
            yield session, connection

    def give_back(self) -> None:
        with transaction() as session:
            connection = _fresh(session, self.connection_id)
            if connection is not None and connection.fence == self.fence:
                connection.leased_until = None


def take(connection_id: int) -> Lease | None:
    """None if somebody has it."""
    with transaction() as session:
        connection = _fresh(session, connection_id)
        now = clock.now()
        if connection is None or is_held(connection, now):
            return None
        connection.fence += 1
        connection.leased_until, connection.next_at = now + LENGTH, now + NOT_DUE
        return Lease(connection_id, connection.fence)


def is_held(connection: Connection, now: datetime) -> bool:
    """Whether somebody works on it. A clock that was set back leaves no lease for years."""
    until = connection.leased_until
    return until is not None and now < until <= now + LENGTH


def break_(connection: Connection) -> None:
    """In the transaction under way: whoever works on it writes nothing any more."""
    connection.fence += 1
    connection.leased_until = None


def _fresh(session: Session, connection_id: int) -> Connection | None:
    return session.get(Connection, connection_id, populate_existing=True)
