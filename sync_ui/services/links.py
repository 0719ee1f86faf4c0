"""Links: secret addresses that show one calendar in one display mode."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display, tokens
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import ConfirmationNeeded, Conflict, NotFound, Refused
from sync_ui.models import Calendar, Clinician, Code, Link, Token, User, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import access, calendars, practice, sealing
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

FIRST_LABEL = "My calendar app"

QR_LIFETIME = timedelta(minutes=10)
MAIL_LIFETIME = timedelta(hours=24)

# A dead link answers with the notice for so long, and with 410 ever after.
NOTICE_PERIOD = timedelta(days=30)

MODE_WORDS = {
    DisplayMode.BUSY: "Busy only",
    DisplayMode.INTERNAL_ID: "internal ID",
    DisplayMode.INITIALS: "initials",
    DisplayMode.FIRST_NAME: "first name",
    DisplayMode.FULL_NAME: "full name",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What the phone's page shows; the address only to the browser that spent the code."""

    calendar_name: str
    address: str | None
    expires_at: datetime


def manageable(actor: Actor) -> list[Calendar]:
    """The practice-wide calendar first, then the clinicians' by name, as far as the actor's."""
    wanted = select(Calendar).outerjoin(Clinician).where(Clinician.archived_at.is_(None))
    if not actor.may(Permission.EVERY_LINK):
        wanted = wanted.where(
            Calendar.clinician_id.is_not(None), Calendar.clinician_id == actor.clinician_id
        )
    return list(
        db.session.scalars(wanted.order_by(Calendar.clinician_id.is_not(None), Clinician.name))
    )


def key(calendar: Calendar) -> str:
    """The calendar's part in addresses of the application."""
    return access.PRACTICE if calendar.clinician_id is None else str(calendar.id)


def name(calendar: Calendar) -> str:
    return calendar.clinician.name if calendar.clinician else practice.get().name


def is_live(link: Link) -> bool:
    expired = link.expires_at is not None and link.expires_at <= clock.now()
    return link.disabled_at is None and not expired


def state(link: Link) -> str:
    """`live`, `expired` or `disabled`."""
    if is_live(link):
        return "live"
    return "disabled" if link.disabled_at else "expired"


def require_live(link: Link) -> None:
    """Raises Conflict for a link that shows nothing any more."""
    if not is_live(link):
        raise Conflict("This link was turned off already. Make a new one.")


def live(calendar: Calendar) -> list[Link]:
    return [link for link in calendar.links if is_live(link)]


def allow(actor: Actor, calendar_key: str, mode: DisplayMode = DisplayMode.INITIALS) -> Link:
    """The calendar may be read outside: it has at least one live link.

    The first one shows `mode` or what the practice allows at most. Raises
    NotFound, Refused.
    """
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        found = live(calendar)
        if found:
            return found[0]
        allowed = display.effective(mode, practice.get(session).ceiling)
        return _add(session, actor, calendar, FIRST_LABEL, allowed)


def disallow(actor: Actor, calendar_key: str) -> int:
    """None of the calendar's links shows an appointment from the next request on.

    Returns how many were alive.
    """
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        ended = live(calendar)
        for link in ended:
            _end(session, link)
        record(session, actor, Action.LINKS_DISABLED, f"calendar:{calendar.id}", count=len(ended))
    write_journal()
    return len(ended)


def create(
    actor: Actor,
    calendar_key: str,
    label: str,
    mode: DisplayMode,
    *,
    confirmed: bool = False,
    expires_at: datetime | None = None,
) -> Link:
    """One more link of the calendar. Raises NotFound, Refused, ConfirmationNeeded."""
    label = practice.checked_name(label)
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        _check_mode(session, mode, confirmed)
        link = _add(session, actor, calendar, label, mode)
        link.expires_at = expires_at
    return link


def change_mode(actor: Actor, link_id: int, mode: DisplayMode, *, confirmed: bool = False) -> Link:
    """The link shows names so from its next reading on, in every app that has it.

    Raises NotFound, Conflict for a dead link, Refused above the practice's
    ceiling, and ConfirmationNeeded for full names.
    """
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        if link.mode is mode:
            return link
        _check_mode(session, mode, confirmed)
        link.mode = mode
        link.revision += 1
        link.changed_at = calendars.stamp(session)
        record(session, actor, Action.LINK_MODE_CHANGED, f"link:{link_id}", mode=mode.value)
    return link


