"""Users, their passwords, and the sessions that the server keeps for them."""

import hashlib
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused, Throttled
from sync_ui.models import Clinician, Session, SignInFailure, User, db, transaction
from sync_ui.services import access, addresses, offboarding, people
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import checked_name, one_line

SHORTEST_PASSWORD = 15
LONGEST_PASSWORD = 256
IDLE_LIMIT = timedelta(minutes=15)
ABSOLUTE_LIMIT = timedelta(hours=12)

# Failures that cost nothing; then each doubles the wait, up to the longest.
FREE_FAILURES = 5
LONGEST_WAIT = timedelta(minutes=15)

_hasher = PasswordHasher()

# Verified for unknown users, so that the answer takes as long as for a known one.
_NOBODY = _hasher.hash("nobody has this password")


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
    right = _verify(user.password_hash if user is not None else _NOBODY, password)
    if user is None or not known or not right:
        _count_failure(digest)
        raise Invalid("This e-mail address and password do not belong together. Try again.")
    return _open_session(user.id, digest)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False


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


def _open_session(user_id: int, digest: str) -> str:
    secret = tokens.new_code()
    with transaction() as session:
        user = session.get_one(User, user_id)
        now = clock.now()
        session.add(
            Session(digest=tokens.digest(secret), user_id=user_id, created_at=now, seen_at=now)
        )
        session.execute(delete(SignInFailure).where(SignInFailure.digest == digest))
        record(session, access.actor_for(user), Action.SIGNED_IN, f"user:{user_id}")
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


def create_user(
    actor: Actor,
    *,
    email: str,
    name: str,
    role: Role,
    password: str,
    sees_clients: bool = False,
) -> User:
    """A user who can sign in; a clinician comes with a calendar of their own.

    `sees_clients` gives the calendar to an administrator or scheduler too.
    Raises Invalid, Refused, and Conflict for an e-mail address that is taken.
    """
    access.require(actor, Permission.PEOPLE)
    email = checked_email(email)
    name = checked_name(name or email.split("@")[0])
    password_hash = hashed(checked_password(password, email, name))
    with transaction() as session:
        user = add_user(session, email, name, role, password_hash)
        record(session, actor, Action.USER_CREATED, f"user:{user.id}", role=role.value)
        if role is Role.CLINICIAN or sees_clients:
            people.add_clinician(session, name, user)
    return user


def add_user(session: Transaction, email: str, name: str, role: Role, password_hash: str) -> User:
    """Add a user to the transaction under way. Raises Conflict."""
    if session.scalar(select(User.id).where(User.email == email)) is not None:
        raise Conflict("There is a user with this e-mail address already.")
    user = User(
        email=email, name=name, role=role, password_hash=password_hash, created_at=clock.now()
    )
    session.add(user)
    session.flush()
    return user


def change_user(
    actor: Actor, user_id: int, *, name: str, role: Role, sees_clients: bool = False
) -> None:
    """The user has this name and role. Refuses to leave the practice without an administrator."""
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        found = user(user_id)
        if role is not Role.ADMINISTRATOR:
            _keep_an_administrator(found)
        found.name, found.role = checked_name(name), role
        if (role is Role.CLINICIAN or sees_clients) and found.clinician is None:
            people.add_clinician(session, found.name, found)
        offboarding.end_out_of_reach(session, found)
        record(session, actor, Action.USER_CHANGED, f"user:{user_id}", role=role.value)
    addresses.write_journal()


def disable_user(actor: Actor, user_id: int) -> None:
    """The user is out from the next request on: sessions, links and codes are dead."""
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        found = user(user_id)
        _keep_an_administrator(found)
        found.disabled_at = found.disabled_at or clock.now()
        session.execute(delete(Session).where(Session.user_id == user_id))
        offboarding.end_all_of_user(session, found)
        record(session, actor, Action.USER_DISABLED, f"user:{user_id}")
    addresses.write_journal()


def enable_user(actor: Actor, user_id: int) -> None:
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        user(user_id).disabled_at = None
        record(session, actor, Action.USER_ENABLED, f"user:{user_id}")


def set_password(actor: Actor, user_id: int, password: str) -> None:
    """An administrator gives a user a new password; all of the user's sessions end."""
    access.require(actor, Permission.PEOPLE)
    _set_password(actor, user(user_id), password)


def change_own_password(actor: Actor, old: str, new: str) -> None:
    """Raises Invalid if `old` is wrong. Every session of the user ends, this one too."""
    if actor.user_id is None:
        raise Refused("Only a signed-in user has a password to change.")
    found = user(actor.user_id)
    if not _verify(found.password_hash, old):
        raise Invalid("The current password is not right.")
    _set_password(actor, found, new)


def _set_password(actor: Actor, user: User, password: str) -> None:
    user_id = user.id
    password_hash = hashed(checked_password(password, user.email, user.name))
    with transaction() as session:
        session.get_one(User, user_id).password_hash = password_hash
        session.execute(delete(Session).where(Session.user_id == user_id))
        record(session, actor, Action.PASSWORD_CHANGED, f"user:{user_id}")


def users() -> list[User]:
    return list(db.session.scalars(select(User).order_by(func.lower(User.name))))


def name_of(actor_word: str) -> str:
    """Who that is, by the word in the audit: a user's name, or what else did it."""
    kind, _, user_id = actor_word.partition(":")
    found = db.session.get(User, int(user_id)) if kind == "user" else None
    return found.name if found else "Someone"


def clinician_by_email(email: str) -> Clinician:
    """Raises NotFound with a sentence for whoever types a command."""
    found = db.session.scalar(
        select(Clinician).join(User).where(User.email == one_line(email).lower())
    )
    if found is None:
        raise NotFound("There is no clinician with this e-mail address. See 'flask user list'.")
    return found


def checked_email(email: str) -> str:
    """Lower-case and well-formed; never two addresses, never a line break."""
    try:
        found = validate_email(
            email.strip(), check_deliverability=False, test_environment=True
        ).normalized
    except EmailNotValidError:
        raise Invalid("Enter one e-mail address, such as anna@example.com.") from None
    return found.lower()


def checked_password(password: str, *context: str) -> str:
    """Long enough, and not what anyone would try first (ASVS 5.0, 6.2). Raises Invalid."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise Invalid(f"A password can have at most {LONGEST_PASSWORD} characters.")
    known = {part.lower() for part in context}
    if password.lower() in known or len(set(password)) < 5:
        raise Invalid("This password is too easy to guess. A few unrelated words are better.")
    return password


def hashed(password: str) -> str:
    """Argon2id; takes a moment on purpose, so never call it inside a transaction."""
    return _hasher.hash(password)


def user(user_id: int) -> User:
    """Raises NotFound."""
    return access.get(User, user_id, "There is no such user.")


def _keep_an_administrator(user: User) -> None:
    others = db.session.scalar(
        select(User.id)
        .where(User.role == Role.ADMINISTRATOR, User.disabled_at.is_(None), User.id != user.id)
        .limit(1)
    )
    if user.role is Role.ADMINISTRATOR and others is None:
        raise Refused("This is the last administrator. Make another user administrator first.")


def expired_before(now: datetime) -> tuple[datetime, datetime]:
    """Sessions made before the first, or last seen before the second, are over."""
    return now - ABSOLUTE_LIMIT, now - IDLE_LIMIT
