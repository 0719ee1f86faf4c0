"""What passes did: the log of a connection, in words of the application and without names."""

from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.models import Step, db

KEPT = 100


class Did(StrEnum):
    """The list of everything that can be in the log."""

    WROTE = "wrote"
    REMOVED = "removed"
    LEFT = "left"
    ADOPTED = "adopted"
    RESTORED = "restored"
    MOVED_OUTSIDE = "moved_outside"
    REMOVED_OUTSIDE = "removed_outside"
    OVERTAKEN = "overtaken"
    FOUND_AGAIN = "found_again"
    BUSY_TIMES = "busy_times"
    STOPPED = "stopped"
    FAILED = "failed"
    PARKED = "parked"
    ACCEPTED = "accepted"
    PUT_BACK = "put_back"
    READ_WHOLE = "read_whole"
    NO_CHANNEL = "no_channel"


def note(session: Session, connection_id: int, did: Did, count: int = 0, detail: str = "") -> None:
    """Add it to the transaction under way; `detail` is a sentence of ours, never a name."""
    if count == 0 and not detail:
        return
    session.add(
        Step(
            connection_id=connection_id,
            at=clock.now(),
            word=did.value,
            count=count,
            detail=detail,
        )
    )
    session.flush()
    of_it = select(Step.id).where(Step.connection_id == connection_id)
    oldest = session.scalar(of_it.order_by(Step.id.desc()).offset(KEPT).limit(1))
    if oldest is not None:
        session.execute(delete(Step).where(Step.connection_id == connection_id, Step.id <= oldest))


def of(connection_id: int) -> list[Step]:
    """The latest first."""
    wanted = select(Step).where(Step.connection_id == connection_id)
    return list(db.session.scalars(wanted.order_by(Step.id.desc()).limit(KEPT)))
