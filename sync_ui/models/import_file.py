"""Uploaded calendars that wait for their preview to be accepted."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.models.client import Client
from sync_ui.models.clinician import Clinician
from sync_ui.models.database import Instant, Row


class ImportFile(Row):
    """A file between upload and acceptance; removed when applied or after a day."""

    __tablename__ = "import_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)

    clinician: Mapped[Clinician] = relationship()


class ImportedTitle(Row):
    """What a clinician's imported title was said to be: a client, or (without one) none."""

    __tablename__ = "imported_title"
    __table_args__ = (UniqueConstraint("clinician_id", "title"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    title: Mapped[str]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("client.id"))

    client: Mapped[Client | None] = relationship()
