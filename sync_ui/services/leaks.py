"""Leak help: what the address of a link has told, to whom, and how to stop it."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import Select, distinct, func, or_, select

from sync_ui import clock
from sync_ui.domain import disclosure, incident
from sync_ui.domain.event import GONE, Choices, DisplayMode, Kind, Telehealth
from sync_ui.domain.incident import Incident, Reading
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AuditEntry,
    Link,
    Reason,
    Token,
    Visit,
    db,
)
from sync_ui.services import access, accounts, limits, links, practice, visits
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action

# What one change takes back bears nearly the same time.
A_MOMENT = timedelta(minutes=1)

_ENDINGS = {
    Action.LINK_RESET: "the link has a new address",
    Action.LINKS_RESET: "all links have new addresses",
    Action.LINK_DISABLED: "the link is disabled",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What one address of a link, or those that worked at once, could tell whoever had it.

    `appointments` and `clients` are the most that it can have been. `until` is
    None while the address works. `forgotten`: readings may be older than what
    is kept of them.
    """

    disclosure: str
    appointments: int
    clients: int
    since: datetime
    until: datetime | None
    readers: list[Visit]
    forgotten: bool
    draft: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """The most that a link has shown since then."""

    mode: DisplayMode
    choices: Choices
    days_back: int
    months_ahead: int


def report(actor: Actor, link_id: int, *, taken_back: bool = False) -> Report:
    """Of the addresses that work now; of those last given up as leaked, if `taken_back` or none.

    Raises NotFound.
    """
    link = access.link(actor, link_id)
    tokens = _in_question(link, taken_back=taken_back)
    since = min(token.created_at for token in tokens)
    ended = [token.retired_at for token in tokens if token.retired_at is not None]
    until = max(ended) if len(ended) == len(tokens) else None
    shown = _most_shown(link, since)
    span = _span(shown, since, until)
    concerned = _appointments(link, shown, span, since, until)
    ids = {token.id for token in tokens}
    made = Report(
        disclosure=_sentence(link, shown, span),
        appointments=_count(concerned),
        clients=_count_clients(concerned),
        since=since,
        until=until,
        readers=[visit for visit in visits.of_link(link_id) if visit.token_id in ids],
        forgotten=since < clock.now() - visits.KEPT,
        draft="",
    )
    return replace(made, draft=incident.note(_incident(actor, link, made)))


def _in_question(link: Link, *, taken_back: bool) -> list[Token]:
    alive = [token for token in link.tokens if token.retired_at is None]
    leaked = [token for token in link.tokens if token.reason is Reason.LEAKED]
    if alive and not (taken_back and leaked):
        return alive
    ended = leaked or link.tokens
    last = max(token.retired_at for token in ended if token.retired_at is not None)
    return [token for token in ended if token.retired_at and token.retired_at > last - A_MOMENT]


def _most_shown(link: Link, since: datetime) -> _Shown:
    """Links and policies change: whatever the audit has seen in the meantime counts."""
    told = select(AuditEntry).where(AuditEntry.subject == f"link:{link.id}")
    entries = db.session.scalars(told.order_by(AuditEntry.id)).all()
    later = [entry for entry in entries if entry.at > since]
    at_first = [entry for entry in entries if entry.at <= since and "mode" in entry.detail][-1:]
    modes = {DisplayMode(at.detail["mode"]) for at in (*at_first, *later) if "mode" in at.detail}
    changed = {word for at in later for word in str(at.detail.get("changed", "")).split(", ")}
    mode = max({link.mode, *modes}, key=lambda found: found.disclosure)
    if not _policy_changed(since):
        mode = limits.shown(mode, agreed=bool(link.agreement) or "agreement" in changed)
    policy = practice.get()
    return _Shown(
        mode=mode,
        choices=_widest(link.choices, changed),
        days_back=policy.days_back if link.days_back is None else link.days_back,
        months_ahead=policy.months_ahead if link.months_ahead is None else link.months_ahead,
    )


