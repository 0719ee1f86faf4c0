"""Mail that is owed: written with the change that owes it, sent by the worker."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.models.account import User
from sync_ui.models.columns import words
from sync_ui.models.connection import Connection
from sync_ui.models.database import Instant, Row
from sync_ui.models.link import Link


class MailKind(StrEnum):
    LINK = "link"
    NEW_READER = "new_reader"
    SILENT = "silent"
    CONNECTION = "connection"
    INVITATION = "invitation"
    RESET = "reset"
    NEW_EMAIL = "new_email"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    APP_ADDED = "app_added"
    APP_REMOVED = "app_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    FACTORS_REMOVED = "factors_removed"
    CODES_DRAWN = "codes_drawn"


class Mail(Row):
    """Goes to the user's own address only; its text is made when it is sent.

    `address`: the one that the user had when it was owed, if it is that one which is
    told; of a `NEW_EMAIL`, the one that the user wants and has not proved yet.
    """

    __tablename__ = "mail"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[MailKind] = mapped_column(words(MailKind))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    link_id: Mapped[int | None] = mapped_column(ForeignKey("link.id"))
    connection_id: Mapped[int | None] = mapped_column(ForeignKey("connection.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    failure: Mapped[str | None]
    address: Mapped[str | None]

    user: Mapped[User] = relationship()
    link: Mapped[Link | None] = relationship()
    connection: Mapped[Connection | None] = relationship()
