"""The schedule: appointments, and the series that repeat them."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode, Kind, Status
from sync_ui.models.client import Client
from sync_ui.models.clinician import Clinician
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class AppointmentType(Row):
    """What sessions are for and how long they take; an archived one is offered no more.

    `ceiling` is the most that links may show of its appointments.
    """

    __tablename__ = "appointment_type"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    minutes: Mapped[int] = mapped_column(default=50)
    colour: Mapped[Colour] = mapped_column(words(Colour), default=Colour.TEAL)
    ceiling: Mapped[DisplayMode | None] = mapped_column(words(DisplayMode))
    archived_at: Mapped[datetime | None] = mapped_column(Instant)


class AppointmentClient(Row):
    """Who comes to an appointment; `position` keeps a couple's order."""

    __tablename__ = "appointment_client"

    appointment_id: Mapped[int] = mapped_column(
        ForeignKey("appointment.id", ondelete="CASCADE"), primary_key=True
    )
    client_id: Mapped[int] = mapped_column(ForeignKey("client.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)

    client: Mapped[Client] = relationship()


class Appointment(Row):
    """One occurrence with a UID for life.

    `starts_local` is the wall time in `zone`, the truth if the zone changes its
    law; `starts_at` and `ends_at` are the moments that follow from it. All-day
    ones begin and end at local midnight. `revision` grows with every change
    that a feed could show. `import_key` tells what an import made it from,
    `import_digest` what the file said then, `import_source` which kind of file
    it was (a digest of what its exports have in common); `occurrence` which turn of its
    series it is, and `own` what was said of that turn alone (words of
    `services.series.Field`), which a change of the series leaves as it is.
    `clash_reason` tells why it was booked although the time was taken.
    """

    __tablename__ = "appointment"
    __table_args__ = (
        Index("ix_appointment_clinician_starts", "clinician_id", "starts_at"),
        Index("ix_appointment_starts_ends", "starts_at", "ends_at"),
        UniqueConstraint("clinician_id", "import_key"),
        UniqueConstraint("series_id", "occurrence"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    occurrence: Mapped[str | None]
    own: Mapped[list[str]] = mapped_column(JSON, default=list)
    import_key: Mapped[str | None]
    import_digest: Mapped[str | None]
    import_source: Mapped[str | None]
    kind: Mapped[Kind] = mapped_column(words(Kind))
    status: Mapped[Status] = mapped_column(words(Status), default=Status.SCHEDULED)
    title: Mapped[str] = mapped_column(default="")
    type_id: Mapped[int | None] = mapped_column(ForeignKey("appointment_type.id"))
    location: Mapped[str] = mapped_column(default="")
    telehealth_address: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    clash_reason: Mapped[str] = mapped_column(default="")
    zone: Mapped[str]
    starts_local: Mapped[datetime]
    starts_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    all_day: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)

    clinician: Mapped[Clinician] = relationship()
    type: Mapped[AppointmentType | None] = relationship()
    attendance: Mapped[list[AppointmentClient]] = relationship(
        order_by=AppointmentClient.position, cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def clients(self) -> list[Client]:
        return [attendance.client for attendance in self.attendance]


class Series(Row):
    """A repeating rule (RFC 5545), kept as appointments a year ahead.

    `exceptions` and `additions` are ISO wall times (or dates) in `zone`;
    `extended_until` is the moment up to which its appointments exist.
    """

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("clinician_id", "import_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    import_key: Mapped[str | None]
    import_digest: Mapped[str | None]
    import_source: Mapped[str | None]
    rule: Mapped[str]
    kind: Mapped[Kind] = mapped_column(words(Kind))
    title: Mapped[str] = mapped_column(default="")
    type_id: Mapped[int | None] = mapped_column(ForeignKey("appointment_type.id"))
    location: Mapped[str] = mapped_column(default="")
    telehealth_address: Mapped[str] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    zone: Mapped[str]
    starts_local: Mapped[datetime]
    ends_local: Mapped[datetime]
    all_day: Mapped[bool] = mapped_column(default=False)
    exceptions: Mapped[list[str]] = mapped_column(JSON, default=list)
    additions: Mapped[list[str]] = mapped_column(JSON, default=list)
    client_ids: Mapped[list[int]] = mapped_column(JSON, default=list)
    extended_until: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)

    clinician: Mapped[Clinician] = relationship()
