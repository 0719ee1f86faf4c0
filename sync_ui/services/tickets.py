"""Tickets: an invitation or a forgotten password's way back in, by mail or on paper.

Whoever holds one chooses a password, once; second factors stay as they are. Those of
another kind prove that a new e-mail address is read, and choose nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, insert, literal, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.roles import Permission
from sync_ui.errors import NotFound, Refused
from sync_ui.models import Mail, MailKind, Ticket, TicketKind, User, db, transaction
from sync_ui.models.database import Instant
from sync_ui.models.installation import current
from sync_ui.services import access, alerts, backoff, doors, passwords, sessions
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line

# How long they live: mail is read by more than its addressee, paper is handed over.
LIFETIMES = {
    MailKind.INVITATION: timedelta(minutes=60),
    MailKind.RESET: timedelta(minutes=30),
    MailKind.NEW_EMAIL: timedelta(minutes=60),
}
ON_PAPER = timedelta(hours=24)

BETWEEN_MAILS = timedelta(minutes=5)

DEAD = "This address was used already, is too old, or was replaced by a newer one. Ask for another."


@dataclass(frozen=True, slots=True)
class Opened:
    """What the page says to whoever holds the ticket; `email` is where it was sent."""

    user_id: int
    email: str
    kind: TicketKind
    expires_at: datetime


def make(
    actor: Actor, user_id: int, lifetime: timedelta = ON_PAPER, *, replaces: bool = True
) -> tuple[str, Ticket]:
    """A ticket of the user, whose text exists only here; all earlier ones that it replaces die.

    Raises NotFound, and Refused for a disabled user.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        user = access.get(User, user_id, "There is no such user.")
        _require_enabled(user)
        if replaces:
            end_all(session, user_id)
        made = _make(session, actor, user_id, kind_for(user), lifetime)
        doors.tell_of_command(session, actor)
    return made


