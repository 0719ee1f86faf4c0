"""The second step of signing in: a half session becomes a whole one, under a new secret."""

from sqlalchemy.orm import Session as Transaction

from sync_ui.errors import Invalid, Refused
from sync_ui.models import Session, transaction
from sync_ui.services import access, backoff, factors, passkeys, sessions
from sync_ui.services.audit import Action, record
from sync_ui.services.factors import Kind
from sync_ui.services.sessions import NOWHERE, Seat

OVER = "You took more than ten minutes. Sign in again."
WRONG = "This code is not right, or was used already. Wait for the app’s next one and try again."
WRONG_RECOVERY = "This is no recovery code of yours, or it was used already."


def by_code(secret: str, code: str) -> str:
    """The whole session's secret, for the right code of the app, or a recovery code.

    Raises Invalid for a wrong or used one, Throttled after many, Refused if the half
    session is over.
    """
    half = _half(secret)
    if not factors.is_app_code(code):
        # Counted apart from the app's codes, so that they help whoever has to wait for those.
        backoff.take([backoff.recovery(half.digest)])
        return _by(secret, Kind.RECOVERY_CODE, code, WRONG_RECOVERY)
    backoff.take(backoff.second_step(half.user_id))
    return _by(secret, Kind.APP, code, WRONG)


def _by(secret: str, kind: Kind, code: str, otherwise: str) -> str:
    spend = factors.spend_app_code if kind is Kind.APP else factors.spend_recovery_code
    with transaction() as session:
        half = _half(secret)
        user_id = half.user_id
        if spend(session, user_id, code):
            backoff.forgive([*backoff.second_step(user_id), backoff.recovery(half.digest)])
            return _whole(session, half, kind)
        record(
            session,
            access.NOBODY,
            Action.SECOND_STEP_FAILED,
            f"user:{user_id}",
            kind=kind.value,
        )
    raise Invalid(otherwise)


def offer_passkey(secret: str) -> tuple[str, str]:
    """What the browser is asked (JSON), and the challenge in it. Raises Refused, Throttled."""
    half = _half(secret)
    user_id = half.user_id
    backoff.take([backoff.asking_passkeys(half.digest)])
    return passkeys.offer_use(user_id)


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
        passkeys.record_failure(user_id)
        raise


def offer_sign_in(network: str) -> tuple[str, str]:
    """The same for a passkey of anybody. Raises Refused, and Throttled after many."""
    backoff.take([backoff.passkeys(network)])
    return passkeys.offer_use()


def sign_in(challenge: str, answer: str, network: str, *, seat: Seat = NOWHERE) -> str:
    """A whole session's secret for a passkey alone, without any password.

    Raises Invalid, and Throttled after many of this network.
    """
    counter = backoff.passkeys(network)
    backoff.take([counter])
    passkeys.take(challenge)
    try:
        with transaction() as session:
            passkey = passkeys.use(session, challenge, answer)
            backoff.forgive([counter, counter])  # the question and the answer
            return sessions.add(session, passkey.user, second_factor=Kind.PASSKEY, seat=seat)
    except Invalid:
        passkeys.record_failure()
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
