"""The second step of signing in: a half session becomes a whole one, under a new secret."""

import hashlib
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.errors import Invalid, Refused, Throttled
from sync_ui.models import Session, SignInFailure, transaction
from sync_ui.services import access, factors, passkeys, sessions
from sync_ui.services.audit import Action, record
from sync_ui.services.factors import Kind
from sync_ui.services.sessions import NOWHERE, Seat

# Wrong codes of the app that cost nothing; then each doubles the wait, up to an hour: 24 tries
# a day, of a million. Recovery codes and passkeys cannot be guessed, and keep working meanwhile.
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(hours=1)

OVER = "You took more than ten minutes. Sign in again."
WRONG = "This code is not right, or was used already. Wait for the app’s next one and try again."
WRONG_RECOVERY = "This is no recovery code of yours, or it was used already."


def by_code(secret: str, code: str) -> str:
    """The whole session's secret, for the right code of the app, or a recovery code.

    Raises Invalid for a wrong or used one, Throttled after many, Refused if the
    half session is over.
    """
    kind = Kind.APP if factors.is_app_code(code) else Kind.RECOVERY_CODE
    with transaction() as session:
        half = _half(secret)
        user_id = half.user_id
        if kind is Kind.APP:
            _slow_down(session, user_id)
            right = factors.spend_app_code(session, user_id, code)
        else:
            right = factors.spend_recovery_code(session, user_id, code)
        if right:
            session.execute(delete(SignInFailure).where(SignInFailure.digest == _key(user_id)))
            return _whole(session, half, kind)
        _count_failure(session, user_id, kind)
    raise Invalid(WRONG if kind is Kind.APP else WRONG_RECOVERY)


def offer_passkey(secret: str) -> tuple[str, str]:
    """What the browser is asked (JSON), and the challenge in it. Raises Refused."""
    return passkeys.offer_use(_half(secret).user_id)


def by_passkey(secret: str, challenge: str, answer: str) -> str:
    """The whole session's secret, for a passkey of the same user. Raises Invalid, Refused."""
    user_id = _half(secret).user_id
    passkeys.take(challenge, user_id)
    try:
        with transaction() as session:
            half = _half(secret)
            passkeys.use(session, challenge, answer, user_id)
            return _whole(session, half, Kind.PASSKEY)
    except Invalid:
        _record_failure(user_id)
        raise


def sign_in(challenge: str, answer: str, *, seat: Seat = NOWHERE) -> str:
    """A whole session's secret for a passkey alone, without any password. Raises Invalid."""
    passkeys.take(challenge)
    try:
        with transaction() as session:
            passkey = passkeys.use(session, challenge, answer)
            return sessions.add(session, passkey.user, second_factor=Kind.PASSKEY, seat=seat)
    except Invalid:
        _record_failure()
        raise


def _half(secret: str) -> Session:
    found = sessions.half(secret)
    if found is None:
        raise Refused(OVER)
    return found


def _whole(session: Transaction, half: Session, kind: Kind) -> str:
    """A new secret, so that nobody holds it who knew the half session's."""
    user, seat = half.user, Seat(half.browser, half.network)
    session.delete(half)
    return sessions.add(session, user, second_factor=kind, seat=seat)


def _slow_down(session: Transaction, user_id: int) -> None:
    failure = session.get(SignInFailure, _key(user_id))
    if failure is None or failure.count < FREE_FAILURES:
        return
    wait = min(timedelta(seconds=2 ** min(failure.count - FREE_FAILURES, 12)), LONGEST_WAIT)
    if clock.now() < failure.last_at + wait:
        raise Throttled(
            "Too many wrong codes. Wait before you try the next one, or use a recovery code."
        )


def _count_failure(session: Transaction, user_id: int, kind: Kind) -> None:
    if kind is Kind.APP:
        failure = session.get(SignInFailure, _key(user_id))
        if failure is None:
            failure = SignInFailure(digest=_key(user_id), count=0, last_at=clock.now())
            session.add(failure)
        failure.count += 1
        failure.last_at = clock.now()
    record(session, access.NOBODY, Action.SECOND_STEP_FAILED, f"user:{user_id}", kind=kind.value)


def _record_failure(user_id: int | None = None) -> None:
    subject = f"user:{user_id}" if user_id else ""
    with transaction() as session:
        kind = Kind.PASSKEY.value
        record(session, access.NOBODY, Action.SECOND_STEP_FAILED, subject, kind=kind)


def _key(user_id: int) -> str:
    return hashlib.sha256(f"second step of user {user_id}".encode()).hexdigest()
