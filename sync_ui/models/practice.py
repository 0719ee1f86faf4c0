"""The installation's one organisation and its policies."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sync_ui.domain.event import DisplayMode
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class Practice(Row):
    """One row, always there.

    `policy_revision` grows with everything that changes every feed at once;
    `last_change` is the latest Last-Modified ever given out for a change.
    No address lives longer than `longest_link_days`. Full names need a link's
    note of an agreement if `wants_agreement`. `second_factor_roles` are words with
    spaces between them. `allowed_networks` are the lines of `domain.allowed`;
    without networks the application answers everyone. `emergency_at`: when a
    command on the host last opened a door, until an administrator has seen it.
    """

    __tablename__ = "practice"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    name: Mapped[str]
    zone: Mapped[str]
    ceiling: Mapped[DisplayMode] = mapped_column(words(DisplayMode))
    shows_internal_ids: Mapped[bool] = mapped_column(default=False)
    days_back: Mapped[int] = mapped_column(default=30)
    months_ahead: Mapped[int] = mapped_column(default=6)
    longest_link_days: Mapped[int | None]
    wants_agreement: Mapped[bool] = mapped_column(default=False)
    schedulers_share_practice: Mapped[bool] = mapped_column(default=True)
    second_factor_roles: Mapped[str] = mapped_column(default="")
    idle_minutes: Mapped[int] = mapped_column(default=15)
    allowed_networks: Mapped[str] = mapped_column(default="")
    emergency_at: Mapped[datetime | None] = mapped_column(Instant)
    policy_revision: Mapped[int] = mapped_column(default=0)
    policy_changed_at: Mapped[datetime] = mapped_column(Instant)
    last_change: Mapped[datetime] = mapped_column(Instant)
    setup_code: Mapped[str | None]  # SHA-256; there as long as nobody has set up the practice
    created_at: Mapped[datetime] = mapped_column(Instant)


class Location(Row):
    """A place that feeds may name: an office or a room, never a client's address.

    An `exclusive` one holds one appointment at a time.
    """

    __tablename__ = "location"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    exclusive: Mapped[bool] = mapped_column(default=False)


class Holiday(Row):
    """Days on which the practice is closed, the last one included."""

    __tablename__ = "holiday"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    first_day: Mapped[date] = mapped_column(index=True)
    last_day: Mapped[date]


class KeyCheck(Row):
    """A fingerprint of each key that the data depends on, to tell a wrong key at start."""

    __tablename__ = "key_check"

    name: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