def _policy_changed(since: datetime) -> bool:
    of_policy = AuditEntry.action == Action.POLICY_CHANGED.value
    found = select(AuditEntry.id).where(of_policy, AuditEntry.at > since).limit(1)
    return db.session.scalar(found) is not None


def _widest(choices: Choices, changed: set[str]) -> Choices:
    """What was changed may have been shown before."""
    return Choices(
        location=choices.location or "shows_location" in changed,
        type=choices.type or "shows_type" in changed,
        telehealth=Telehealth.ADDRESS if "telehealth" in changed else choices.telehealth,
        time_off=choices.time_off or "shows_time_off" in changed,
        cancelled=choices.cancelled or "shows_cancelled" in changed,
    )


def _span(shown: _Shown, since: datetime, until: datetime | None) -> tuple[date, date]:
    """The first and the last day that the rolling window has shown."""
    zone = ZoneInfo(practice.get().zone)
    first = since.astimezone(zone).date() - timedelta(days=shown.days_back)
    last = (until or clock.now()).astimezone(zone).date()
    return first, last + relativedelta(months=shown.months_ahead)


def _sentence(link: Link, shown: _Shown, span: tuple[date, date]) -> str:
    return disclosure.sentence(
        links.name(link.calendar),
        shown.mode,
        shown.choices,
        span,
        practice_wide=link.calendar.clinician_id is None,
        american=practice.american(),
    )


def _appointments(
    link: Link, shown: _Shown, span: tuple[date, date], since: datetime, until: datetime | None
) -> Select[int]:
    """Those that stood in the feed at some time: one cancelled earlier did not."""
    zone = ZoneInfo(practice.get().zone)
    first = datetime.combine(span[0], time(), zone).astimezone(UTC)
    end = datetime.combine(span[1] + timedelta(days=1), time(), zone).astimezone(UTC)
    stood = or_(Appointment.status.not_in(GONE), Appointment.changed_at >= since)
    wanted = select(Appointment.id).where(
        Appointment.ends_at > first,
        Appointment.starts_at < end,
        Appointment.created_at <= (until or clock.now()),
    )
    if not shown.choices.cancelled:
        wanted = wanted.where(stood)
    if not shown.choices.time_off:
        wanted = wanted.where(Appointment.kind != Kind.TIME_OFF)
    if link.calendar.clinician_id is None:
        return wanted
    return wanted.where(Appointment.clinician_id == link.calendar.clinician_id)


def _count(appointments: Select[int]) -> int:
    return db.session.scalar(select(func.count()).select_from(appointments.subquery())) or 0


def _count_clients(appointments: Select[int]) -> int:
    concerned = AppointmentClient.appointment_id.in_(appointments)
    found = select(func.count(distinct(AppointmentClient.client_id))).where(concerned)
    return db.session.scalar(found) or 0


def _incident(actor: Actor, link: Link, made: Report) -> Incident:
    policy = practice.get()
    return Incident(
        practice=policy.name,
        zone=policy.zone,
        american=practice.american(),
        noted_at=clock.now(),
        noted_by=accounts.name_of(actor.word),
        calendar=links.name(link.calendar),
        link=link.label,
        since=made.since,
        ended_at=made.until,
        ended_how=_how_ended(link, made.until),
        disclosure=made.disclosure,
        appointments=made.appointments,
        clients=made.clients,
        readings=[
            Reading(visit.name, visit.network, visit.first_at, visit.last_at, visit.count)
            for visit in made.readers
        ],
        forgotten=made.forgotten,
    )


def _how_ended(link: Link, until: datetime | None) -> str:
    """`by Ada Lin (link disabled)`, as the audit has it."""
    about = AuditEntry.subject.in_([f"link:{link.id}", f"calendar:{link.calendar_id}", "practice"])
    if until is None:
        return ""
    found = db.session.scalar(
        select(AuditEntry)
        .where(about, AuditEntry.action.in_(_ENDINGS))
        .where(AuditEntry.at >= until, AuditEntry.at < until + A_MOMENT)
        .order_by(AuditEntry.id)
        .limit(1)
    )
    if found is None:
        return ""
    return f"by {accounts.name_of(found.actor)} ({_ENDINGS[Action(found.action)]})"
