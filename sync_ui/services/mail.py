"""Mail: owed in the change's own transaction, sent afterwards by the worker."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.errors import Invalid, Refused, SyncError, Unavailable
from sync_ui.gateways.smtp import MailError, Server
from sync_ui.models import Connection, Link, Mail, MailKind, User, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import access, alerts, codes, links, tickets
from sync_ui.services.access import WORKER, Actor
from sync_ui.services.audit import Action, record

SUBJECT = "Your calendar link"

# What a message is about; the page that it names says more, to whoever may see it.
NOTICES = {
    MailKind.NEW_READER: (
        "Somebody new reads a calendar link",
        "A calendar link of yours was read by an app, a program or from a network "
        "that had not read it before. If that was you, say so on its page. "
        "If it was not, reset the link there.",
    ),
    MailKind.SILENT: (
        "Is your phone still connected?",
        "A calendar app that read a link of yours on most days has not read it for three days. "
        "Look whether it still shows your schedule.",
    ),
}

# One of a kind for each link is enough.
BETWEEN_NOTICES = timedelta(days=1)

# Tickets, made when they are sent: subject, what happened, what to do.
TICKETS = {
    MailKind.INVITATION: (
        "Your sign-in for the practice's calendar",
        "An administrator of your practice has added you to Sync Calendar. "
        "Choose your password on this page:",
        "If you do not expect this, do nothing.",
    ),
    MailKind.RESET: (
        "A new password for the practice's calendar",
        "Somebody, probably you, asked for a new password. Choose it on this page:",
        "If that was not you, do nothing: your password stays as it is.",
    ),
}

NEW_EMAIL = (
    "Confirm your new e-mail address",
    "Somebody, probably you, wants to sign in to the practice's calendar with this e-mail address "
    "from now on. Confirm it on this page, signed in as you are used to:\n\n{page}\n\n"
    "The page works once, within {minutes} minutes.\n\n"
    "If that was not you, do nothing: this address opens nothing there.\n",
)

ABOUT_TICKETS = (
    "The page works once, within {minutes} minutes. "
    "Whoever opens it can sign in as you, so do not forward this message."
)

MOST_ATTEMPTS = 8

log = logging.getLogger(__name__)


def is_configured() -> bool:
    return current().config.smtp_url is not None


def owe_link(actor: Actor, link_id: int) -> Mail:
    """The actor gets the address of the link's phone page, at their own address only."""
    if actor.user_id is None:
        raise Invalid("Only a signed-in user has an address to send the link to.")
    with transaction() as session:
        link = access.link(actor, link_id)
        links.require_live(link)
        now = clock.now()
        mail = Mail(
            kind=MailKind.LINK, user_id=actor.user_id, link_id=link_id, created_at=now, due_at=now
        )
        session.add(mail)
        record(session, actor, Action.LINK_MAILED, f"link:{link_id}")
    return mail


def owner(link: Link) -> User | None:
    """Who is told of what happens to the link: the clinician, or else whoever made it."""
    clinician = link.calendar.clinician
    found = clinician.user if clinician is not None and clinician.user else link.created_by
    return found if found is not None and found.disabled_at is None else None


def wants_notice(session: Session, link: Link, kind: MailKind) -> bool:
    """Whether the link's owner wants such mail, can have it, and had none of it within a day."""
    user = owner(link)
    if user is None or not user.mails_notices or not is_configured():
        return False
    latest = last_notice(session, link.id, kind)
    return latest is None or latest <= clock.now() - BETWEEN_NOTICES


def owe_notice(session: Session, link: Link, kind: MailKind) -> None:
    """In the transaction under way: the link's owner gets a notice, if they want one."""
    user = owner(link)
    if user is not None and wants_notice(session, link, kind):
        now = clock.now()
        session.add(Mail(kind=kind, user_id=user.id, link_id=link.id, created_at=now, due_at=now))


