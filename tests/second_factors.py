"""People who have a second factor, and what they do with it."""

from sqlalchemy import select

from sync_ui.models import AuditEntry, db
from sync_ui.services import accounts, enrolment, passkeys, second_step, sessions, signing
from sync_ui.services.access import Actor
from tests.practice import PASSWORD, Clock
from tests.security_key import SecurityKey, app_code

NETWORK = "198.51.100.0/24"


def number_of(actor: Actor) -> int:
    assert actor.user_id is not None
    return actor.user_id


def with_app(actor: Actor, now: Clock) -> tuple[str, list[str]]:
    """The secret of the actor's app, and the recovery codes that came with it."""
    enrolment.begin_app(actor)
    secret = enrolment.waiting_app(actor)
    assert secret is not None
    codes = enrolment.confirm_app(actor, "", app_code(secret, now()))
    now.move(minutes=1)
    return secret, codes


def with_passkey(actor: Actor) -> SecurityKey:
    key = SecurityKey()
    add_passkey(actor, key)
    return key


def add_passkey(actor: Actor, key: SecurityKey, name: str = "Blue key") -> list[str]:
    options, challenge = passkeys.offer_registration(accounts.user(number_of(actor)))
    answer = key.make(options)
    return enrolment.add_passkey(actor, "", challenge=challenge, answer=answer, name=name)


def half_session(email: str = "unlu@example.com") -> str:
    return signing.sign_in(email, PASSWORD, NETWORK)


def opens(secret: str) -> bool:
    db.session.rollback()
    return sessions.signed_in(secret) is not None


def by_passkey(half: str, key: SecurityKey) -> str:
    options, challenge = second_step.offer_passkey(half)
    return second_step.by_passkey(half, challenge, key.use(options))


def alone(key: SecurityKey) -> str:
    options, challenge = second_step.offer_sign_in(NETWORK)
    return second_step.sign_in(challenge, key.use(options), NETWORK)


def latest_entry() -> AuditEntry:
    db.session.rollback()
    return db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()  # type: ignore[return-value]
