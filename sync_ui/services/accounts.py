"""Users: who signs in, by what address and password, and with which role."""

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Clinician, MailKind, User, db, transaction
from sync_ui.services import (
    access,
    addresses,
    alerts,
    doors,
    mail,
    offboarding,
    passwords,
    people,
    practice,
    sessions,
    signing,
    tickets,
)
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import checked_name, one_line

STALE = (
    "Somebody changed this user meanwhile. Below is what holds now; change it again if you like."
)

TAKEN = "There is a user with this e-mail address already."


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page showed of a user before somebody changed it there."""

    name: str
    role: str
    sees_clients: bool


def shown(found: User) -> Shown:
    """What a page shows of the user now."""
    return Shown(found.name, found.role.value, found.clinician is not None)


def create_user(
    actor: Actor,
    *,
    email: str,
    name: str,
    role: Role,
    password: str | None = None,
    sees_clients: bool = False,
) -> User:
    """A user who can sign in; a clinician comes with a calendar of their own.

    Without a password they choose one with a ticket, which is on its way by
    mail where there is a mail server. `sees_clients` gives the calendar to an
    administrator or scheduler too. Raises Invalid, Refused, and Conflict for an
    e-mail address that is taken.
    """
    access.require(actor, Permission.PEOPLE)
    email = checked_email(email)
    name = checked_name(name or email.split("@")[0])
    password_hash = passwords.NONE_YET
    if password is not None:
        password_hash = passwords.hashed(passwords.checked(password, email, name))
    emergency = role is Role.ADMINISTRATOR and practice.is_set_up()
    with transaction() as session:
        user = add_user(session, email, name, role, password_hash)
        if emergency:
            doors.tell_of_command(session, actor)
        record(session, actor, Action.USER_CREATED, f"user:{user.id}", role=role.value)
        if role is Role.CLINICIAN or sees_clients:
            people.add_clinician(session, name, user)
        if password is None and mail.is_configured():
            tickets.owe(session, user)
    return user


def add_user(session: Transaction, email: str, name: str, role: Role, password_hash: str) -> User:
    """Add a user to the transaction under way. Raises Conflict."""
    require_free(session, email)
    user = User(
        email=email, name=name, role=role, password_hash=password_hash, created_at=clock.now()
    )
    session.add(user)
    session.flush()
    return user


def change_user(
    actor: Actor,
    user_id: int,
    *,
    name: str,
    role: Role,
    sees_clients: bool = False,
    before: Shown | None = None,
) -> None:
    """The user has this name and role; another role ends their sessions.

    Refuses to leave the practice without an administrator. Raises Conflict if the
    user is no longer as `before`: nobody gives back a role that was taken.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        access.require_in(actor)
        found = user(user_id)
        if before is not None and before != shown(found):
            raise Conflict(STALE)
        if role is not Role.ADMINISTRATOR:
            _keep_an_administrator(found)
        former = found.role
        found.name, found.role = checked_name(name), role
        if (role is Role.CLINICIAN or sees_clients) and found.clinician is None:
            people.add_clinician(session, found.name, found)
        if found.role is not former:
            sessions.end_all(session, user_id)
        offboarding.end_out_of_reach(session, found)
        record(session, actor, Action.USER_CHANGED, f"user:{user_id}", role=role.value)
    addresses.write_journal()


def disable_user(actor: Actor, user_id: int) -> None:
    """The user is out from the next request on, and nothing that they hold opens anything.

    Sessions, tickets, links, codes and connections end; no mail goes out to them.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        access.require_in(actor)
        found = user(user_id)
        _keep_an_administrator(found)
        found.disabled_at = found.disabled_at or clock.now()
        sessions.end_all(session, user_id)
        tickets.end_all(session, user_id)
        mail.forget(session, user_id)
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
    """Raises Invalid if `old` is wrong, and Throttled after too many.

    Every session of the user ends, this one too.
    """
    if actor.user_id is None:
        raise Refused("Only a signed-in user has a password to change.")
    found = user(actor.user_id)
    shown = found.password_hash
    signing.check_own(found, old, "The current password is not right.")
    _set_password(actor, found, new, shown)


def _set_password(actor: Actor, found: User, password: str, shown: str | None = None) -> None:
    """`shown`: the hash of the old password that was shown, which must still be the one."""
    user_id = found.id
    password_hash = passwords.hashed(passwords.checked(password, found.email, found.name))
    with transaction() as session:
        access.require_in(actor)
        again = session.get_one(User, user_id)
        if shown is not None and again.password_hash != shown:
            raise Conflict("Your password was changed just now, by somebody else or on a sheet.")
        again.password_hash = password_hash
        alerts.owe(session, again, MailKind.PASSWORD_CHANGED)
        sessions.end_all(session, user_id)
        tickets.end_all(session, user_id)
        record(session, actor, Action.PASSWORD_CHANGED, f"user:{user_id}")


def require_free(session: Transaction, email: str) -> None:
    """Raises Conflict for an address that is taken."""
    if session.scalar(select(User.id).where(User.email == email)) is not None:
        raise Conflict(TAKEN)


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


def by_email(email: str) -> User:
    """Raises NotFound with a sentence for whoever types a command."""
    found = db.session.scalar(select(User).where(User.email == one_line(email).lower()))
    if found is None:
        raise NotFound("There is no user with this e-mail address. See 'flask user list'.")
    return found


def checked_email(email: str) -> str:
    """Lower-case and well-formed; never two, a line break, or look-alikes before the @."""
    try:
        found = validate_email(
            email.strip(),
            allow_smtputf8=False,
            check_deliverability=False,
            test_environment=True,
        ).normalized
    except EmailNotValidError:
        raise Invalid("Enter one e-mail address, such as anna@example.com.") from None
    return found.lower()


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
