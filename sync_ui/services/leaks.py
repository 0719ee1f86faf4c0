"""Leak help: what the address of a link has told, to whom, and how to stop it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import ColumnElement, Select, String, cast, distinct, func, or_, select

from sync_ui import clock
from sync_ui.domain import disclosure, incident
from sync_ui.domain.event import GONE, Choices, DisplayMode, Kind, Telehealth
from sync_ui.domain.incident import Incident, Reading
from sync_ui.errors import NotFound
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
    Action.LINKS_DISABLED: "all links are disabled",
    Action.LINK_EXPIRED: "the link has expired",
    Action.OLD_ADDRESS_ENDED: "its time beside a fresh address was over",
}

# What may cancel appointments without naming each of them in the audit.
_SWEEPING = (
    Action.SERIES_CHANGED,
    Action.SERIES_CANCELLED,
    Action.CHANGE_UNDONE,
    Action.IMPORT_APPLIED,
    Action.IMPORT_UNDONE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link, with those that worked beside it until the same end."""

    tokens: tuple[Token, ...]

    @property
    def id(self) -> int:
        return self.tokens[0].id

    @property
    def since(self) -> datetime:
        return min(token.created_at for token in self.tokens)

    @property
    def until(self) -> datetime | None:
        """None while it works."""
        ended = [token.retired_at for token in self.tokens if token.retired_at is not None]
        return max(ended, default=None)

    @property
    def reason(self) -> Reason | None:
        return self.tokens[0].reason


@dataclass(frozen=True, slots=True)
class Report:
    """What one address of a link could tell whoever had it.

    `addresses` are all that a report can be about. `appointments` and `clients`
    are the most that it can have been. `until` is None while the address works.
    `forgotten`: readings may be older than what is kept of them.
    """

    address_id: int
    addresses: list[Address]
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


def addresses(link: Link) -> list[Address]:
    """The one in use first, then each given up while its readings are kept, the latest first.

    Of a link that ended before that, the last.
    """
    in_use = [token for token in link.tokens if token.retired_at is None]
    found = [in_use] if in_use else []
    for token in sorted(link.tokens, key=_ended, reverse=True):
        if token.retired_at is None:
            continue
        if found and _ended_together(token, found[-1][0]):
            found[-1].append(token)
        else:
            found.append([token])
    known = [Address(tuple(tokens)) for tokens in found]
    kept_since = clock.now() - visits.KEPT
    return [each for each in known if each.until is None or each.until > kept_since] or known[:1]


def report(actor: Actor, link_id: int, address_id: int | None = None) -> Report:
    """Of this address; without one of that last given up as leaked, if anyone has read it.

    Else of the one in use, or the last that was. Raises NotFound.
    """
    link = access.link(actor, link_id)
    known = addresses(link)
    readings = visits.of_link(link_id)
    asked = _asked(known, address_id) if address_id is not None else _likely(known, readings)
    since, until = asked.since, asked.until
    shown = _most_shown(link, since, until)
    span = _span(shown, since, until)
    concerned = _appointments(link, shown, span, since, until)
    made = Report(
        address_id=asked.id,
        addresses=known,
        disclosure=_sentence(link, shown, span),
        appointments=_count(concerned),
        clients=_count_clients(concerned),
        since=since,
        until=until,
        readers=_readers(asked, readings),
        forgotten=since < clock.now() - visits.KEPT,
        draft="",
    )
    return replace(made, draft=incident.note(_incident(actor, link, made)))


def _ended(token: Token) -> tuple[datetime, int]:
    return token.retired_at or datetime.max.replace(tzinfo=UTC), token.id


def _ended_together(token: Token, other: Token) -> bool:
    """Whether one change took back both; what the change made is none of them."""
    if token.retired_at is None or other.retired_at is None or token.reason is not other.reason:
        return False
    return other.created_at < token.retired_at and other.retired_at < token.retired_at + A_MOMENT


def _asked(known: list[Address], address_id: int) -> Address:
    for address in known:
        if address_id in {token.id for token in address.tokens}:
            return address
    raise NotFound("There is no such address of this link, or its readings are no longer kept.")


def _likely(known: list[Address], readings: list[Visit]) -> Address:
    leaked = (each for each in known if each.until and each.reason is Reason.LEAKED)
    return next((each for each in leaked if _readers(each, readings)), known[0])


