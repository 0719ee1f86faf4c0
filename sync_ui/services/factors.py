"""Second factors: what a user has, who must have one, and codes that are accepted once.

An app's codes are TOTP (RFC 6238: SHA-1, 6 digits, 30 seconds), the one kind that every
app knows. Passkeys have a module of their own.
"""

import hmac
import re
from base64 import b32decode, b32encode
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_bytes

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Invalid
from sync_ui.models import Authenticator, Passkey, RecoveryCode, User, db, transaction
from sync_ui.services import access, practice, sealing
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

STEP = 30  # seconds
DIGITS = 6
SECRET_BYTES = 20  # 160 bits, as RFC 4226 recommends
RECOVERY_CODES = 10

SHORTEST_IDLE, LONGEST_IDLE = 5, 60  # minutes

_IS_APP_CODE = re.compile(rf"[0-9]{{{DIGITS}}}").fullmatch


class Kind(StrEnum):
    """What somebody has shown beside the password."""

    APP = "app"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Held:
    """What a user has: `app` once it is confirmed, and how many recovery codes are left."""

    app: Authenticator | None
    passkeys: list[Passkey]
    codes_left: int

    @property
    def any(self) -> bool:
        return self.app is not None or bool(self.passkeys)

    @property
    def number(self) -> int:
        return len(self.passkeys) + (self.app is not None)


def has_any(user_id: int) -> bool:
    """Whether the user must show a second factor to sign in; recovery codes alone are none."""
    confirmed = exists().where(
        Authenticator.user_id == user_id, Authenticator.confirmed_at.is_not(None)
    )
    return bool(
        db.session.scalar(select(or_(confirmed, exists().where(Passkey.user_id == user_id))))
    )


def held(user_id: int) -> Held:
    """What the user has."""
    app = authenticator(user_id)
    passkeys = select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)
    left = select(func.count(RecoveryCode.id)).where(
        RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
    )
    return Held(
        app=app if app and app.confirmed_at else None,
        passkeys=list(db.session.scalars(passkeys)),
        codes_left=db.session.scalar(left) or 0,
    )


def authenticator(user_id: int) -> Authenticator | None:
    """The user's app, confirmed or not yet."""
    return db.session.scalar(select(Authenticator).where(Authenticator.user_id == user_id))


def counted() -> dict[Role, tuple[int, int]]:
    """By role: how many active users there are, and how many of them have a second factor."""
    active = db.session.execute(select(User.id, User.role).where(User.disabled_at.is_(None))).all()
    confirmed = Authenticator.confirmed_at.is_not(None)
    with_one = {
        *db.session.scalars(select(Authenticator.user_id).where(confirmed)),
        *db.session.scalars(select(Passkey.user_id)),
    }
    return {
        role: (
            sum(user.role is role for user in active),
            sum(user.role is role and user.id in with_one for user in active),
        )
        for role in Role
    }


def roles_that_must() -> frozenset[Role]:
    """Whoever has one of these roles must have a second factor."""
    return frozenset(Role(word) for word in practice.get().second_factor_roles.split())


def owes_one(user_id: int, role: Role) -> bool:
    """Whether the user must set up a second factor before anything else."""
    return role in roles_that_must() and not has_any(user_id)


def change_policy(actor: Actor, *, roles: frozenset[Role], idle_minutes: int) -> None:
    """These roles must have a second factor, from their users' next request on.

    Sessions end after so many idle minutes. Raises Invalid, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    if not SHORTEST_IDLE <= idle_minutes <= LONGEST_IDLE:
        raise Invalid(f"A session can wait {SHORTEST_IDLE} to {LONGEST_IDLE} minutes.")
    words = " ".join(role.value for role in Role if role in roles)
    with transaction() as session:
        found = practice.get(session)
        found.second_factor_roles, found.idle_minutes = words, idle_minutes
        record(
            session,
            actor,
            Action.SIGN_IN_POLICY_CHANGED,
            "practice",
            roles=words,
            idle_minutes=idle_minutes,
        )


def new_secret() -> str:
    """160 random bits in base32, as apps take them by hand."""
    return b32encode(token_bytes(SECRET_BYTES)).decode()


def secret_of(app: Authenticator) -> str:
    """In base32."""
    return sealing.unseal(app.secret, bound_to(app.user_id))


def bound_to(user_id: int) -> str:
    """What a sealed secret of an app is bound to: a user has one app at most."""
    return f"authenticator:{user_id}"


def address(secret: str, name: str, issuer: str) -> str:
    """`otpauth://…`, for a QR code that apps scan; `name` tells accounts apart."""
    return _totp(secret).get_provisioning_uri(name, issuer)


def step_of(app: Authenticator, code: str) -> int | None:
    """The time step whose code this is, one earlier or later than now included.

    None for a wrong code, and for one that is not later than the latest used.
    """
    if not _IS_APP_CODE(code):
        return None
    totp, now = _totp(secret_of(app)), int(clock.now().timestamp()) // STEP
    for step in (now - 1, now, now + 1):
        if step > app.last_step and hmac.compare_digest(totp.generate(step * STEP), code.encode()):
            return step
    return None


def _totp(secret: str) -> TOTP:
    return TOTP(b32decode(secret), DIGITS, SHA1(), STEP)  # noqa: S303 - what apps know


def spelt(code: str) -> str:
    """The code as it was given out, however it was typed."""
    return re.sub(r"[\s-]", "", code[:100]).lower()


def is_app_code(code: str) -> bool:
    """Whether this looks like an app's code; all else is taken for a recovery code."""
    return _IS_APP_CODE(spelt(code)) is not None


def spend_app_code(session: Session, user_id: int, code: str) -> bool:
    """In the transaction under way: the code was right, and works no more."""
    app = authenticator(user_id)
    if app is None or app.confirmed_at is None:
        return False
    step = step_of(app, spelt(code))
    if step is None:
        return False
    app.last_step = step
    return True


def spend_recovery_code(session: Session, user_id: int, code: str) -> bool:
    """In the transaction under way: the code was right, and works no more."""
    found = session.scalar(
        select(RecoveryCode).where(
            RecoveryCode.digest == tokens.digest(spelt(code)),
            RecoveryCode.user_id == user_id,
            RecoveryCode.used_at.is_(None),
        )
    )
    if found is None:
        return False
    found.used_at = clock.now()
    return True


def draw_codes(session: Session, user_id: int) -> list[str]:
    """In the transaction under way: ten new recovery codes; the former ones are void.

    Of 128 bits each, so that a plain digest keeps them (ASVS 5.0, 6.5.2).
    """
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [tokens.new_code() for _ in range(RECOVERY_CODES)]
    now = clock.now()
    session.add_all(
        RecoveryCode(user_id=user_id, digest=tokens.digest(code), created_at=now) for code in codes
    )
    return [grouped(code) for code in codes]


def grouped(code: str) -> str:
    """In five groups that can be read aloud and typed."""
    return "-".join([*(code[i : i + 5] for i in range(0, 20, 5)), code[20:]])


def forget(session: Session, user_id: int) -> None:
    """In the transaction under way: the user has no second factor and no recovery code."""
    for table in (Authenticator, Passkey, RecoveryCode):
        session.execute(delete(table).where(table.user_id == user_id))
