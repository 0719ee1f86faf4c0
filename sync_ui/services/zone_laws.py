"""Zones change their laws: appointments keep the time on the wall, and get their new moments."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.recurrence import in_utc
from sync_ui.models import Appointment, transaction
from sync_ui.services import calendars
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

_DAY = timedelta(days=1)


def repair(actor: Actor) -> int:
    """Every appointment to come begins when its wall time and the installed laws say.

    Lengths stay; those of all-day ones in days. Returns how many were set right;
    doing it twice changes nothing.
    """
    with transaction() as session:
        wrong = [(row, times) for row in _ahead(session) if (times := _times(row)) != _stored(row)]
        if not wrong:
            return 0
        at = calendars.stamp(session)
        session.execute(
            update(Appointment),
            [
                {
                    "id": row.id,
                    "starts_at": starts_at,
                    "ends_at": ends_at,
                    "revision": row.revision + 1,
                    "changed_at": at,
                }
                for row, (starts_at, ends_at) in wrong
            ],
        )
        calendars.raise_versions(session, {row.clinician_id for row, _ in wrong}, at)
        record(session, actor, Action.ZONES_REPAIRED, appointments=len(wrong))
    return len(wrong)


def _ahead(session: Session) -> Iterator[Row[*tuple[Any, ...]]]:
    """Columns, not objects: there are thousands."""
    yield from session.execute(
        select(
            Appointment.id,
            Appointment.clinician_id,
            Appointment.revision,
            Appointment.zone,
            Appointment.starts_local,
            Appointment.starts_at,
            Appointment.ends_at,
            Appointment.all_day,
        ).where(Appointment.ends_at > clock.now())
    )


def _stored(row: Row[*tuple[Any, ...]]) -> tuple[Any, Any]:
    return row.starts_at, row.ends_at


def _times(row: Row[*tuple[Any, ...]]) -> tuple[Any, Any]:
    starts_at, length = in_utc(row.starts_local, row.zone), row.ends_at - row.starts_at
    if not row.all_day:
        return starts_at, starts_at + length
    # Days have 23 or 25 hours when the clocks change.
    return starts_at, in_utc(row.starts_local + round(length / _DAY) * _DAY, row.zone)
