"""Getting second factors and losing them; each change is the user's own, or an administrator's."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Transaction

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Authenticator, MailKind, Passkey, Session, User, db, transaction
from sync_ui.services import access, alerts, doors, factors, passkeys, practice, sealing, sessions
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record


def begin_app(actor: Actor) -> None:
    """A fresh secret waits for its first code; it counts for nothing before.

    Raises Conflict if the user has an app already.
    """
    user_id = _own(actor)
    sealed = sealing.seal(factors.new_secret(), factors.bound_to(user_id))
    with transaction() as session:
        found = factors.authenticator(user_id)
        if found is not None and found.confirmed_at is not None:
            raise Conflict("You have an app already. Remove it first to add another.")
        if found is None:
            found = Authenticator(user_id=user_id)
            session.add(found)
        found.secret, found.last_step, found.created_at = sealed, 0, clock.now()
        record(session, actor, Action.APP_BEGUN, f"user:{user_id}")


def waiting_app(actor: Actor) -> str | None:
    """The secret that waits for its first code. A confirmed one is never shown again."""
    found = factors.authenticator(_own(actor))
    if found is None or found.confirmed_at is not None:
        return None
    return factors.secret_of(found)


def confirm_app(actor: Actor, secret: str, code: str) -> list[str]:
    """The app counts from now on: it has shown a right code.

    `secret` is that of the session in which it happens, which stays whole.
    Returns recovery codes if these are the user's first. Raises Invalid, NotFound.
    """
    user_id = _own(actor)
    with transaction() as session:
        found = factors.authenticator(user_id)
        if found is None or found.confirmed_at is not None:
            raise NotFound("There is no app that waits for its first code. Begin anew.")
        step = factors.step_of(found, factors.spelt(code))
        if step is None:
            raise Invalid(
                "This is not the code that the app should show now. "
                "Wait for its next one; the phone’s clock must be right."
            )
        found.confirmed_at, found.last_step = clock.now(), step
        alerts.owe(session, session.get_one(User, user_id), MailKind.APP_ADDED)
        record(session, actor, Action.APP_ADDED, f"user:{user_id}")
        return _counts(session, user_id, secret)


def add_passkey(actor: Actor, secret: str, *, challenge: str, answer: str, name: str) -> list[str]:
    """The user has a passkey of this name; as `confirm_app`. Raises Invalid, Conflict, Refused."""
    user_id = _own(actor)
    name = practice.checked_name(name or "Passkey")
    made = passkeys.registered(user_id, challenge, answer)
    with transaction() as session:
        passkey = passkeys.add(session, user_id, made, name)
        alerts.owe(session, session.get_one(User, user_id), MailKind.PASSKEY_ADDED)
        record(session, actor, Action.PASSKEY_ADDED, f"passkey:{passkey.id}")
        return _counts(session, user_id, secret)


def _counts(session: Transaction, user_id: int, secret: str) -> list[str]:
    """The factor was shown in this session; every other one owes the second step from now on."""
    session.flush()
    session.execute(
        update(Session)
        .where(Session.digest == tokens.digest(secret), Session.user_id == user_id)
        .values(second_factor_at=clock.now())
    )
    has_codes = factors.held(user_id).codes_left > 0
    return [] if has_codes else factors.draw_codes(session, user_id)


def draw_codes(actor: Actor) -> list[str]:
    """Ten new recovery codes, to be shown once; the former ones are void. Raises Refused."""
    user_id = _own(actor)
    with transaction() as session:
        if not factors.has_any(user_id):
            raise Refused("Recovery codes stand in for a second factor. Add one first.")
        codes = factors.draw_codes(session, user_id)
        alerts.owe(session, session.get_one(User, user_id), MailKind.CODES_DRAWN)
        record(session, actor, Action.RECOVERY_CODES_DRAWN, f"user:{user_id}")
    return codes


def remove_app(actor: Actor) -> None:
    """The app's codes are worth nothing any more. Raises NotFound, Refused."""
    user_id = _own(actor)
    with transaction() as session:
        found = factors.authenticator(user_id)
        if found is None:
            raise NotFound("You have no authenticator app.")
        if found.confirmed_at is not None:
            _keep_one(user_id)
            alerts.owe(session, session.get_one(User, user_id), MailKind.APP_REMOVED)
        session.delete(found)
        _removed(session, actor, user_id, factors.Kind.APP)


def remove_passkey(actor: Actor, passkey_id: int) -> None:
    """The passkey opens nothing any more. Raises NotFound, also for another's; Refused."""
    user_id = _own(actor)
    with transaction() as session:
        wanted = select(Passkey).where(Passkey.id == passkey_id, Passkey.user_id == user_id)
        found = session.scalar(wanted) if 0 < passkey_id <= access.LARGEST_ID else None
        if found is None:
            raise NotFound("You have no such passkey.")
        _keep_one(user_id)
        alerts.owe(session, session.get_one(User, user_id), MailKind.PASSKEY_REMOVED)
        session.delete(found)
        _removed(session, actor, user_id, factors.Kind.PASSKEY)


def _keep_one(user_id: int) -> None:
    user = db.session.get_one(User, user_id)
    if factors.held(user_id).number == 1 and user.role in factors.roles_that_must():
        raise Refused("Your role needs a second factor. Add another one before you remove this.")


def _removed(session: Transaction, actor: Actor, user_id: int, kind: factors.Kind) -> None:
    session.flush()
    if not factors.has_any(user_id):
        factors.forget(session, user_id)  # recovery codes for nothing
    record(session, actor, Action.FACTOR_REMOVED, f"user:{user_id}", kind=kind.value)


def forget(actor: Actor, user_id: int) -> None:
    """For whoever has lost them: no second factor is left, and every session has ended.

    The password still counts. Raises NotFound, Refused.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        found = access.get(User, user_id, "There is no such user.")
        if factors.has_any(user_id):
            alerts.owe(session, found, MailKind.FACTORS_REMOVED)
        factors.forget(session, user_id)
        sessions.end_all(session, user_id)
        record(session, actor, Action.FACTORS_FORGOTTEN, f"user:{user_id}")
        doors.tell_of_command(session, actor)


def _own(actor: Actor) -> int:
    if actor.user_id is None:
        raise Refused("Only a signed-in user has second factors.")
    return actor.user_id
