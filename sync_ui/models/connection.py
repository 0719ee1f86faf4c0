"""Connections: a clinician's account at a provider, and what we know to stand there."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.domain.reconcile import Rule
from sync_ui.models.account import User
from sync_ui.models.appointment import Appointment
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row
from sync_ui.models.link import Calendar


class ProviderName(StrEnum):
    GOOGLE = "google"
    CALDAV = "caldav"


class Direction(StrEnum):
    SEND_ONLY = "send_only"
    TWO_WAY = "two_way"


class ConnectionState(StrEnum):
    """What becomes of a connection; only a WORKING or LEAVING one is worked on.

    A NEW one waits for its dry run to be confirmed. A STOPPED one waits for
    somebody to look, a SIGNED_OUT one for a new sign-in, a LOST one for a new
    outside calendar. A LEAVING one removes what it wrote; an ENDED one is over.
    """

    NEW = "new"
    WORKING = "working"
    STOPPED = "stopped"
    SIGNED_OUT = "signed_out"
    LOST = "lost"
    LEAVING = "leaving"
    ENDED = "ended"


class Connection(Row):
    """One clinician's calendar, kept at a provider.

    `account` is who is signed in there, `server` the address of a CalDAV server,
    `sealed` the credentials, bound to this row. `outside_id` is the calendar that
    we write to. `revision` grows with what it shows, as a link's does. `written`
    tells up to which state of the schedule everything was written; `token` up to
    which state of the outside calendar everything was read. `trouble` is the
    sentence of the last failure. `answer` is what somebody said of much that was
    changed at once: the rule for the next reading alone. Whoever works on it holds
    the lease: `fence` grows with each one, so that a late one can tell that it is
    late.
    """

    __tablename__ = "connection"

    id: Mapped[int] = mapped_column(primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id"), index=True)
    provider: Mapped[ProviderName] = mapped_column(words(ProviderName))
    direction: Mapped[Direction] = mapped_column(words(Direction))
    account: Mapped[str] = mapped_column(default="")
    server: Mapped[str] = mapped_column(default="")
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    outside_id: Mapped[str] = mapped_column(default="")
    outside_name: Mapped[str] = mapped_column(default="")
    mode: Mapped[DisplayMode] = mapped_column(words(DisplayMode))
    shows_location: Mapped[bool] = mapped_column(default=True)
    shows_type: Mapped[bool] = mapped_column(default=False)
    telehealth: Mapped[Telehealth] = mapped_column(words(Telehealth), default=Telehealth.NONE)
    shows_time_off: Mapped[bool] = mapped_column(default=True)
    agreement: Mapped[str] = mapped_column(default="")
    rule: Mapped[Rule] = mapped_column(words(Rule), default=Rule.ASK)
    state: Mapped[ConnectionState] = mapped_column(words(ConnectionState))
    trouble: Mapped[str] = mapped_column(default="")
    answer: Mapped[Rule | None] = mapped_column(words(Rule))
    written: Mapped[str] = mapped_column(default="")
    token: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(Instant)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    signed_in_at: Mapped[datetime] = mapped_column(Instant)
    tried_at: Mapped[datetime | None] = mapped_column(Instant)
    succeeded_at: Mapped[datetime | None] = mapped_column(Instant)
    next_at: Mapped[datetime] = mapped_column(Instant, index=True)
    failures: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    fence: Mapped[int] = mapped_column(default=0)
    channel: Mapped[str | None] = mapped_column(unique=True)
    channel_digest: Mapped[str | None]
    channel_resource: Mapped[str | None]
    channel_ends_at: Mapped[datetime | None] = mapped_column(Instant)

    calendar: Mapped[Calendar] = relationship()
    created_by: Mapped[User | None] = relationship()
    busy_calendars: Mapped[list["BusyCalendar"]] = relationship(
        order_by="BusyCalendar.id", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def choices(self) -> Choices:
        return Choices(
            location=self.shows_location,
            type=self.shows_type,
            telehealth=self.telehealth,
            time_off=self.shows_time_off,
        )


class Copy(Row):
    """One of our events at the provider, as we last wrote or found it.

    `digest`, `when` and `held` are those of `reconcile.Base`. A copy that the
    provider refuses again and again, or that somebody else keeps changing, is
    `parked`: left until somebody says to try again.
    """

    __tablename__ = "copy"
    __table_args__ = (UniqueConstraint("connection_id", "entry_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    entry_id: Mapped[str]
    uid: Mapped[str]
    etag: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(default="")
    when: Mapped[str] = mapped_column(default="")
    held: Mapped[str] = mapped_column(default="")
    attempts: Mapped[int] = mapped_column(default=0)
    restored: Mapped[int] = mapped_column(default=0)
    restored_at: Mapped[datetime | None] = mapped_column(Instant)
    next_at: Mapped[datetime | None] = mapped_column(Instant)
    parked: Mapped[bool] = mapped_column(default=False)
    trouble: Mapped[str] = mapped_column(default="")


class BusyCalendar(Row):
    """An outside calendar whose events block time."""

    __tablename__ = "busy_calendar"
    __table_args__ = (UniqueConstraint("connection_id", "outside_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("connection.id", ondelete="CASCADE"))
    outside_id: Mapped[str]
    name: Mapped[str]
    token: Mapped[str | None]
    whole_at: Mapped[datetime | None] = mapped_column(Instant)


class BusyTime(Row):
    """When an outside event takes time; never what it is about."""

    __tablename__ = "busy_time"
    __table_args__ = (
        Index("ix_busy_time_clinician_starts", "clinician_id", "starts_at"),
        Index("ix_busy_time_entry", "busy_calendar_id", "entry_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    busy_calendar_id: Mapped[int] = mapped_column(
        ForeignKey("busy_calendar.id", ondelete="CASCADE")
    )
    clinician_id: Mapped[int] = mapped_column(ForeignKey("clinician.id"))
    entry_id: Mapped[str]
    starts_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)


class ProposalKind(StrEnum):
    MOVE = "move"
    REMOVAL = "removal"


class Outcome(StrEnum):
    """What became of a proposal. OVERTAKEN: the appointment was changed here, and that holds."""

    ACCEPTED = "accepted"
    PUT_BACK = "put_back"
    OVERTAKEN = "overtaken"
    WITHDRAWN = "withdrawn"


class Proposal(Row):
    """A change made outside, waiting for a decision; kept when it is decided.

    `starts_at` and `ends_at` are where the appointment was moved to, `was_starts_at`
    and `was_ends_at` where it is in the schedule.
    """

    __tablename__ = "proposal"

    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(
        ForeignKey("connection.id", ondelete="CASCADE"), index=True
    )
    appointment_id: Mapped[int] = mapped_column(
        ForeignKey("appointment.id", ondelete="CASCADE"), index=True
    )
    entry_id: Mapped[str]
    kind: Mapped[ProposalKind] = mapped_column(words(ProposalKind))
    starts_at: Mapped[datetime | None] = mapped_column(Instant)
    ends_at: Mapped[datetime | None] = mapped_column(Instant)
    was_starts_at: Mapped[datetime] = mapped_column(Instant)
    was_ends_at: Mapped[datetime] = mapped_column(Instant)
    made_at: Mapped[datetime] = mapped_column(Instant)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    outcome: Mapped[Outcome | None] = mapped_column(words(Outcome))

    connection: Mapped[Connection] = relationship()
    appointment: Mapped[Appointment] = relationship()


class Step(Row):
    """What a pass did, in words of the application and counts; the last hundred are kept."""

    __tablename__ = "step"

    id: Mapped[int] = mapped_column(primary_key=True)
    connection_id: Mapped[int] = mapped_column(
        ForeignKey("connection.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime] = mapped_column(Instant)
    word: Mapped[str]
    count: Mapped[int] = mapped_column(default=0)
    detail: Mapped[str] = mapped_column(default="")
