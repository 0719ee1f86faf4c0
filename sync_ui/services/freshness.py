"""Freshness: who has not seen an appointment's last change yet, so that someone can phone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import or_, select

from sync_ui import clock
from sync_ui.domain.apps import Reader
from sync_ui.domain.event import GONE, Kind
from sync_ui.models import Appointment, Calendar, Link, Token, Visit, db
from sync_ui.services import access, links, practice, visits
from sync_ui.services.access import Actor

# A change that is older has reached whoever still looks.
SHOWN_FOR = timedelta(days=2)

# Whoever has not read for so long no longer has the calendar, most likely.
READS_STILL = timedelta(days=14)

# Whoever lost a link that is turned off has been told within so long.
LOST_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether one app that reads a link has the change.

    Without an `app` nobody reads the link any more; `last_at` tells since when.
    An app that `lost_at` then its address and has not read another one since
    holds the schedule of then, or a notice.
    """

    label: str
    practice_wide: bool
    app: str | None
    last_at: datetime | None
    has_seen: bool
    lost_at: datetime | None = None


def of(actor: Actor, appointment: Appointment) -> list[Freshness]:
    """For each app that reads, or has just lost, a link which shows the appointment.

    Only of calendars whose links are the actor's to see; nothing once the
    change is two days old.
    """
    if appointment.changed_at <= clock.now() - SHOWN_FOR:
        return []
    own = Calendar.clinician_id == appointment.clinician_id
    showing = select(Calendar).where(or_(own, Calendar.clinician_id.is_(None)))
    concerned = [
        link
        for calendar in db.session.scalars(showing.order_by(Calendar.clinician_id.is_(None)))
        if access.may_share(actor, calendar)
        for link in calendar.links
        if _is_held(link) and _shows(link, appointment)
    ]
    readers = visits.of_links([link.id for link in concerned])
    return [found for link in concerned for found in _of_link(link, readers[link.id], appointment)]


def _of_link(link: Link, readers: list[Visit], appointment: Appointment) -> list[Freshness]:
    about = link.label, link.calendar.clinician_id is None
    alive = visits.alive(readers) if links.is_live(link) else []
    latest = visits.latest_by_app(alive)
    changed_at = appointment.changed_at
    found = [
        Freshness(*about, visit.name, visit.last_at, has_seen=visit.seen_until >= changed_at)
        for visit in latest
        if _reads_still(visit)
    ]
    lost = [
        Freshness(*about, visit.name, visit.last_at, has_seen=False, lost_at=ended_at)
        for visit, ended_at in _lost(link, readers, alive)
    ]
    if found or lost or not links.is_live(link):
        return found + lost
    last_at = max((visit.last_at for visit in latest), default=None)
    return [Freshness(*about, None, last_at, has_seen=False)]


def _reads_still(visit: Visit) -> bool:
    return visit.last_at > clock.now() - READS_STILL


def _is_held(link: Link) -> bool:
    """Whether some app may hold what the link shows, or has shown until lately."""
    if links.is_live(link):
        return True
    ends = [_ended_at(link, token) for token in link.tokens]
    return any(at is not None and at > clock.now() - LOST_FOR for at in ends)


def _lost(link: Link, readers: list[Visit], alive: list[Visit]) -> list[tuple[Visit, datetime]]:
    """The latest visit of each app whose address died under it, and when that was."""
    is_live = links.is_live(link)
    reading = {visit.name for visit in alive}
    lost: dict[str, tuple[Visit, datetime]] = {}
    for visit in readers:
        at = _ended_at(link, visit.token)
        if visit.reader is not Reader.APP or visit.name in reading or at is None:
            continue
        if visit.first_at > at or not _reads_still(visit):
            continue
        if not is_live and at <= clock.now() - LOST_FOR:
            continue
        if visit.name not in lost or lost[visit.name][1] < at:
            lost[visit.name] = visit, at
    return list(lost.values())


def _ended_at(link: Link, token: Token) -> datetime | None:
    """When the address died; None as long as it works."""
    ends = (token.retired_at, token.ends_at, links.ends_at(link))
    return min((at for at in ends if at and at <= clock.now()), default=None)


def _shows(link: Link, appointment: Appointment) -> bool:
    """Whether the link's window and choices hold it, or held it until it was cancelled."""
    if appointment.kind is Kind.TIME_OFF and not link.shows_time_off:
        return False
    if appointment.status in GONE and appointment.revision == 0 and not link.shows_cancelled:
        return False
    policy = practice.get()
    zone = ZoneInfo(policy.zone)
    today = clock.now().astimezone(zone).date()
    back = policy.days_back if link.days_back is None else link.days_back
    ahead = link.months_ahead or policy.months_ahead
    first, last = today - timedelta(days=back), today + relativedelta(months=ahead)
    ended_before = appointment.ends_at <= datetime.combine(first, time(), zone)
    return not ended_before and appointment.starts_at.astimezone(zone).date() <= last
