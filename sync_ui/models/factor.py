"""Second factors: an authenticator app, passkeys, and codes for the day they are lost."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.models.account import User
from sync_ui.models.database import Instant, Row


class Authenticator(Row):
    """A user's authenticator app (TOTP, RFC 6238); counts once its first code has come back.

    `secret` is sealed; `last_step` is the latest time step whose code was used,
    so that no code works twice.
    """

    __tablename__ = "authenticator"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), unique=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class Passkey(Row):
    """A WebAuthn credential; `credential_id` is base64url as browsers send it."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    credential_id: Mapped[str] = mapped_column(unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(default=0)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class RecoveryCode(Row):
    """Works once, in place of a second factor; only its digest is stored."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    digest: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)

    user: Mapped[User] = relationship()


class Challenge(Row):
    """What a passkey is asked to sign, by digest; answered once, and soon."""

    __tablename__ = "challenge"

    digest: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)
