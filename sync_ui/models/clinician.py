"""Who sees clients."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.colours import Colour
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row

if TYPE_CHECKING:
    from sync_ui.models.account import User


class Clinician(Row):
    """`name` is what the practice-wide calendar puts before each appointment."""

    __tablename__ = "clinician"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    colour: Mapped[Colour] = mapped_column(words(Colour), default=Colour.TEAL)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    archived_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User | None] = relationship(back_populates="clinician")
