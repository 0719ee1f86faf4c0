"""Links: secret addresses that show one calendar in one display mode."""

import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from sync_ui import clock
from sync_ui.domain import disclosure as words
from sync_ui.domain import display
from sync_ui.domain.event import Choices, DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import (
    Calendar,
    Clinician,
    Link,
    Reason,
    Token,
    db,
    transaction,
)
from sync_ui.models.installation import current
from sync_ui.services import access, addresses, calendars, leaving, limits, practice, sealing
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

FIRST_LABEL = "My calendar app"

# A dead link answers with the notice for so long, and with 410 ever after.
NOTICE_PERIOD = timedelta(days=30)

# So long the old address can go on beside a fresh one: Google may take a day to look again.
GRACES = (24, 72)


def manageable(actor: Actor) -> list[Calendar]:
    """The practice-wide calendar first, then the clinicians' by name, as far as the actor's."""
    wanted = select(Calendar).outerjoin(Clinician).where(Clinician.archived_at.is_(None))
    if not actor.may(Permission.EVERY_LINK):
        wanted = wanted.where(
            Calendar.clinician_id.is_not(None), Calendar.clinician_id == actor.clinician_id
        )
    elif not access.may_share_practice(actor):
        wanted = wanted.where(Calendar.clinician_id.is_not(None))
    at_once = (joinedload(Calendar.clinician), selectinload(Calendar.links))
    in_order = wanted.order_by(Calendar.clinician_id.is_not(None), Clinician.name)
    return list(db.session.scalars(in_order.options(*at_once)))


def key(calendar: Calendar) -> str:
    """The calendar's part in addresses of the application."""
    return access.PRACTICE if calendar.clinician_id is None else str(calendar.id)


def name(calendar: Calendar) -> str:
    return calendar.clinician.name if calendar.clinician else practice.get().name


def is_live(link: Link) -> bool:
    ends = ends_at(link)
    return link.disabled_at is None and (ends is None or ends > clock.now())


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


def every_live() -> list[Link]:
    """The live links of every calendar."""
    return [link for link in db.session.scalars(addresses.alive()) if is_live(link)]


def ends_at(link: Link) -> datetime | None:
    """When the link ends by itself: its own date, or sooner if the practice lets none live so long.

    A fresh address lives anew.
    """
    token = addresses.current(link) if practice.get().longest_link_days else None
    ends = (link.expires_at, too_old_at(token) if token else None)
    return min((at for at in ends if at), default=None)


def shown_mode(link: Link) -> DisplayMode:
    """How names show: the link's mode within what the practice allows now."""
    return limits.shown(link.mode, agreed=bool(link.agreement))


def disclosure(link: Link, ceilings: limits.Ceilings | None = None) -> str:
    """What the link tells whoever holds it, in a sentence or two.

    `ceilings`, if the caller has them already: they are the same for all links.
    """
    if not is_live(link):
        return "Nothing any more: this link has ended."
    return disclosure_of(
        link.calendar,
        link.mode,
        link.choices,
        link.days_back,
        link.months_ahead,
        agreed=bool(link.agreement),
        ends_at=ends_at(link),
        ceilings=ceilings,
    )


def disclosure_of(
    calendar: Calendar,
    mode: DisplayMode,
    choices: Choices,
    days_back: int | None,
    months_ahead: int | None,
    *,
    agreed: bool,
    ends_at: datetime | None = None,
    ceilings: limits.Ceilings | None = None,
    holder: str = "whoever holds the link",
) -> str:
    """The same of a link that is not made yet, within what the practice allows."""
    found = practice.get()
    shown = limits.shown(mode, agreed=agreed)
    zone = ZoneInfo(found.zone)
    today = clock.now().astimezone(zone).date()
    back = found.days_back if days_back is None else days_back
    ahead = found.months_ahead if months_ahead is None else months_ahead
    return words.sentence(
        name(calendar),
        shown,
        choices,
        (today - timedelta(days=back), today + relativedelta(months=ahead)),
        practice_wide=calendar.clinician_id is None,
        american=practice.american(),
        holder=holder,
        # What ends at midnight ends on the day before.
        ends=(ends_at - timedelta(microseconds=1)).astimezone(zone).date() if ends_at else None,
        less=(ceilings or limits.ceilings()).below(shown),
    )


def end_of(day: date) -> datetime:
    """The moment at which the day is over in the practice's zone. Raises Invalid."""
    if day == date.max:
        raise Invalid("Choose an earlier day.")
    zone = ZoneInfo(practice.get().zone)
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


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
        return _add(session, actor, calendar, Link(label=FIRST_LABEL, mode=allowed))