def _make(
    session: Session, actor: Actor, user_id: int, kind: TicketKind, lifetime: timedelta
) -> tuple[str, Ticket]:
    text, now = tokens.new_code(), clock.now()
    ticket = Ticket(
        digest=tokens.digest(text),
        kind=kind,
        user_id=user_id,
        made_by_id=actor.user_id,
        created_at=now,
        expires_at=now + lifetime,
    )
    session.add(ticket)
    minutes = int(lifetime.total_seconds() // 60)
    record(session, actor, Action.TICKET_MADE, f"user:{user_id}", minutes=minutes)
    return text, ticket


def kind_for(user: User) -> TicketKind:
    """An invitation as long as the user has chosen no password."""
    never = user.password_hash == passwords.NONE_YET
    return TicketKind.INVITATION if never else TicketKind.RESET


def address(text: str) -> str:
    """The page that the ticket opens; from the settings alone, whatever a request says."""
    return f"{page()}/{text}"


def page() -> str:
    """Where a ticket that stands on paper is typed."""
    return f"{current().config.base_url}/enter"


def invite(actor: Actor, user_id: int) -> None:
    """The user's ticket is on its way to their own address; all earlier ones are dead.

    Raises NotFound and Refused.
    """
    access.require(actor, Permission.PEOPLE)
    with transaction() as session:
        user = access.get(User, user_id, "There is no such user.")
        _require_enabled(user)
        end_all(session, user_id)
        owe(session, user)
        record(session, actor, Action.TICKET_MAILED, f"user:{user_id}")


def owe(session: Session, user: User) -> None:
    """In the transaction under way: the worker makes the user's ticket and mails it.

    It replaces none: whoever knows an address can ask for such mail.
    """
    now = clock.now()
    kind = MailKind(kind_for(user).value)
    session.add(Mail(kind=kind, user_id=user.id, created_at=now, due_at=now))


def forgotten(email: str, network: str) -> None:
    """Whoever has this address gets a way back by mail, at most once in five minutes.

    One and the same work whether there is such a user or not. Raises Throttled
    after too many for this network.
    """
    email, now = one_line(email).lower(), clock.now()
    backoff.take([backoff.asking(network)])
    had_one = exists().where(
        Mail.user_id == User.id,
        Mail.kind == MailKind.RESET,
        Mail.created_at > now - BETWEEN_MAILS,
    )
    kind = literal(MailKind.RESET, Mail.__table__.c.kind.type)
    moment = literal(now, Instant(timezone=True))
    theirs = select(kind, User.id, moment, moment, literal(0)).where(
        User.email == email, User.disabled_at.is_(None), ~had_one
    )
    columns = ["kind", "user_id", "created_at", "due_at", "attempts"]
    with transaction() as session:
        session.execute(insert(Mail).from_select(columns, theirs, include_defaults=False))
        record(session, access.NOBODY, Action.PASSWORD_FORGOTTEN)


def look_at(text: str) -> Opened:
    """Looking spends nothing: mail scanners look too. Raises NotFound."""
    ticket = usable(text)
    proves = ticket.kind is TicketKind.EMAIL
    email = wanted_email(ticket) if proves else ticket.user.email
    return Opened(ticket.user_id, email, ticket.kind, ticket.expires_at)


def spend(text: str, password: str) -> None:
    """The ticket's user has this password, is signed in nowhere, and has no other ticket.

    Of several at once one wins. Raises NotFound for a dead ticket, and Invalid
    for a password that is not good enough, which spends nothing.
    """
    user = _for_a_password(text).user
    password_hash = passwords.hashed(passwords.checked(password, user.email, user.name))
    with transaction() as session:
        ticket = _for_a_password(text)
        ticket.spent_at = clock.now()
        ticket.user.password_hash = password_hash
        alerts.owe(session, ticket.user, MailKind.PASSWORD_CHANGED)
        sessions.end_all(session, ticket.user_id)
        end_all(session, ticket.user_id)
        actor = access.actor_for(ticket.user)
        record(session, actor, Action.TICKET_SPENT, f"user:{ticket.user_id}")


def end_all(session: Session, user_id: int) -> None:
    """In the transaction under way: no ticket of the user works any more, nor one to come
    that would prove a new address.
    """
    session.execute(delete(Mail).where(*_proves(user_id)))
    session.execute(delete(Ticket).where(Ticket.user_id == user_id, Ticket.spent_at.is_(None)))


def owe_proof(session: Session, user: User, email: str) -> None:
    """In the transaction under way: a letter asks at this address, and none asks elsewhere."""
    forget_proof(session, user.id)
    now, kind = clock.now(), MailKind.NEW_EMAIL
    session.add(Mail(kind=kind, user_id=user.id, address=email, created_at=now, due_at=now))


def forget_proof(session: Session, user_id: int) -> None:
    """In the transaction under way: the user wants no other address any more."""
    session.execute(delete(Mail).where(*_proves(user_id)))
    session.execute(delete(Ticket).where(*_unspent_proofs(user_id)))


def proof_owed(user_id: int) -> Mail | None:
    """The one letter that says which address the user wants, sent or not."""
    return db.session.scalar(select(Mail).where(*_proves(user_id)))


def has_proof(user_id: int) -> bool:
    """Whether a ticket is out that proves the address which the user wants."""
    alive = *_unspent_proofs(user_id), Ticket.expires_at > clock.now()
    return bool(db.session.scalar(select(exists().where(*alive))))


def make_proof(user_id: int, email: str) -> str:
    """A ticket that proves this address, made when its letter is sent.

    Raises NotFound if the user has taken back meanwhile that they want it.
    """
    with transaction() as session:
        letter = proof_owed(user_id)
        if letter is None or letter.address != email:
            raise NotFound(DEAD)
        lifetime = LIFETIMES[MailKind.NEW_EMAIL]
        text, _ = _make(session, access.WORKER, user_id, TicketKind.EMAIL, lifetime)
    return text


def wanted_email(ticket: Ticket) -> str:
    """What the ticket proves. Raises NotFound."""
    letter = proof_owed(ticket.user_id)
    if ticket.kind is not TicketKind.EMAIL or letter is None or letter.address is None:
        raise NotFound(DEAD)
    return letter.address


def _proves(user_id: int) -> tuple[ColumnElement[bool], ...]:
    return Mail.user_id == user_id, Mail.kind == MailKind.NEW_EMAIL


def _unspent_proofs(user_id: int) -> tuple[ColumnElement[bool], ...]:
    of_user = Ticket.kind == TicketKind.EMAIL, Ticket.user_id == user_id
    return *of_user, Ticket.spent_at.is_(None)


def _for_a_password(text: str) -> Ticket:
    """Whoever reads at an address that nobody has proved chooses no password by it."""
    ticket = usable(text)
    if ticket.kind is TicketKind.EMAIL:
        raise NotFound(DEAD)
    return ticket


def usable(text: str) -> Ticket:
    """The ticket, not spent or too old, of a user who has access. Raises NotFound."""
    ticket = db.session.scalar(select(Ticket).where(Ticket.digest == tokens.digest(text)))
    if ticket is None or ticket.spent_at is not None or ticket.expires_at <= clock.now():
        raise NotFound(DEAD)
    if ticket.user.disabled_at is not None:
        raise NotFound(DEAD)
    return ticket


def _require_enabled(user: User) -> None:
    if user.disabled_at is not None:
        raise Refused("This user is disabled. Enable the user first.")
