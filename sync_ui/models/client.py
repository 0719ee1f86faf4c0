"""Who is seen."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sync_ui.domain.event import DisplayMode
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class Client(Row):
    """`internal_id` is random and unique; `ceiling` is the most that may ever show.

    A duplicate that was merged points to the client who was kept.
    """

    __tablename__ = "client"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str] = mapped_column(default="")
    preferred_name: Mapped[str] = mapped_column(default="")
    internal_id: Mapped[str] = mapped_column(unique=True)
    ceiling: Mapped[DisplayMode | None] = mapped_column(words(DisplayMode))
    created_at: Mapped[datetime] = mapped_column(Instant)
    archived_at: Mapped[datetime | None] = mapped_column(Instant)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"), index=True)


class Initials(Row):
    """Which of a clinician's clients came first, second … with the same initials.

    Rows are never changed nor removed, so that J.S.2 stays J.S.2 for good.
    """

    __tablename__ = "initials"
    __table_args__ = (UniqueConstraint("clinician_id", "letters", "number"),)

    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, index=True)
    letters: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
