"""The sessions that the server keeps: whatever it ends is over, whoever holds a cookie."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.models import Session, User, db, transaction
from sync_ui.services import access, factors
from sync_ui.services.audit import Action, record

IDLE_LIMIT = timedelta(minutes=15)
ABSOLUTE_LIMIT = timedelta(hours=12)

# So long a session waits for the second step.
HALF_LIMIT = timedelta(minutes=10)

# So long after its password was shown a session may do what is far-reaching.
FRESH = timedelta(minutes=5)


def add(session: Transaction, user: User, *, second_factor: factors.Kind | None = None) -> str:
    """A new session of the user in the transaction under way; its secret, for the cookie.

    Without a second factor it opens nothing yet for a user who has one.
    """
    secret, now = tokens.new_code(), clock.now()
    session.add(
        Session(
            digest=tokens.digest(secret),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            confirmed_at=now,
            second_factor_at=now if second_factor else None,
        )
    )
    whole = second_factor is not None or not factors.has_any(user.id)
    action = Action.SIGNED_IN if whole else Action.PASSWORD_SHOWN
    detail = {"second_factor": second_factor.value} if second_factor else {}
    record(session, access.actor_for(user), action, f"user:{user.id}", **detail)
    return secret


def signed_in(secret: str) -> User | None:
    """Whose session this is, if it has neither ended nor been idle for too long.

    Nobody's as long as the second step is owed.
    """
    found = _alive(secret)
    return None if found is None or _is_half(found) else found.user


def half(secret: str) -> Session | None:
    """The session, if its user has shown the password just now and owes the second step."""
    found = _alive(secret)
    if found is None or not _is_half(found) or clock.now() > found.created_at + HALF_LIMIT:
        return None
    return found


def _alive(secret: str) -> Session | None:
    now = clock.now()
    found = db.session.scalar(select(Session).where(Session.digest == tokens.digest(secret)))
    if found is None or found.user.disabled_at is not None:
        return None
    if now > found.created_at + ABSOLUTE_LIMIT or now > found.seen_at + IDLE_LIMIT:
        return None
    return found


def _is_half(found: Session) -> bool:
    return found.second_factor_at is None and factors.has_any(found.user_id)


def seen(secret: str) -> None:
    """The session was used just now; written at most once a minute."""
    now = clock.now()
    digest = tokens.digest(secret)
    found = db.session.scalar(select(Session.seen_at).where(Session.digest == digest))
    if found is None or now < found + timedelta(minutes=1):
        return
    with transaction() as session:
        again = session.scalar(select(Session).where(Session.digest == digest))
        if again is not None:
            again.seen_at = now


def fresh(secret: str) -> bool:
    """Whether it was made sure within five minutes that the session's user sits there."""
    digest = tokens.digest(secret)
    found = db.session.scalar(select(Session.confirmed_at).where(Session.digest == digest))
    # A clock that was set back makes nothing fresh again.
    return found is not None and found <= clock.now() <= found + FRESH


def confirmed(secret: str) -> None:
    """Whoever sits there has just shown that it is the session's user."""
    with transaction() as session:
        found = session.scalar(select(Session).where(Session.digest == tokens.digest(secret)))
        if found is None:
            return
        found.confirmed_at = clock.now()
        record(session, access.actor_for(found.user), Action.CONFIRMED, f"user:{found.user_id}")


def sign_out(secret: str) -> None:
    """The session is over on the server: a copied cookie opens nothing any more."""
    with transaction() as session:
        found = session.scalar(select(Session).where(Session.digest == tokens.digest(secret)))
        if found is None:
            return
        record(session, access.actor_for(found.user), Action.SIGNED_OUT, f"user:{found.user_id}")
        session.delete(found)


def end_all(session: Transaction, user_id: int) -> None:
    """In the transaction under way: the user is signed in nowhere."""
    session.execute(delete(Session).where(Session.user_id == user_id))


def expired_before(now: datetime) -> tuple[datetime, datetime]:
    """Sessions made before the first, or last seen before the second, are over."""
    return now - ABSOLUTE_LIMIT, now - IDLE_LIMIT