def disallow(actor: Actor, calendar_key: str) -> int:
    """None of the calendar's links shows an appointment from the next request on.

    Its connections take back what they wrote. Returns how many links were alive.
    """
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        ended = live(calendar)
        for link in ended:
            addresses.end(session, link)
        leaving.leave_calendar(session, calendar.id)
        record(session, actor, Action.LINKS_DISABLED, f"calendar:{calendar.id}", count=len(ended))
    addresses.write_journal()
    return len(ended)


def create(
    actor: Actor,
    calendar_key: str,
    label: str,
    mode: DisplayMode,
    *,
    choices: Choices = display.USUAL,
    days_back: int | None = None,
    months_ahead: int | None = None,
    expires_at: datetime | None = None,
    agreement: str = "",
    confirmed: bool = False,
) -> Link:
    """One more link of the calendar.

    Raises NotFound, Invalid, Conflict for a name that another link of it has,
    Refused, ConfirmationNeeded.
    """
    label, agreement = practice.checked_name(label), limits.checked_agreement(agreement)
    limits.check_window(days_back, months_ahead)
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        limits.check_mode(mode, agreement, confirmed=confirmed)
        limits.check_expiry(expires_at, clock.now())
        label = limits.free_label(label, live(calendar))
        link = Link(label=label, mode=mode, expires_at=expires_at, agreement=agreement)
        _choose(link, choices, days_back, months_ahead)
        return _add(session, actor, calendar, link)


def change(
    actor: Actor,
    link_id: int,
    *,
    label: str,
    mode: DisplayMode,
    choices: Choices,
    days_back: int | None,
    months_ahead: int | None,
    expires_at: datetime | None,
    agreement: str = "",
    confirmed: bool = False,
) -> Link:
    """The link is called so and shows this, from its next reading on.

    A `mode` that is what the link shows already leaves the mode that it was set
    to, which the practice may allow again. Its feed changes only if what it shows
    does. Raises NotFound, Conflict for a dead link and for a name that another
    one has, Invalid, Refused above what the practice allows, and
    ConfirmationNeeded for full names.
    """
    label, agreement = practice.checked_name(label), limits.checked_agreement(agreement)
    limits.check_window(days_back, months_ahead)
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        mode = limits.changed_mode(link.mode, link.agreement, mode, agreement, confirmed=confirmed)
        if label != link.label:
            limits.check_label(label, (other for other in live(link.calendar) if other is not link))
        if expires_at != link.expires_at:
            limits.check_expiry(expires_at, _created_at(link))
        before, shown = _facts(link), _shown(link)
        link.label, link.mode, link.agreement = label, mode, agreement
        link.expires_at = expires_at
        _choose(link, choices, days_back, months_ahead)
        changed = [fact for fact, value in _facts(link).items() if value != before[fact]]
        if not changed:
            return link
        if _shown(link) != shown:
            _raise(session, link)
        detail = {"mode": mode.value, "changed": ", ".join(changed)}
        record(session, actor, Action.LINK_CHANGED, f"link:{link_id}", **detail)
    return link


def change_mode(actor: Actor, link_id: int, mode: DisplayMode, *, confirmed: bool = False) -> Link:
    """The link shows names so from its next reading on, in every app that has it.

    What it shows already leaves the mode that it was set to. Raises NotFound,
    Conflict for a dead link, Invalid, Refused above the practice's ceiling, and
    ConfirmationNeeded for full names.
    """
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        if shown_mode(link) is mode:
            return link
        limits.check_mode(mode, link.agreement, confirmed=confirmed)
        shown, link.mode = _shown(link), mode
        if _shown(link) != shown:
            _raise(session, link)
        record(session, actor, Action.LINK_MODE_CHANGED, f"link:{link_id}", mode=mode.value)
    return link


def renew(actor: Actor, link_id: int, hours: int) -> Link:
    """The link has a fresh address; the one before works 24 or 72 hours more.

    Raises NotFound, Conflict for a dead link, Invalid.
    """
    if hours not in GRACES:
        raise Invalid("The old address can go on working for 24 or for 72 hours.")
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        addresses.renew(session, link, timedelta(hours=hours))
        record(session, actor, Action.LINK_RENEWED, f"link:{link_id}", hours=hours)
    addresses.write_journal()
    return link


def reset(actor: Actor, link_id: int, reason: Reason | None = None) -> Link:
    """The link has a new address; none that it had shows an appointment from the next request on.

    That holds for an address that a fresh one has replaced, too.
    """
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        addresses.reset(session, link, reason)
        record(session, actor, Action.LINK_RESET, f"link:{link_id}", reason=reason)
    addresses.write_journal()
    return link


