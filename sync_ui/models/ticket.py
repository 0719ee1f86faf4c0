"""Tickets: what an invitation or a forgotten password's mail or printed sheet carries."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.models.account import User
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class TicketKind(StrEnum):
    INVITATION = "invitation"
    RESET = "reset"
    EMAIL = "email"


class Ticket(Row):
    """Lets its user choose a password, or proves their new address, once.

    Only the digest of its secret is stored.

    Looking at it spends nothing: mail programs look at every link.
    """

    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[TicketKind] = mapped_column(words(TicketKind))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    spent_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship(foreign_keys=user_id)
