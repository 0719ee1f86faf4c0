"""Imports: files that wait, what was brought in, and what their columns mean."""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.models.account import User
from sync_ui.models.client import Client
from sync_ui.models.clinician import Clinician
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class UploadState(StrEnum):
    """The way of an upload; the worker takes on what waits or was accepted."""

    WAITING = "waiting"
    READING = "reading"
    READY = "ready"
    ACCEPTED = "accepted"
    APPLYING = "applying"
    DONE = "done"
    FAILED = "failed"


class ImportFile(Row):
    """A file between upload and acceptance; removed when applied or after a day.

    A `large` one is read and applied by the worker, which holds it as long as
    `leased_at` is fresh, tells its `progress` of `total` rows, and leaves the
    preview in `found` or the reason of a failure in `problem`. `answers`,
    `cancelled` and `skips_wrong_rows` are what the user said to the preview.
    """

    __tablename__ = "import_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    large: Mapped[bool] = mapped_column(default=False)
    state: Mapped[UploadState] = mapped_column(words(UploadState), default=UploadState.READY)
    leased_at: Mapped[datetime | None] = mapped_column(Instant)
    progress: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    answers: Mapped[dict[str, bool]] = mapped_column(JSON, default=dict)
    cancelled: Mapped[list[str]] = mapped_column(JSON, default=list)
    skips_wrong_rows: Mapped[bool] = mapped_column(default=False)
    found: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    problem: Mapped[str] = mapped_column(default="")

    clinician: Mapped[Clinician] = relationship()

    @property
    def mark(self) -> str:
        """Tells the upload from any other, also from a later one that got its id."""
        facts = f"{self.id} {self.user_id} {self.clinician_id} {self.created_at.isoformat()}"
        return sha256(facts.encode()).hexdigest()[:32]


class ImportedTitle(Row):
    """What a clinician's imported title was said to be: a client, or (without one) none."""

    __tablename__ = "imported_title"
    __table_args__ = (UniqueConstraint("clinician_id", "title"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    title: Mapped[str]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"), index=True)

    client: Mapped[Client | None] = relationship()


class ImportMapping(Row):
    """What the columns of a kind of table are, as a user said.

    `signature` is a digest of its header, `columns` the names of
    `domain.csv_table.COLUMNS` in the file's order, "" for one that is left out.
    """

    __tablename__ = "import_mapping"

    signature: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[list[str]] = mapped_column(JSON)
    day_first: Mapped[bool | None]
    changed_at: Mapped[datetime] = mapped_column(Instant)


class Import(Row):
    """One import that was applied; without a user a command's."""

    __tablename__ = "import_run"
    __table_args__ = (Index("ix_import_run_clinician_applied", "clinician_id", "applied_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    source: Mapped[str]
    applied_at: Mapped[datetime] = mapped_column(Instant)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)
    counts: Mapped[dict[str, int]] = mapped_column(JSON)

    clinician: Mapped[Clinician] = relationship()
    user: Mapped[User | None] = relationship()


class ImportedRow(Row):
    """What an import did to one row, for its undoing; dropped when that is too late.

    `before` is the row as it was, None if the import added it; `after` is the
    digest of what the import left.
    """

    __tablename__ = "import_row"

    import_id: Mapped[int] = mapped_column(
        ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True
    )
    of_table: Mapped[str] = mapped_column(primary_key=True)
    row_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[str]
