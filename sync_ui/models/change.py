"""What a change did to a series and its turns, for its undoing."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from sync_ui.models.database import Instant, Row


class Change(Row):
    """One change of a series, or of an appointment that went to another clinician.

    `appointment_id` is the one that was edited. `rows` tells of each row that was
    touched its `table` and `key` (a series' id, an appointment's UID), `before` (the row
    as it was, None if the change made it) and `after` (the digest of what the change
    left, None if it deleted the row). Dropped after a day. Without a user it is a command's.
    """

    __tablename__ = "change"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    appointment_id: Mapped[int] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)
    rows: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
