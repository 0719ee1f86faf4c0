"""Freshness: who has not seen an appointment's last change yet, so that someone can phone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import or_, select

from sync_ui import clock
from sync_ui.domain.event import GONE, Kind
from sync_ui.models import Appointment, Calendar, Link, db
from sync_ui.services import access, links, practice, visits
from sync_ui.services.access import Actor

# A change that is older has reached whoever still looks.
SHOWN_FOR = timedelta(days=2)

# Whoever has not read for so long no longer has the calendar, most likely.
READS_STILL = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether one app that reads a link has the change.

    Without an `app` nobody reads the link any more; `last_at` tells since when.
    """

    label: str
    practice_wide: bool
    app: str | None
    last_at: datetime | None
    has_seen: bool


def of(actor: Actor, appointment: Appointment) -> list[Freshness]:
    """For each app that reads a live link which shows the appointment.

    Only of calendars whose links are the actor's to see; nothing once the
    change is two days old.
    """
    if appointment.changed_at <= clock.now() - SHOWN_FOR:
        return []
    own = Calendar.clinician_id == appointment.clinician_id
    showing = select(Calendar).where(or_(own, Calendar.clinician_id.is_(None)))
    return [
        found
        for calendar in db.session.scalars(showing.order_by(Calendar.clinician_id.is_(None)))
        if access.may_share(actor, calendar)
        for link in links.live(calendar)
        if _shows(link, appointment)
        for found in _of_link(link, appointment)
    ]


def _of_link(link: Link, appointment: Appointment) -> list[Freshness]:
    about = link.label, link.calendar.clinician_id is None
    latest = visits.latest_by_app(visits.alive(visits.of_link(link.id)))
    reading = [visit for visit in latest if visit.last_at > clock.now() - READS_STILL]
    if not reading:
        last_at = max((visit.last_at for visit in latest), default=None)
        return [Freshness(*about, None, last_at, has_seen=False)]
    changed_at = appointment.changed_at
    return [
        Freshness(*about, visit.name, visit.last_at, has_seen=visit.seen_until >= changed_at)
        for visit in reading
    ]


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