def reset_all(actor: Actor, calendar_key: str, reason: Reason | None = None) -> int:
    """Every live link of the calendar has a new address. Returns how many."""
    with transaction() as session:
        calendar = access.calendar(actor, calendar_key)
        found = live(calendar)
        for link in found:
            addresses.reset(session, link, reason)
        about = f"calendar:{calendar.id}"
        record(session, actor, Action.LINKS_RESET, about, count=len(found), reason=reason)
    addresses.write_journal()
    return len(found)


def reset_practice(actor: Actor, reason: Reason) -> int:
    """Every live link of every calendar has a new address. Returns how many."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        found = every_live()
        for link in found:
            addresses.reset(session, link, reason)
        record(session, actor, Action.LINKS_RESET, "practice", count=len(found), reason=reason)
    addresses.write_journal()
    return len(found)


def disable(actor: Actor, link_id: int, reason: Reason | None = None) -> Link:
    """The link shows no appointment from the next request on, for good."""
    with transaction() as session:
        link = access.link(actor, link_id)
        require_live(link)
        addresses.end(session, link, reason)
        record(session, actor, Action.LINK_DISABLED, f"link:{link_id}", reason=reason)
    addresses.write_journal()
    return link


def expire(actor: Actor) -> int:
    """Links and replaced addresses whose time is over are ended for good. Returns how many."""
    now = clock.now()
    with transaction() as session:
        late = list(
            session.scalars(select(Link).where(Link.disabled_at.is_(None), Link.expires_at <= now))
        )
        days = practice.get(session).longest_link_days
        if days is not None:
            late += session.scalars(addresses.older_than(days))
        for link in late:
            addresses.end(session, link)
            record(session, actor, Action.LINK_EXPIRED, f"link:{link.id}")
        replaced = addresses.retire_late(session, days)
        for link in replaced:
            record(session, actor, Action.OLD_ADDRESS_ENDED, f"link:{link.id}")
    addresses.write_journal()
    return len(late) + len(replaced)


def address(link: Link) -> str | None:
    """The link's https (or, without TLS, http) address; None once it is dead."""
    token = addresses.current(link)
    if token is None or token.sealed is None:
        return None
    secret = sealing.unseal(token.sealed, token.digest)
    return f"{current().config.base_url}/cal/{secret}/{file_name(name(link.calendar))}"


def file_name(calendar_name: str) -> str:
    """A harmless, readable last segment: some apps show it as the calendar's name."""
    plain = unicodedata.normalize("NFKD", calendar_name).encode("ascii", "ignore").decode()
    words = "".join(c if c.isalnum() else " " for c in plain.lower()).split()
    return f"{'-'.join(words)[:40].strip('-') or 'calendar'}.ics"


def _add(session: Session, actor: Actor, calendar: Calendar, link: Link) -> Link:
    if calendar.clinician is not None and calendar.clinician.archived_at is not None:
        raise Conflict("This clinician has left the practice; the calendar cannot be shared.")
    link.calendar, link.created_by_id = calendar, actor.user_id
    link.created_at, link.changed_at = clock.now(), calendars.stamp(session)
    session.add(link)
    addresses.issue(link)
    session.flush()
    record(session, actor, Action.LINK_CREATED, f"link:{link.id}", mode=link.mode.value)
    return link


def _choose(link: Link, choices: Choices, days_back: int | None, months_ahead: int | None) -> None:
    link.shows_location, link.shows_type = choices.location, choices.type
    link.telehealth = choices.telehealth
    link.shows_time_off, link.shows_cancelled = choices.time_off, choices.cancelled
    link.days_back, link.months_ahead = days_back, months_ahead


def _facts(link: Link) -> dict[str, object]:
    """What can be chosen of a link, by the words that the audit uses."""
    chosen = (
        "label mode agreement expires_at shows_location shows_type telehealth shows_time_off "
        "shows_cancelled days_back months_ahead"
    )
    return {fact: getattr(link, fact) for fact in chosen.split()}


def _shown(link: Link) -> tuple[object, ...]:
    """All that the link's feed depends on, beside the schedule and the practice."""
    return shown_mode(link), link.choices, link.days_back, link.months_ahead


def _raise(session: Session, link: Link) -> None:
    link.revision += 1
    link.changed_at = calendars.stamp(session)


def too_old_at(token: Token) -> datetime | None:
    """When the address has lived as long as the practice lets any live."""
    days = practice.get().longest_link_days
    return token.created_at + timedelta(days=days) if days else None


def _created_at(link: Link) -> datetime:
    token = addresses.current(link)
    return token.created_at if token else link.created_at
