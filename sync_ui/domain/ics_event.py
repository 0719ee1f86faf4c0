"""One VEVENT of an exported calendar: its times, its rule, its words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from html import unescape

from sync_ui.domain import ics_own, recurrence, rules
from sync_ui.domain.ics_lines import Component
from sync_ui.domain.ics_own import OwnWords
from sync_ui.domain.ics_times import LAST_YEAR, Time, Zones, times
from sync_ui.domain.reading import one_line, prose
from sync_ui.errors import Invalid

_MAX_EXCEPTIONS = 5_000

_DURATION = re.compile(
    r"\+?P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class VEvent:
    """A VEVENT that could be read; `replaces` makes it an override.

    `own` is what our own export says of it.
    """

    line: int
    uid: str
    rank: tuple[int, str]
    replaces: Time | None
    start: Time
    ends: datetime | date
    title: str
    location: str
    note: str
    cancelled: bool
    free: bool
    away: bool
    rule: str
    exceptions: tuple[Time, ...]
    additions: tuple[Time, ...]
    own: OwnWords | None

    @property
    def recurs(self) -> bool:
        return bool(self.rule or self.additions)


def vevent(component: Component, known: Zones, *, withdrawn: bool) -> VEvent:
    """Read a VEVENT; raises `Invalid` with the reason for its line."""
    replaces = _replaces(component, known)
    rule = _rule(component)
    additions = tuple(_all_times(component, "RDATE", known))
    exceptions = tuple(_all_times(component, "EXDATE", known))
    if len(exceptions) > _MAX_EXCEPTIONS or len(additions) > recurrence.MAX_OCCURRENCES:
        raise Invalid("It lists more single dates than a series can hold. Split the series.")
    own = None if rule or additions or replaces else ics_own.read(component)
    if own:
        start, ends = _own_span(component, known, own.zone)
    else:
        start, ends = _span(component, known, recurs=bool(rule or additions))
    note = prose(component.text("DESCRIPTION"))
    return VEvent(
        line=component.line,
        uid=one_line(component.text("UID")),
        rank=_rank(component),
        replaces=replaces,
        start=start,
        ends=ends,
        title=own.title if own else one_line(component.text("SUMMARY")),
        location=one_line(component.text("LOCATION")),
        note=note if own else _without_html(note),
        cancelled=withdrawn or component.value("STATUS").upper() == "CANCELLED",
        free=component.value("TRANSP").upper() == "TRANSPARENT",
        away=component.value("X-MICROSOFT-CDO-BUSYSTATUS").upper() == "OOF",
        rule=rule,
        exceptions=exceptions,
        additions=additions,
        own=own,
    )


def _replaces(component: Component, known: Zones) -> Time | None:
    """Which occurrence of its series the event stands for, if for one."""
    for each in component.all("RECURRENCE-ID"):
        if each.parameter("RANGE"):
            raise Invalid(
                "It changes an occurrence and all that follow at once (RANGE=THISANDFUTURE)."
                " Make them a series of their own and export again."
            )
        return next(times(each, known), None)
    return None


def _rule(component: Component) -> str:
    written = [each.value for each in component.all("RRULE") if each.value]
    if len(written) > 1 or component.all("EXRULE"):
        raise Invalid("It has more than one repeat rule. Make a series of each and export again.")
    if not written:
        return ""
    recurrence.check(written[0])
    return rules.normalised(written[0])


def _all_times(component: Component, name: str, known: Zones) -> Iterator[Time]:
    for each in component.all(name):
        yield from times(each, known)


def _rank(component: Component) -> tuple[int, str]:
    """The larger, the newer: of two versions of an event the newer one holds."""
    sequence = component.value("SEQUENCE")
    changed = component.value("LAST-MODIFIED") or component.value("DTSTAMP")
    return int(sequence) if re.fullmatch(r"\d{1,9}", sequence, re.ASCII) else 0, changed


def _span(component: Component, known: Zones, *, recurs: bool) -> tuple[Time, datetime | date]:
    """Start and end, the end on the clocks of the start."""
    start, end = _start_and_end(component, known)
    if start.all_day:
        return start, _day_after(start, end)
    if start.zone == "UTC" and not recurs:
        start = _at_home(start, end, known.own)
    return start, end.within(start.zone).value


def _own_span(component: Component, known: Zones, zone: str) -> tuple[Time, datetime | date]:
    """Start and end on the clocks of `zone`.

    In the night of a time change an end that they show twice is told by the
    time that passes.
    """
    start, end = _start_and_end(component, known)
    if start.all_day:
        return replace(start, zone=zone), _day_after(start, end)
    local, passed = start.within(zone), end.moment() - start.moment()
    if local.moment() != start.moment():
        return start, end.within(start.zone).value
    ends = end.within(zone).value
    assert isinstance(local.value, datetime)
    assert isinstance(ends, datetime)
    plain = all(recurrence.is_shown_once(wall, zone) for wall in (local.value, ends))
    return local, ends if plain else local.value + passed


def _day_after(start: Time, end: Time) -> date:
    """The day after the last; some programs give the last day itself as the end."""
    return max(day_of(end.value), day_of(start.value) + timedelta(days=1))


def _start_and_end(component: Component, known: Zones) -> tuple[Time, Time]:
    start = _first_time(component, "DTSTART", known)
    if start is None:
        raise Invalid("It has no start. Give it one and export again.")
    end = _first_time(component, "DTEND", known) or _after_duration(start, component)
    if component.value("X-MICROSOFT-CDO-ALLDAYEVENT").upper() == "TRUE":
        start, end = _as_days(start, end)
    if start.all_day != end.all_day:
        raise Invalid("It begins on a day but ends at a time. Correct its times and export again.")
    if end.moment() < start.moment():
        raise Invalid("It ends before it begins. Correct its times and export again.")
    return start, end


def _first_time(component: Component, name: str, known: Zones) -> Time | None:
    return next(_all_times(component, name, known), None)


def _after_duration(start: Time, component: Component) -> Time:
    """Weeks and days count on the calendar, hours as time that passes (RFC 5545, 3.8.2.5)."""
    text = component.value("DURATION")
    if not text:
        return replace(start, value=start.value + timedelta(days=1)) if start.all_day else start
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()):
        raise Invalid("Its duration cannot be read. Give it an end and export again.")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        end = replace(start, value=start.value + timedelta(weeks=weeks, days=days))
        passed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if passed and not start.all_day:
            moment = end.moment() + passed
            end = Time(moment.replace(tzinfo=None), "UTC").within(start.zone)
            if end.moment() != moment:  # in the hour that the clocks show twice
                end = replace(start, value=start.value + passed)
    except OverflowError:
        end = replace(start, value=date.max)
    if end.value.year > LAST_YEAR:
        raise Invalid(f"It ends after the year {LAST_YEAR}. Correct its times and export again.")
    return end


def _as_days(start: Time, end: Time) -> tuple[Time, Time]:
    """Outlook may mark an event as all-day and give midnights."""
    values = [each.value for each in (start, end)]
    if all(isinstance(each, datetime) and each.time() == datetime.min.time() for each in values):
        start, end = (replace(each, value=day_of(each.value)) for each in (start, end))
    return start, end


def day_of(value: datetime | date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _at_home(start: Time, end: Time, zone: str) -> Time:
    """A moment in UTC on the clocks of `zone`, unless they show it twice."""
    local = start.within(zone)
    same = local.moment() == start.moment() and end.within(zone).moment() == end.moment()
    return local if same else start


def _without_html(text: str) -> str:
    if not re.search(r"</?(?:br|p|div|span|a|b|i|u|ul|ol|li|html|table)\b", text, re.IGNORECASE):
        return text
    lines = re.sub(r"<(?:br|/p|/div|/li|/tr)\b[^<>]*>", "\n", text, flags=re.IGNORECASE)
    return prose(unescape(re.sub(r"<[^<>]*>", "", lines)))