def _readers(address: Address, readings: list[Visit]) -> list[Visit]:
    ids = {token.id for token in address.tokens}
    return [visit for visit in readings if visit.token_id in ids]


def _most_shown(link: Link, since: datetime, until: datetime | None) -> _Shown:
    """Links and policies change: whatever the audit has seen in the meantime counts."""
    told = select(AuditEntry).where(AuditEntry.subject == f"link:{link.id}")
    entries = db.session.scalars(told.order_by(AuditEntry.id)).all()
    at_first = [entry for entry in entries if entry.at <= since and "mode" in entry.detail][-1:]
    later = [entry for entry in entries if entry.at > since]
    after = [entry for entry in later if until is not None and entry.at > until]
    meanwhile = later[: len(later) - len(after)]
    told_modes = (entry.detail.get("mode") for entry in (*at_first, *meanwhile))
    modes = {DisplayMode(told) for told in told_modes if told}
    mode = max(modes or {link.mode}, key=lambda found: found.disclosure)
    if not _policy_changed(since):
        agreed = bool(link.agreement) or "agreement" in _changed(later)
        mode = limits.shown(mode, agreed=agreed)
    policy = practice.get()
    return _Shown(
        mode=mode,
        choices=_widest(_before(link.choices, _changed(after)), set(_changed(meanwhile))),
        days_back=policy.days_back if link.days_back is None else link.days_back,
        months_ahead=policy.months_ahead if link.months_ahead is None else link.months_ahead,
    )


def _changed(entries: Iterable[AuditEntry]) -> list[str]:
    """What was changed of the link, as often as it was."""
    return [word for entry in entries for word in str(entry.detail.get("changed", "")).split(", ")]


def _policy_changed(since: datetime) -> bool:
    of_policy = AuditEntry.action == Action.POLICY_CHANGED.value
    found = select(AuditEntry.id).where(of_policy, AuditEntry.at > since).limit(1)
    return db.session.scalar(found) is not None


def _before(choices: Choices, changed: list[str]) -> Choices:
    """As they were before these changes: each turned a switch over."""
    turned = {word for word, times in Counter(changed).items() if times % 2}
    return Choices(
        location=choices.location != ("shows_location" in turned),
        type=choices.type != ("shows_type" in turned),
        telehealth=Telehealth.ADDRESS if "telehealth" in changed else choices.telehealth,
        time_off=choices.time_off != ("shows_time_off" in turned),
        cancelled=choices.cancelled != ("shows_cancelled" in turned),
    )


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
    """Those that may have stood in the feed at some time: one cancelled earlier did not."""
    zone = ZoneInfo(practice.get().zone)
    first = datetime.combine(span[0], time(), zone).astimezone(UTC)
    end = datetime.combine(span[1] + timedelta(days=1), time(), zone).astimezone(UTC)
    wanted = select(Appointment.id).where(
        Appointment.ends_at > first,
        Appointment.starts_at < end,
        Appointment.created_at <= (until or clock.now()),
    )
    if not shown.choices.cancelled:
        taking_place = Appointment.status.not_in(GONE)
        wanted = wanted.where(or_(taking_place, _cancelled_since(since)))
    if not shown.choices.time_off:
        wanted = wanted.where(Appointment.kind != Kind.TIME_OFF)
    if link.calendar.clinician_id is None:
        return wanted
    return wanted.where(Appointment.clinician_id == link.calendar.clinician_id)


def _cancelled_since(since: datetime) -> ColumnElement[bool]:
    """Of cancelled appointments: whether they may have taken place until then.

    One that was booked or imported as cancelled never did. And `changed_at` moves
    with a client's or clinician's name, too: a cancellation is also on record.
    """
    # What is noted of a change has whole seconds.
    changed = Appointment.changed_at >= since.replace(microsecond=0)
    moved = (Appointment.revision > 0) & changed
    later = AuditEntry.at >= since
    swept = select(AuditEntry.id).where(later, AuditEntry.action.in_(_SWEEPING)).limit(1)
    if db.session.scalar(swept) is not None:
        return moved
    named = select(AuditEntry.subject).where(
        later, AuditEntry.action.in_((Action.APPOINTMENT_CHANGED, Action.APPOINTMENT_CANCELLED))
    )
    return moved & ("appointment:" + cast(Appointment.id, String)).in_(named)


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
