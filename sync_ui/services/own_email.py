"""One's own e-mail address: where there is a mail server, a new one counts once it is proved.

The letter that is owed to it is all that stands for the wish. A user has one at most,
and whatever takes it away takes away its tickets.
"""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.errors import Refused
from sync_ui.models import MailKind, User, transaction
from sync_ui.services import access, accounts, alerts, backoff, mail, tickets
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

ANOTHERS = "Sign in on this device first, as you are used to, and then open this page again."


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that is not proved yet; `failed`: its letter has not left, and never will."""

    email: str
    failed: bool


def change(actor: Actor, email: str) -> bool:
    """The actor signs in with this address: at once, or when a letter to it was answered.

    Returns whether it counts already. Raises Invalid, Conflict for an address that is
    taken, and Throttled after too many letters.
    """
    email, by_letter = accounts.checked_email(email), mail.is_configured()
    if email == accounts.user(actor.user_id or 0).email:
        keep(actor)
        return True
    if by_letter:
        backoff.take([backoff.new_address(actor.user_id or 0)])
    with transaction() as session:
        access.require_in(actor)
        found = accounts.user(actor.user_id or 0)
        accounts.require_free(session, email)
        if by_letter:
            tickets.owe_proof(session, found, email)
            record(session, actor, Action.EMAIL_ASKED, f"user:{found.id}")
        else:
            _count(session, actor, found, email)
    return not by_letter


def wanted(actor: Actor) -> Wanted | None:
    """The address that the actor wants, as long as its letter can still be answered."""
    letter = tickets.proof_owed(actor.user_id or 0)
    if letter is None or letter.address is None:
        return None
    if letter.sent_at is not None and not tickets.has_proof(letter.user_id):
        return None
    failed = letter.sent_at is None and letter.attempts >= mail.MOST_ATTEMPTS
    return Wanted(letter.address, failed)


def keep(actor: Actor) -> bool:
    """The actor wants no other address any more: the letter on its way proves nothing.

    Returns whether there was one to take back; it may have been answered meanwhile.
    """
    user_id = actor.user_id or 0
    with transaction() as session:
        access.require_in(actor)
        if tickets.proof_owed(user_id) is None:
            return False
        tickets.forget_proof(session, user_id)
        record(session, actor, Action.EMAIL_KEPT, f"user:{user_id}")
    return True


def prove(actor: Actor | None, text: str) -> None:
    """The address that the ticket was sent to is the actor's; the old one is told, nothing ends.

    Whoever reads there without being the user proves nothing. Raises NotFound for a dead
    ticket, Refused for another's, and Conflict for an address that was taken meanwhile.
    """
    with transaction() as session:
        ticket = tickets.usable(text)
        email = tickets.wanted_email(ticket)
        if actor is None or actor.user_id != ticket.user_id:
            raise Refused(ANOTHERS)
        access.require_in(actor)
        accounts.require_free(session, email)
        ticket.spent_at = clock.now()
        _count(session, actor, ticket.user, email)


def _count(session: Session, actor: Actor, user: User, email: str) -> None:
    alerts.owe(session, user, MailKind.EMAIL_CHANGED)
    user.email = email
    session.flush()
    # What is on its way to the old address would open the account to whoever reads there.
    tickets.end_all(session, user.id)
    record(session, actor, Action.EMAIL_CHANGED, f"user:{user.id}")
