"""Signing in: who may, and how guessing is slowed down."""

import hashlib
from datetime import timedelta

from sqlalchemy import delete, select

from sync_ui import clock
from sync_ui.errors import Invalid, Refused, Throttled
from sync_ui.models import SignInFailure, User, db, transaction
from sync_ui.services import access, passwords, sessions
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line

# Failures that cost nothing; then each doubles the wait, up to the longest.
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(minutes=15)


def sign_in(email: str, password: str, network: str) -> str:
    """A new session's secret, for the cookie.

    Raises Invalid with the same sentence for an unknown user, a wrong password
    and a disabled user; Throttled after too many failures for this e-mail
    address and network.
    """
    email = one_line(email).lower()
    digest = hashlib.sha256(f"{email} {network}".encode()).hexdigest()
    _slow_down(digest)
    user = db.session.scalar(select(User).where(User.email == email))
    known = user is not None and user.disabled_at is None
    right = passwords.fits(user.password_hash if user else passwords.NOBODYS, password)
    if user is None or not known or not right:
        _count_failure(digest)
        raise Invalid("This e-mail address and password do not belong together. Try again.")
    return _open(user.id, digest)


def confirm(secret: str, password: str, network: str) -> None:
    """The session is fresh again: its user has shown the password once more.

    Raises Invalid for a wrong one and Throttled after too many, as at sign-in.
    """
    user = sessions.signed_in(secret)
    if user is None:
        raise Refused("Your session is over. Sign in again.")
    digest = hashlib.sha256(f"{user.email} {network}".encode()).hexdigest()
    _slow_down(digest)
    if not passwords.fits(user.password_hash, password):
        _count_failure(digest)
        raise Invalid("This is not your password. Try again.")
    sessions.confirmed(secret)


def _slow_down(digest: str) -> None:
    failure = db.session.get(SignInFailure, digest)
    if failure is None or failure.count < FREE_FAILURES:
        return
    wait = min(timedelta(seconds=2 ** min(failure.count - FREE_FAILURES, 12)), LONGEST_WAIT)
    if clock.now() < failure.last_at + wait:
        raise Throttled("Too many failed sign-ins. Wait a few minutes and try again.")


def _count_failure(digest: str) -> None:
    with transaction() as session:
        failure = session.get(SignInFailure, digest)
        if failure is None:
            failure = SignInFailure(digest=digest, count=0, last_at=clock.now())
            session.add(failure)
        failure.count += 1
        failure.last_at = clock.now()
        record(session, access.NOBODY, Action.SIGN_IN_FAILED)


def _open(user_id: int, digest: str) -> str:
    with transaction() as session:
        secret = sessions.add(session, session.get_one(User, user_id))
        session.execute(delete(SignInFailure).where(SignInFailure.digest == digest))
    return secret
