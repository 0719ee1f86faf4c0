"""The sessions that the server keeps: whatever it ends is over, whoever holds a cookie."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.models import Session, User, db, transaction
from sync_ui.services import access
from sync_ui.services.audit import Action, record

IDLE_LIMIT = timedelta(minutes=15)
ABSOLUTE_LIMIT = timedelta(hours=12)


def add(session: Transaction, user: User) -> str:
    """A new session of the user in the transaction under way; its secret, for the cookie."""
    secret, now = tokens.new_code(), clock.now()
    session.add(
        Session(
            digest=tokens.digest(secret),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            confirmed_at=now,
        )
    )
    record(session, access.actor_for(user), Action.SIGNED_IN, f"user:{user.id}")
    return secret


def signed_in(secret: str) -> User | None:
    """Whose session this is, if it has neither ended nor been idle for too long."""
    now = clock.now()
    found = db.session.scalar(select(Session).where(Session.digest == tokens.digest(secret)))
    if found is None or found.user.disabled_at is not None:
        return None
    if now > found.created_at + ABSOLUTE_LIMIT or now > found.seen_at + IDLE_LIMIT:
        return None
    return found.user


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
