"""What must happen without anyone asking; all of it can be done again at any time."""

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import delete, or_, select

from sync_ui import clock
from sync_ui.models import (
    Challenge,
    Change,
    Code,
    Import,
    ImportedRow,
    ImportFile,
    Mail,
    Session,
    SignInFailure,
    Ticket,
    Visit,
    db,
    transaction,
)
from sync_ui.models.database import wipe_log
from sync_ui.services import (
    addresses,
    changes,
    damage,
    keys,
    links,
    mail,
    notices,
    series,
    sessions,
    trail,
    undo,
    uploads,
    visits,
)
from sync_ui.services.access import WORKER
from sync_ui.services.audit import Action, record

KEPT = timedelta(days=1)

log = logging.getLogger(__name__)


def sweep() -> None:
    """Whatever is owed and undone, done: each part by itself, so that one cannot stop another."""
    if damage.is_known():
        return
    parts: tuple[Callable[[], object], ...] = (
        lambda: keys.finish(WORKER),
        sessions.follow_clock,
        lambda: links.expire(WORKER),
        addresses.write_journal,
        lambda: notices.tell_silent(WORKER),
        mail.send_due,
        lambda: series.extend(WORKER),
        clean_up,
        lambda: uploads.work(WORKER),
    )
    _do_each(parts)


def look_daily() -> None:
    """What has not been looked at for a day is; each part knows when it last did."""
    _do_each((damage.look_daily, trail.verify_daily, forget_deleted))


def _do_each(parts: tuple[Callable[[], object], ...]) -> None:
    for part in parts:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the other parts and the next sweep go on
            log.error("A part of the sweep failed: %s", type(error).__name__)
            db.session.rollback()


def forget_deleted() -> bool:
    """Of what was deleted no byte is left in the database's files; asked for again if not now."""
    db.session.rollback()
    return wipe_log(db.engine)


def clean_up() -> int:
    """Spent codes, ended sessions, forgotten uploads, old mail, old visits and what would undo
    old changes and imports are gone. Returns how many.
    """
    now = clock.now()
    made_before, seen_before = sessions.expired_before(now)
    over = (
        delete(Code).where(Code.expires_at < now - KEPT),
        delete(Session).where(or_(Session.created_at < made_before, Session.seen_at < seen_before)),
        delete(Challenge).where(Challenge.expires_at < now),
        delete(Ticket).where(Ticket.expires_at < now - KEPT),
        delete(SignInFailure).where(SignInFailure.last_at < now - KEPT),
        delete(ImportFile).where(ImportFile.created_at < now - KEPT),
        delete(ImportedRow).where(
            ImportedRow.import_id.in_(select(Import.id).where(Import.applied_at < now - undo.KEPT))
        ),
        delete(Change).where(Change.at < now - changes.KEPT),
        delete(Mail).where(Mail.created_at < now - 30 * KEPT),
        delete(Visit).where(Visit.last_at < now - visits.KEPT),
    )
    with transaction() as session:
        removed = sum(session.execute(statement).rowcount for statement in over)  # type: ignore[attr-defined]
        if removed:
            record(session, WORKER, Action.CLEANED_UP, count=removed)
    if removed:
        forget_deleted()
    return removed