def reset(actor: Actor, link_id: int) -> Link:
    """The link has a new address; the old one shows no appointment from the next request on."""
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        _reset(session, link)
        record(session, actor, Action.LINK_RESET, f"link:{link_id}")
    write_journal()
    return link


def reset_all(actor: Actor, calendar_key: str) -> int:
    """Every live link of the calendar has a new address. Returns how many."""
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        found = live(calendar)
        for link in found:
            _reset(session, link)
        record(session, actor, Action.LINKS_RESET, f"calendar:{calendar.id}", count=len(found))
    write_journal()
    return len(found)


def disable(actor: Actor, link_id: int) -> Link:
    """The link shows no appointment from the next request on, for good."""
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        _end(session, link)
        record(session, actor, Action.LINK_DISABLED, f"link:{link_id}")
    write_journal()
    return link


def expire(actor: Actor) -> int:
    """Links whose time is over are ended for good. Returns how many."""
    now = clock.now()
    with transaction() as session:
        late = session.scalars(
            select(Link).where(Link.disabled_at.is_(None), Link.expires_at <= now)
        ).all()
        for link in late:
            _end(session, link)
            record(session, actor, Action.LINK_EXPIRED, f"link:{link.id}")
    write_journal()
    return len(late)


def address(link: Link) -> str | None:
    """The link's https (or, without TLS, http) address; None once it is dead."""
    for token in link.tokens:
        if token.retired_at is None and token.sealed is not None:
            secret = sealing.unseal(token.sealed, token.digest)
            return f"{current().config.base_url}/cal/{secret}/{file_name(name(link.calendar))}"
    return None


def file_name(calendar_name: str) -> str:
    """A harmless, readable last segment: some apps show it as the calendar's name."""
    plain = unicodedata.normalize("NFKD", calendar_name).encode("ascii", "ignore").decode()
    words = "".join(c if c.isalnum() else " " for c in plain.lower()).split()
    return f"{'-'.join(words)[:40].strip('-') or 'calendar'}.ics"


def make_code(actor: Actor, link_id: int, lifetime: timedelta = QR_LIFETIME) -> tuple[str, Code]:
    """A code that opens the phone's page of the link; its text exists only here."""
    text = tokens.new_code()
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        now = clock.now()
        code = Code(
            digest=tokens.digest(text),
            link=link,
            made_by_id=actor.user_id,
            created_at=now,
            expires_at=now + lifetime,
        )
        session.add(code)
        record(session, actor, Action.CODE_MADE, f"link:{link_id}")
    return text, code


def code_address(text: str) -> str:
    return f"{current().config.base_url}/add/{text}"


def look_at_code(text: str, browser: str | None) -> Opened:
    """What the code opens for this browser; looking spends nothing. Raises Conflict."""
    return _opened(_usable_code(text, browser), browser)


def spend_code(text: str, browser: str | None) -> tuple[Opened, str]:
    """The code belongs to this browser from now on; returns the browser's secret too.

    Of several presses at once one wins. Raises Conflict for a spent, late or
    unknown code.
    """
    with transaction() as session:
        code = _usable_code(text, browser)
        if code.spent_at is None:
            browser = browser or tokens.new_code()
            code.spent_at, code.browser = clock.now(), tokens.digest(browser)
            record(session, access.PHONE, Action.CODE_SPENT, f"link:{code.link_id}")
        assert browser is not None
        return _opened(code, browser), browser


def end_all_of_clinician(session: Session, clinician_id: int) -> None:
    """In the transaction under way: the clinician's calendar has no live link any more."""
    of_clinician = (
        select(Link)
        .join(Calendar)
        .where(Link.disabled_at.is_(None), Calendar.clinician_id == clinician_id)
    )
    for link in session.scalars(of_clinician).all():
        _end(session, link)


