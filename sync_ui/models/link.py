"""Calendars, the links that show them, and what opens a link."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.models.account import User
from sync_ui.models.clinician import Clinician
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class Reason(StrEnum):
    """Why an address was taken back."""

    LOST = "lost"
    LEAKED = "leaked"
    LEFT = "left"
    ROUTINE = "routine"


class Calendar(Row):
    """What can be shared: one clinician's appointments, or (without one) the practice's.

    `version` and `changed_at` grow in the same transaction as anything that
    its feeds show; a 304 costs one indexed read of them.
    """

    __tablename__ = "calendar"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(unique=True)
    clinician_id: Mapped[int | None] = mapped_column(ForeignKey("clinician.id"), unique=True)
    version: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(Instant)

    clinician: Mapped[Clinician | None] = relationship()
    links: Mapped[list["Link"]] = relationship(back_populates="calendar", order_by="Link.id")


class Link(Row):
    """A secret address that shows one calendar in one display mode.

    `revision` and `changed_at` grow when what it shows changes. `read_at` and
    `read_by` tell the latest reading by a calendar app. Without `days_back` and
    `months_ahead` the practice's count. `agreement` notes on what agreement
    (BAA) with the calendar service full names rest.
    """

    __tablename__ = "link"

    id: Mapped[int] = mapped_column(primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id"), index=True)
    label: Mapped[str]
    mode: Mapped[DisplayMode] = mapped_column(words(DisplayMode))
    shows_location: Mapped[bool] = mapped_column(default=True)
    shows_type: Mapped[bool] = mapped_column(default=False)
    telehealth: Mapped[Telehealth] = mapped_column(words(Telehealth), default=Telehealth.NONE)
    shows_time_off: Mapped[bool] = mapped_column(default=True)
    shows_cancelled: Mapped[bool] = mapped_column(default=False)
    days_back: Mapped[int | None]
    months_ahead: Mapped[int | None]
    agreement: Mapped[str] = mapped_column(default="")
    revision: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    read_at: Mapped[datetime | None] = mapped_column(Instant)
    read_by: Mapped[str | None]

    calendar: Mapped[Calendar] = relationship(back_populates="links")
    created_by: Mapped[User | None] = relationship()
    tokens: Mapped[list["Token"]] = relationship(
        back_populates="link",
        order_by="Token.id",
        lazy="selectin",  # whether a link is alive is asked for each one that a page shows
    )

    @property
    def choices(self) -> Choices:
        return Choices(
            location=self.shows_location,
            type=self.shows_type,
            telehealth=self.telehealth,
            time_off=self.shows_time_off,
            cancelled=self.shows_cancelled,
        )


class Token(Row):
    """The secret part of a link's address, by its digest.

    `sealed` is an AES-GCM copy to show the address again; it is dropped when
    the token is retired, by a reset or because the link ended. One that a fresh
    token has replaced works until `ends_at`.
    """

    __tablename__ = "token"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("link.id"), index=True)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime | None] = mapped_column(Instant)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[Reason | None] = mapped_column(words(Reason))

    link: Mapped[Link] = relationship(back_populates="tokens")


class Code(Row):
    """A single-use code that opens the phone's page of a link.

    The first press spends it and binds it to that browser (`browser`, a
    digest), where it goes on working until it expires. `made_by_id` is the user
    who drew or mailed it.
    """

    __tablename__ = "code"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("link.id"), index=True)
    made_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    spent_at: Mapped[datetime | None] = mapped_column(Instant)
    browser: Mapped[str | None]

    link: Mapped[Link] = relationship()
