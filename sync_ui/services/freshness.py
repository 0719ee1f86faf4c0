"""Freshness: who has not seen an appointment's last change yet, so that someone can phone."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from sync_ui import clock
from sync_ui.domain.event import GONE
from sync_ui.models import Appointment, Calendar, Link, db
from sync_ui.services import access, events, links, practice, visits
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

    calendar: str
    label: str
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
    name = links.name(link.calendar)
    latest = visits.latest_by_app(visits.alive(visits.of_link(link.id)))
    reading = [visit for visit in latest if visit.last_at > clock.now() - READS_STILL]
    if not reading:
        last_at = max((visit.last_at for visit in latest), default=None)
        return [Freshness(name, link.label, None, last_at, has_seen=False)]
    return [
        Freshness(
            name,
            link.label,
            visit.name,
            visit.last_at,
            has_seen=visit.seen_until >= appointment.changed_at,
        )
        for visit in reading
    ]


def _shows(link: Link, appointment: Appointment) -> bool:
    """Whether the link's window and choices hold it, or held it until it was cancelled."""
    if appointment.status in GONE and appointment.revision == 0 and not link.shows_cancelled:
        return False
    policy = practice.get()
    shown = events.Shown(
        clinician_id=link.calendar.clinician_id,
        zone=policy.zone,
        mode=links.shown_mode(link),
        choices=replace(link.choices, cancelled=True),
        revision=0,
        link_changed_at=link.changed_at,
        days_back=policy.days_back if link.days_back is None else link.days_back,
        months_ahead=link.months_ahead or policy.months_ahead,
    )
    held = select(Appointment.id).where(*events.within(shown, clock.now()))
    return db.session.scalar(held.where(Appointment.id == appointment.id)) is not None