def owe_connection_notice(session: Session, connection: Connection) -> None:
    """In the transaction under way: whoever it belongs to hears that it needs them, once a day."""
    clinician = connection.calendar.clinician
    found = clinician.user if clinician is not None and clinician.user else connection.created_by
    if found is None or found.disabled_at is not None or not is_configured():
        return
    about = Mail.connection_id == connection.id, Mail.kind == MailKind.CONNECTION
    latest = session.scalar(
        select(Mail.created_at).where(*about).order_by(Mail.created_at.desc()).limit(1)
    )
    now = clock.now()
    if latest is not None and latest > now - BETWEEN_NOTICES:
        return
    session.add(
        Mail(
            kind=MailKind.CONNECTION,
            user_id=found.id,
            connection_id=connection.id,
            created_at=now,
            due_at=now,
        )
    )


def forget(session: Session, user_id: int) -> None:
    """In the transaction under way: what is owed to the user is owed no more."""
    session.execute(delete(Mail).where(Mail.user_id == user_id, Mail.sent_at.is_(None)))


def last_notice(session: Session, link_id: int, kind: MailKind) -> datetime | None:
    """When one of this kind was last owed."""
    of_kind = select(Mail.created_at).where(Mail.link_id == link_id, Mail.kind == kind)
    return session.scalar(of_kind.order_by(Mail.created_at.desc()).limit(1))


def mailto(actor: Actor, link_id: int) -> str:
    """The same message for the user's own mail program, as a mailto: address (RFC 6068)."""
    user = db.session.get(User, actor.user_id)
    if user is None:
        raise Invalid("Only a signed-in user has an address to send the link to.")
    email = user.email
    code, _ = codes.make(actor, link_id, codes.MAIL_LIFETIME)
    body = quote(_text(code).replace("\n", "\r\n"))
    return f"mailto:{quote(email)}?subject={quote(SUBJECT)}&body={body}"


def send_due() -> int:
    """Send what is owed and due. Returns how many messages went out.

    A failure is tried again later, twice as late each time; after eight it
    stays, with its reason.
    """
    config = current().config
    if config.smtp_url is None or config.mail_from is None:
        return 0
    server = Server(config.smtp_url, config.mail_from)
    due = db.session.scalars(
        select(Mail.id)
        .where(Mail.sent_at.is_(None), Mail.attempts < MOST_ATTEMPTS, Mail.due_at <= clock.now())
        .order_by(Mail.id)
    ).all()
    return sum(_send(server, mail_id) for mail_id in due)


def _send(server: Server, mail_id: int) -> bool:
    """Claim, make the code, send: so that two workers never send the same message."""
    claim = _claim(mail_id)
    if claim is None:
        return False
    try:
        letter = _letter(claim)
        if not _still_goes_there(claim):
            return False  # the claim ends by itself: then it goes where its user reads now
        server.send(claim.to, *letter)
    except MailError as error:
        log.warning("Mail %s was not sent: %s", mail_id, error)
        _note_failure(claim, str(error), final=error.permanent)
        return False
    except Unavailable:
        return False  # the claim ends by itself: it is tried again
    except SyncError as error:
        _note_failure(claim, error.sentence, final=True)
        return False
    with transaction() as session:
        if mail := _still_owed(session, claim):
            mail.sent_at = clock.now()
    return True


@dataclass(frozen=True, slots=True)
class _Claim:
    """A mail that this worker alone sends now; `out`: its user has no access any more."""

    mail_id: int
    owed_at: datetime
    kind: MailKind
    user_id: int
    to: str
    out: bool
    actor: Actor
    link_id: int | None
    connection_id: int | None


def _claim(mail_id: int) -> _Claim | None:
    with transaction() as session:
        mail = session.get(Mail, mail_id)
        if mail is None or mail.sent_at is not None or mail.due_at > clock.now():
            return None
        mail.attempts += 1
        mail.due_at = clock.now() + timedelta(minutes=2**mail.attempts)
        return _Claim(
            mail_id=mail_id,
            owed_at=mail.created_at,
            kind=mail.kind,
            user_id=mail.user_id,
            to=mail.address or mail.user.email,
            out=mail.user.disabled_at is not None,
            actor=access.actor_for(mail.user),
            link_id=mail.link_id,
            connection_id=mail.connection_id,
        )


