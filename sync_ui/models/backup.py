"""What was backed up when, and whether it could be read back."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class BackupKind(StrEnum):
    DAILY = "daily"
    BY_HAND = "by_hand"


class Backup(Row):
    """One attempt. `name` is the file's name alone; `size` in bytes, 0 if none was made.

    `verified_at`: when the file was last read back whole. `trouble` is a sentence.
    """

    __tablename__ = "backup"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    kind: Mapped[BackupKind] = mapped_column(words(BackupKind))
    name: Mapped[str]
    size: Mapped[int] = mapped_column(default=0)
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    trouble: Mapped[str | None]
