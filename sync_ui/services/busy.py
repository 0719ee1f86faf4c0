"""Busy times: when outside calendars of a clinician take time, and never what for."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.outside import Busy, Expired, Provider, Window
from sync_ui.models import (
    BusyCalendar,
    BusyTime,
    Connection,
    ConnectionState,
    db,
)
from sync_ui.services import copies, events, steps
from sync_ui.services.known import batches
from sync_ui.services.leases import Lease
from sync_ui.services.steps import Did

# A token tells what changed, never what the moving window comes to show: all is read now and then.
READ_WHOLE_EVERY = timedelta(days=1)

# So many times one calendar can take.
MOST = 20_000

# While a connection is one of these, its clinician's busy times count.
COUNTING = (ConnectionState.WORKING, ConnectionState.STOPPED, ConnectionState.SIGNED_OUT)


def read(lease: Lease, provider: Provider) -> None:
    """The busy times of each calendar that was ticked are as they are outside.

    Raises the provider's Trouble, LeaseLost.
    """
    connection = db.session.get_one(Connection, lease.connection_id)
    window = window_of(connection)
    now = clock.now()
    wanted = [
        (calendar.id, calendar.outside_id, None if _is_stale(calendar, now) else calendar.token)
        for calendar in connection.busy_calendars
    ]
    db.session.rollback()
    for calendar_id, outside_id, token in wanted:
        found = look(provider, outside_id, token, window)
        if found.token == token and not found.spans and not found.gone:
            continue
        with lease.writing() as (session, connection):
            calendar = session.get(BusyCalendar, calendar_id)
            if calendar is not None:
                _store(session, connection, calendar, found, now)


def look(provider: Provider, outside_id: str, token: str | None, window: Window) -> Busy:
    """Since the token; everything if it is no longer good."""
    try:
        return provider.busy(outside_id, token, window)
    except Expired:
        return provider.busy(outside_id, None, window)


def window_of(connection: Connection) -> Window:
    """From today on, as far ahead as the connection shows."""
    shown, now = copies.shown(connection), clock.now()
    return Window(now - timedelta(days=1), events.window(shown, now)[1])


def _is_stale(calendar: BusyCalendar, now: datetime) -> bool:
    at = calendar.whole_at
    return at is None or not at <= now < at + READ_WHOLE_EVERY


def _store(
    session: Session, connection: Connection, calendar: BusyCalendar, found: Busy, now: datetime
) -> None:
    clinician_id = connection.calendar.clinician_id
    of_it = BusyTime.busy_calendar_id == calendar.id
    if found.whole:
        session.execute(delete(BusyTime).where(of_it))
        calendar.whole_at = now
    else:
        for ids in batches([*found.spans, *found.gone]):
            session.execute(delete(BusyTime).where(of_it, BusyTime.entry_id.in_(ids)))
    times = [
        BusyTime(
            busy_calendar_id=calendar.id,
            clinician_id=clinician_id,
            entry_id=entry_id,
            starts_at=span.starts_at,
            ends_at=span.ends_at,
        )
        for entry_id, spans in found.spans.items()
        for span in spans
        if not span.all_day  # a birthday or a conference in town takes no time
    ]
    session.add_all(times[:MOST])
    calendar.token = found.token
    steps.note(session, connection.id, Did.BUSY_TIMES, len(times) + len(found.gone))


def between(clinician_ids: list[int], starts: datetime, ends: datetime) -> list[BusyTime]:
    """Busy times of these clinicians that touch the time, in order."""
    wanted = (
        select(BusyTime)
        .join(BusyCalendar, BusyCalendar.id == BusyTime.busy_calendar_id)
        .join(Connection, Connection.id == BusyCalendar.connection_id)
        .where(Connection.state.in_(COUNTING))
        .where(BusyTime.clinician_id.in_(clinician_ids))
        .where(BusyTime.starts_at < ends, BusyTime.ends_at > starts)
        .order_by(BusyTime.starts_at, BusyTime.id)
    )
    return list(db.session.scalars(wanted))
