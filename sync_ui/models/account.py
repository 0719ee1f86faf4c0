"""Who signs in, and the sessions that the server keeps for them."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.roles import Role
from sync_ui.models.clinician import Clinician
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row


class User(Row):
    """`email` is lower-case; a disabled user stays, for the audit's sake.

    `mails_notices`: whether they want a mail when somebody new reads their link.
    """

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[Role] = mapped_column(words(Role))
    password_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    mails_notices: Mapped[bool] = mapped_column(default=False)

    clinician: Mapped[Clinician | None] = relationship(back_populates="user")


class Session(Row):
    """One sign-in on one browser; only the digest of its secret is stored.

    `second_factor_at`: when a second factor was shown, which not every user has.
    `confirmed_at`: when it was last made sure that its user sits there.
    `browser` and `network` are words for people, never a whole address.
    """

    __tablename__ = "session"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    second_factor_at: Mapped[datetime | None] = mapped_column(Instant)
    confirmed_at: Mapped[datetime] = mapped_column(Instant)
    browser: Mapped[str] = mapped_column(default="")
    network: Mapped[str] = mapped_column(default="")

    user: Mapped[User] = relationship()


class SignInFailure(Row):
    """Failed sign-ins for one e-mail address or network, by digest, to slow guessing."""

    __tablename__ = "sign_in_failure"

    digest: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(Instant)