def end_all_of_user(session: Session, user: User) -> None:
    """In the transaction under way: whatever the user could read outside is dead."""
    if user.clinician is not None:
        end_all_of_clinician(session, user.clinician.id)
    for link in session.scalars(_made_by(user)).all():
        _end(session, link)
    # Whoever drew a code for a colleague's link could still have its address by it.
    session.execute(delete(Code).where(Code.made_by_id == user.id))


def end_out_of_reach(session: Session, user: User) -> None:
    """In the transaction under way: the user's role has changed; what the user made for
    calendars of others is dead if they are no longer the user's to share.
    """
    actor = access.actor_for(user)
    for link in session.scalars(_made_by(user)).all():
        if not access.may_share(actor, link.calendar):
            _end(session, link)
    for code in session.scalars(select(Code).where(Code.made_by_id == user.id)).all():
        if not access.may_share(actor, code.link.calendar):
            session.delete(code)


def _made_by(user: User) -> Select[Link]:
    return select(Link).where(Link.disabled_at.is_(None), Link.created_by_id == user.id)


def write_journal() -> None:
    """Every retired token stands in the journal outside the database.

    Called after the transaction that retired it, and by the worker, so that a
    crash in between leaves no gap.
    """
    dead = db.session.scalars(select(Token.digest).where(Token.retired_at.is_not(None)))
    current().journal.add(dead, clock.now())


def _add(session: Session, actor: Actor, calendar: Calendar, label: str, mode: DisplayMode) -> Link:
    if calendar.clinician is not None and calendar.clinician.archived_at is not None:
        raise Conflict("This clinician has left the practice; the calendar cannot be shared.")
    link = Link(
        calendar=calendar,
        label=label,
        mode=mode,
        changed_at=calendars.stamp(session),
        created_at=clock.now(),
        created_by_id=actor.user_id,
    )
    session.add(link)
    _issue(link)
    session.flush()
    record(session, actor, Action.LINK_CREATED, f"link:{link.id}", mode=mode.value)
    return link


def _issue(link: Link) -> None:
    secret = tokens.new_token()
    digest = tokens.digest(secret)
    link.tokens.append(
        Token(digest=digest, sealed=sealing.seal(secret, digest), created_at=clock.now())
    )


def _retire(session: Session, link: Link) -> None:
    for token in link.tokens:
        if token.retired_at is None:
            token.retired_at = clock.now()
            token.sealed = None
    # A code that went out before would hand over the new address.
    session.execute(delete(Code).where(Code.link_id == link.id))


def _reset(session: Session, link: Link) -> None:
    _retire(session, link)
    _issue(link)
    link.changed_at = calendars.stamp(session)
    link.read_at = link.read_by = None


def _end(session: Session, link: Link) -> None:
    _retire(session, link)
    link.disabled_at = clock.now()
    link.changed_at = calendars.stamp(session)


def _check_mode(session: Session, mode: DisplayMode, confirmed: bool) -> None:
    ceiling = practice.get(session).ceiling
    if mode.disclosure > ceiling.disclosure:
        raise Refused(
            f"Your practice allows at most: {MODE_WORDS[ceiling]}. "
            "An administrator can change that under Settings."
        )
    if mode is DisplayMode.FULL_NAME and not confirmed:
        raise ConfirmationNeeded(
            "Full names in a calendar service that has no agreement with your practice "
            "are a HIPAA violation. Confirm that yours has one."
        )


def _usable_code(text: str, browser: str | None) -> Code:
    code = db.session.scalar(select(Code).where(Code.digest == tokens.digest(text)))
    if code is None or code.expires_at <= clock.now() or not is_live(code.link):
        raise NotFound("This code is no longer valid. Draw a new QR code or e-mail a new link.")
    if code.spent_at is None:
        return code
    if browser is None or code.browser != tokens.digest(browser):
        raise NotFound(
            "This code was used already, on another device or browser. "
            "Draw a new QR code or e-mail a new link."
        )
    return code


def _opened(code: Code, browser: str | None) -> Opened:
    bound = code.spent_at is not None and browser is not None
    return Opened(
        calendar_name=name(code.link.calendar),
        address=address(code.link) if bound else None,
        expires_at=code.expires_at,
    )
