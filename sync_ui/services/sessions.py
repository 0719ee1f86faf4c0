"""The sessions that the server keeps: whatever it ends is over, whoever holds a cookie."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound
from sync_ui.models import Session, User, db, transaction
from sync_ui.services import access, factors, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

ABSOLUTE_LIMIT = timedelta(hours=12)

# So long a session waits for the second step.
HALF_LIMIT = timedelta(minutes=10)

# So long after its password or a passkey was shown a session may do what is far-reaching.
FRESH = timedelta(minutes=5)

# How far a clock may go back without a word; `seen` writes no oftener.
UNSEEN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a session is, in words for people: `Firefox on Windows`, never a whole address."""

    browser: str = ""
    network: str = ""


NOWHERE = Seat()


def add(
    session: Transaction,
    user: User,
    *,
    second_factor: factors.Kind | None = None,
    shown_at: datetime | None = None,
    seat: Seat = NOWHERE,
) -> str:
    """A new session of the user in the transaction under way; its secret, for the cookie.

    Without a second factor it opens nothing yet for a user who has one.
    `shown_at`: when one was shown in this browser's session that the new one follows.
    """
    secret, now = tokens.new_code(), clock.now()
    session.add(
        Session(
            digest=tokens.digest(secret),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            confirmed_at=now,
            second_factor_at=now if second_factor else shown_at,
            browser=seat.browser,
            network=seat.network,
        )
    )
    whole = bool(second_factor or shown_at) or not factors.has_any(user.id)
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


def second_factor_at(secret: str) -> datetime | None:
    """When a second factor was shown in this session, if it is not over."""
    found = _alive(secret)
    return found.second_factor_at if found else None


def half(secret: str) -> Session | None:
    """The session, if its user has shown the password just now and owes the second step."""
    found = _alive(secret)
    if found is None or not _is_half(found) or clock.now() > found.created_at + HALF_LIMIT:
        return None
    return found


def idle_limit() -> timedelta:
    """How long a session lives without anybody doing anything, as the practice has it."""
    return timedelta(minutes=practice.get().idle_minutes)


def seconds_left(secret: str) -> int:
    """How long the session lives on if nobody does anything; 0 if it is over."""
    found = _alive(secret)
    if found is None:
        return 0
    end = min(found.seen_at + idle_limit(), found.created_at + ABSOLUTE_LIMIT)
    return max(int((end - clock.now()).total_seconds()), 1)


def _alive(secret: str) -> Session | None:
    found = _find(secret)
    if found is None or found.user.disabled_at is not None or _is_over(found, idle_limit()):
        return None
    return found


def _find(secret: str) -> Session | None:
    return db.session.scalar(select(Session).where(Session.digest == tokens.digest(secret)))


def _is_over(found: Session, idle: timedelta) -> bool:
    now = clock.now()
    return now > found.created_at + ABSOLUTE_LIMIT or now > found.seen_at + idle


def _is_half(found: Session) -> bool:
    return found.second_factor_at is None and factors.has_any(found.user_id)


def seen(secret: str) -> None:
    """The session was used just now; written at most once a minute."""
    found = _find(secret)
    if found is None or abs(clock.now() - found.seen_at) < UNSEEN:
        return
    with transaction():
        again = _find(secret)
        if again is not None:
            _set_back(again)
            again.seen_at = clock.now()


def follow_clock() -> int:
    """Sessions that were seen in the future, since the clock was set back, are as old as they were.

    So none of them lives on until the clock has caught up. Returns how many.
    """
    ahead = select(Session).where(Session.seen_at > clock.now() + UNSEEN)
    if db.session.scalar(ahead.limit(1)) is None:
        return 0
    with transaction() as session:
        found = session.scalars(ahead).all()
        for each in found:
            _set_back(each)
    return len(found)


def _set_back(found: Session) -> None:
    ahead = found.seen_at - clock.now()
    if ahead > timedelta():
        found.seen_at -= ahead
        found.created_at -= ahead
        found.confirmed_at -= ahead


def fresh(secret: str) -> bool:
    """Whether it was made sure within five minutes that the session's user sits there."""
    digest = tokens.digest(secret)
    found = db.session.scalar(select(Session.confirmed_at).where(Session.digest == digest))
    # A clock that was set back makes nothing fresh again.
    return found is not None and found <= clock.now() <= found + FRESH


def confirmed(secret: str, second_factor: factors.Kind | None = None) -> None:
    """Whoever sits there has just shown that it is the session's user: by password, or by this."""
    with transaction() as session:
        found = _find(secret)
        if found is None:
            return
        found.confirmed_at = clock.now()
        detail = {"second_factor": second_factor.value} if second_factor else {}
        actor = access.actor_for(found.user)
        record(session, actor, Action.CONFIRMED, f"user:{found.user_id}", **detail)


def sign_out(secret: str) -> None:
    """The session is over on the server: a copied cookie opens nothing any more."""
    with transaction() as session:
        found = _find(secret)
        if found is None:
            return
        record(session, access.actor_for(found.user), Action.SIGNED_OUT, f"user:{found.user_id}")
        session.delete(found)


def of_actor(actor: Actor) -> list[Session]:
    """The actor's own sessions that are not over, the latest used first."""
    idle = idle_limit()
    own = select(Session).where(Session.user_id == actor.user_id).order_by(Session.seen_at.desc())
    return [found for found in db.session.scalars(own) if not _is_over(found, idle)]


def is_of(found: Session, secret: str) -> bool:
    """Whether this is the session that the secret opens."""
    return found.digest == tokens.digest(secret)


def end(actor: Actor, session_id: int) -> None:
    """One of the actor's own sessions is over. Raises NotFound."""
    with transaction() as session:
        found = access.get(Session, session_id, "This session is over already.")
        if found.user_id != actor.user_id:
            raise NotFound("This session is over already.")
        session.delete(found)
        record(session, actor, Action.SESSION_ENDED, f"user:{actor.user_id}")


def end_others(actor: Actor, secret: str) -> int:
    """Every session of the actor but this one is over. Returns how many."""
    others = Session.user_id == actor.user_id, Session.digest != tokens.digest(secret)
    return _end(actor, Action.SESSIONS_ENDED, f"user:{actor.user_id}", *others)


def end_of_user(actor: Actor, user_id: int) -> int:
    """The user is signed in nowhere. Returns how many sessions that ended."""
    access.require(actor, Permission.PEOPLE)
    user = access.get(User, user_id, "There is no such user.")
    return _end(actor, Action.SESSIONS_ENDED, f"user:{user.id}", Session.user_id == user.id)


def end_of_everyone(actor: Actor) -> int:
    """Nobody is signed in, the actor included. Returns how many sessions that ended."""
    access.require(actor, Permission.PEOPLE)
    return _end(actor, Action.ALL_SESSIONS_ENDED, "practice:1", Session.id > 0)


def _end(actor: Actor, action: Action, subject: str, *which: object) -> int:
    with transaction() as session:
        count: int = session.execute(delete(Session).where(*which)).rowcount  # type: ignore[arg-type, attr-defined]
        record(session, actor, action, subject, count=count)
    return count


def end_all(session: Transaction, user_id: int) -> None:
    """In the transaction under way: the user is signed in nowhere."""
    session.execute(delete(Session).where(Session.user_id == user_id))


def expired_before(now: datetime) -> tuple[datetime, datetime]:
    """Sessions made before the first, or last seen before the second, are over."""
    return now - ABSOLUTE_LIMIT, now - idle_limit()
