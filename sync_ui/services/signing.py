"""Signing in with a password, and showing it, or a passkey, again."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from sync_ui.domain import tokens
from sync_ui.errors import Invalid, Refused
from sync_ui.models import User, db, transaction
from sync_ui.services import access, backoff, factors, passkeys, passwords, sessions
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line
from sync_ui.services.sessions import NOWHERE, Seat

NOT_YOURS = "This passkey is not one of yours. Try again, or use your password."

NO_DEVICES: Mapping[int, str] = {}


def sign_in(
    email: str,
    password: str,
    network: str,
    *,
    devices: Mapping[int, str] = NO_DEVICES,
    second_factor_at: datetime | None = None,
    seat: Seat = NOWHERE,
) -> str:
    """A new session's secret, for the cookie.

    `network`: what failures are counted by; `devices`: users who have signed in
    on this browser, each with a word for the browser; `second_factor_at`: when one
    was shown in a session of this user that the new one follows. Raises Invalid with the
    same sentence for an unknown user, a wrong password and a disabled user, and
    Throttled after too many tries.
    """
    email = one_line(email).lower()
    user = db.session.scalar(select(User).where(User.email == email))
    known = user is not None and user.disabled_at is None
    counters = _counters(email, user if known else None, network, devices)
    password_hash = user.password_hash if user else passwords.NONE_YET
    backoff.take(counters)
    right = passwords.fits(password_hash, password)
    if user is None or not known or not right:
        _record_failure()
        raise Invalid("This e-mail address and password do not belong together. Try again.")
    with transaction() as session:
        again = session.get_one(User, user.id)
        if again.disabled_at is not None or again.password_hash != password_hash:
            raise Invalid("Your sign-in was changed just now. Try again.")
        backoff.forgive(counters)
        return sessions.add(session, again, shown_at=second_factor_at, seat=seat)


def confirm(secret: str, password: str) -> None:
    """The session is fresh again: its user has shown the password once more.

    Raises Invalid for a wrong one and Throttled after too many, as at sign-in.
    """
    check_own(_user_of(secret), password, "This is not your password. Try again.")
    sessions.confirmed(secret)


def offer_passkey(secret: str) -> tuple[str, str]:
    """What the browser is asked for a passkey of the session's user (JSON), and the challenge.

    Raises Refused, Throttled.
    """
    user_id = _user_of(secret).id
    backoff.take([_asking(secret)])
    return passkeys.offer_confirming(user_id)


def confirm_by_passkey(secret: str, challenge: str, answer: str) -> None:
    """The session is fresh again: its user has shown a passkey of theirs instead.

    Raises Invalid for anything else, which counts like a wrong password, and Throttled.
    """
    user_id = _user_of(secret).id
    counters = backoff.confirming(user_id)
    backoff.take(counters)
    passkeys.take_confirming(challenge, user_id)
    try:
        with transaction() as session:
            passkeys.use(session, challenge, answer, user_id)
            backoff.forgive([*counters, _asking(secret)])
    except Invalid:
        passkeys.record_failure(user_id)
        raise Invalid(NOT_YOURS) from None
    sessions.confirmed(secret, factors.Kind.PASSKEY)


def _user_of(secret: str) -> User:
    user = sessions.signed_in(secret)
    if user is None:
        raise Refused("Your session is over. Sign in again.")
    return user


def _asking(secret: str) -> backoff.Counter:
    return backoff.asking_passkeys(tokens.digest(secret))


def check_own(user: User, password: str, otherwise: str) -> None:
    """Whoever sits in the user's session knows the password. Raises Invalid and Throttled."""
    counters, password_hash = backoff.confirming(user.id), user.password_hash
    backoff.take(counters)
    if not passwords.fits(password_hash, password):
        _record_failure()
        raise Invalid(otherwise)
    with transaction():
        backoff.forgive(counters)


def _counters(
    email: str, user: User | None, network: str, devices: Mapping[int, str]
) -> list[backoff.Counter]:
    if user is not None and user.id in devices:
        return backoff.known_device(user.id, devices[user.id])
    return backoff.stranger(email, network)


def _record_failure() -> None:
    with transaction() as session:
        record(session, access.NOBODY, Action.SIGN_IN_FAILED)