def _letter(claim: _Claim) -> tuple[str, str]:
    """Subject and text. Raises SyncError if there is nothing to say any more."""
    if claim.out:
        raise Refused("This user is disabled.")
    if claim.kind in TICKETS:
        return _ticket(claim.user_id, claim.kind)
    if claim.kind is MailKind.NEW_EMAIL:
        return _question(claim.user_id, claim.to)
    if claim.kind in alerts.CHANGES:
        return alerts.letter(claim.kind)
    if claim.connection_id is not None:
        return _connection_message(claim.connection_id)
    assert claim.link_id is not None
    return _message(claim.actor, claim.link_id, claim.kind)


def _still_owed(session: Session, claim: _Claim) -> Mail | None:
    """The mail, unless it was taken back meanwhile: its number may be another's by now."""
    found = session.get(Mail, claim.mail_id)
    return found if found is not None and found.created_at == claim.owed_at else None


def _still_goes_there(claim: _Claim) -> bool:
    """Asked after its ticket is made: whatever changes the address later ends that one, too."""
    db.session.rollback()
    found = _still_owed(db.session(), claim)
    return found is not None and (found.address or found.user.email) == claim.to


def _note_failure(claim: _Claim, reason: str, *, final: bool) -> None:
    with transaction() as session:
        mail = _still_owed(session, claim)
        if mail is None:
            return
        mail.failure = reason
        if final:
            mail.attempts = MOST_ATTEMPTS


def _message(actor: Actor, link_id: int, kind: MailKind) -> tuple[str, str]:
    """Subject and text: no name, no label, and no secret but a code that works once."""
    if kind is MailKind.LINK:
        code, _ = codes.make(actor, link_id, codes.MAIL_LIFETIME)
        return SUBJECT, _text(code)
    link = access.link(actor, link_id)
    links.require_live(link)
    subject, text = NOTICES[kind]
    page = f"{current().config.base_url}/calendars/{links.key(link.calendar)}/links/{link_id}"
    return subject, f"{text}\n\n{page}\n\nYou can turn such messages off on your account's page.\n"


def _ticket(user_id: int, kind: MailKind) -> tuple[str, str]:
    """The ticket is made only now, so that none is older than its mail."""
    subject, what, otherwise = TICKETS[kind]
    lifetime = tickets.LIFETIMES[kind]
    text, _ = tickets.make(WORKER, user_id, lifetime, replaces=False)
    lives = ABOUT_TICKETS.format(minutes=int(lifetime.total_seconds() // 60))
    return subject, f"{what}\n\n{tickets.address(text)}\n\n{lives}\n\n{otherwise}\n"


def _question(user_id: int, email: str) -> tuple[str, str]:
    """To an address that may be a stranger's: who asked is not said."""
    subject, text = NEW_EMAIL
    page = tickets.address(tickets.make_proof(user_id, email))
    minutes = int(tickets.LIFETIMES[MailKind.NEW_EMAIL].total_seconds() // 60)
    return subject, text.format(page=page, minutes=minutes)


def _connection_message(connection_id: int) -> tuple[str, str]:
    """The page says what is wrong, to whoever may see it."""
    connection = db.session.get_one(Connection, connection_id)
    page = f"{current().config.base_url}/calendars/{links.key(connection.calendar)}/sync"
    return (
        "A calendar connection needs you",
        "A connection to an outside calendar has stopped: new appointments do not get there. "
        f"Its page says why, and what to do.\n\n{page}\n",
    )


def _text(code: str) -> str:
    hours = int(codes.MAIL_LIFETIME.total_seconds() // 3600)
    return (
        "Open this page on the phone or computer that shall show your schedule:\n\n"
        f"{codes.address(code)}\n\n"
        f"It works once, within {hours} hours. Whoever opens it first can read the calendar, "
        "so do not forward this message.\n"
    )
