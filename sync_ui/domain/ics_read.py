"""Reading an exported calendar (.ics, RFC 5545) as programs really write it.

An event keeps its wall time and zone, so that a weekly 10:00 stays at 10:00. A
single event in UTC, which is how Google and Outlook export them, is told in the
calendar's own zone; a series in UTC stays in UTC, where its rule runs.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from html import unescape

from sync_ui.domain import recurrence
from sync_ui.domain.csv_read import read_csv
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.ics_lines import Component, components
from sync_ui.domain.ics_times import LAST_YEAR, Time, Zones, times
from sync_ui.domain.reading import (
    MAX_EVENTS,
    Entry,
    Occurrence,
    Problem,
    Reading,
    as_utf8,
    counted,
    one_line,
    prose,
    shortened,
)
from sync_ui.errors import Invalid

# All series of a file together, in the two years around today.
MAX_OCCURRENCES = 10_000
_MAX_EXCEPTIONS = 5_000

_DURATION = re.compile(
    r"\+?P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?",
    re.ASCII | re.IGNORECASE,
)

# What stands in PRODID, and how people call the program.
_SOURCES = (
    ("google", "Google Calendar"),
    ("outlook", "Outlook"),
    ("microsoft", "Outlook"),
    ("exchange", "Outlook"),
    ("apple", "Apple Calendar"),
    ("calendarserver", "Apple Calendar"),
    ("mozilla", "Thunderbird"),
    ("nextcloud", "Nextcloud"),
    ("sabre", "Nextcloud"),
    ("proton", "Proton Calendar"),
    ("cyrus", "Fastmail"),
    ("yahoo", "Yahoo Calendar"),
    ("zoho", "Zoho Calendar"),
    ("evolution", "Evolution"),
    ("sync calendar", "Sync Calendar"),
)

# Components that are no appointments, and what to call them.
_LEFT_OUT = {
    "VALARM": ("reminder", ""),
    "VTODO": ("task", ""),
    "VJOURNAL": ("journal entry", "journal entries"),
}


def read(data: bytes, zone: str, today: date) -> Reading:
    """Reads a calendar or a table, whichever the content is.

    `zone` is the practice's (IANA). Raises `Invalid` for what is neither.
    """
    begins_component = re.compile(rb"^[ \t]*BEGIN[ \t]*:[ \t]*V", re.IGNORECASE | re.MULTILINE)
    is_calendar = begins_component.search(as_utf8(data).replace(b"\r", b"\n"))
    return (read_ics if is_calendar else read_csv)(data, zone, today)


def read_ics(data: bytes, zone: str, today: date) -> Reading:
    """The events of an iCalendar file; times without a zone are taken in `zone`.

    A wrong event becomes a problem with its line. Raises `Invalid` for a file
    that is no calendar, is cut off, or passes a limit.
    """
    calendars = components(as_utf8(data))
    if not calendars:
        raise Invalid("This is no calendar file. Export the calendar as .ics, or a table as .csv.")
    everything = [each for calendar in calendars for each in calendar.walk()]
    if sum(each.name == "VEVENT" for each in everything) > MAX_EVENTS:
        raise Invalid("This file has more than 10,000 events. Export a shorter span of time.")
    reader = _Reader(zone, today)
    for calendar in calendars:
        reader.take(calendar)
    entries = reader.entries()
    _refuse_too_many(entries, today)
    return Reading(
        entries=tuple(sorted(entries, key=lambda entry: entry.line)),
        problems=tuple(sorted(reader.problems, key=lambda problem: problem.line)),
        source=_source(calendars),
        notes=tuple(_notes(everything, reader)),
    )


# One event


@dataclass(frozen=True, slots=True)
class _Event:
    """A VEVENT that could be read; `replaces` makes it an override."""

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

    @property
    def recurs(self) -> bool:
        return bool(self.rule or self.additions)


def _event(component: Component, known: Zones, *, withdrawn: bool) -> _Event:
    replaces = _replaces(component, known)
    rule = _rule(component)
    additions = tuple(_all_times(component, "RDATE", known))
    exceptions = tuple(_all_times(component, "EXDATE", known))
    if len(exceptions) > _MAX_EXCEPTIONS or len(additions) > recurrence.MAX_OCCURRENCES:
        raise Invalid("It lists more single dates than a series can hold. Split the series.")
    start, ends = _span(component, known, recurs=bool(rule or additions))
    return _Event(
        line=component.line,
        uid=one_line(component.text("UID")),
        rank=_rank(component),
        replaces=replaces,
        start=start,
        ends=ends,
        title=one_line(component.text("SUMMARY")),
        location=one_line(component.text("LOCATION")),
        note=_without_html(prose(component.text("DESCRIPTION"))),
        cancelled=withdrawn or component.value("STATUS").upper() == "CANCELLED",
        free=component.value("TRANSP").upper() == "TRANSPARENT",
        away=component.value("X-MICROSOFT-CDO-BUSYSTATUS").upper() == "OOF",
        rule=rule,
        exceptions=exceptions,
        additions=additions,
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
    rules = [each.value for each in component.all("RRULE") if each.value]
    if len(rules) > 1 or component.all("EXRULE"):
        raise Invalid("It has more than one repeat rule. Make a series of each and export again.")
    if not rules:
        return ""
    recurrence.check(rules[0])
    return recurrence.normalised(rules[0])


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
    if end.moment() < start.moment():
        raise Invalid("It ends before it begins. Correct its times and export again.")
    if start.all_day:
        # Some programs give the last day itself as the end.
        last = max(end.value, start.value + timedelta(days=1))
        return start, last
    if start.zone == "UTC" and not recurs:
        start = _at_home(start, end, known.own)
    return start, end.within(start.zone).value


def _start_and_end(component: Component, known: Zones) -> tuple[Time, Time]:
    start = _first_time(component, "DTSTART", known)
    if start is None:
        raise Invalid("It has no start. Give it one and export again.")
    end = _first_time(component, "DTEND", known) or _after_duration(start, component)
    if component.value("X-MICROSOFT-CDO-ALLDAYEVENT").upper() == "TRUE":
        start, end = _as_days(start, end)
    if start.all_day != end.all_day:
        raise Invalid("It begins on a day but ends at a time. Correct its times and export again.")
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
            end = Time((end.moment() + passed).replace(tzinfo=None), "UTC").within(start.zone)
    except OverflowError:
        end = replace(start, value=date.max)
    if end.value.year > LAST_YEAR:
        raise Invalid(f"It ends after the year {LAST_YEAR}. Correct its times and export again.")
    return end


def _as_days(start: Time, end: Time) -> tuple[Time, Time]:
    """Outlook may mark an event as all-day and give midnights."""
    values = [each.value for each in (start, end)]
    if all(isinstance(each, datetime) and each.time() == datetime.min.time() for each in values):
        start, end = (replace(each, value=_day(each.value)) for each in (start, end))
    return start, end


def _day(value: datetime | date) -> date:
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


# Events of one UID


class _Reader:
    """Gathers the events of all calendars in a file, then puts series together."""

    def __init__(self, zone: str, today: date) -> None:
        self._zone = zone
        self._today = today
        self._masters: defaultdict[str, list[_Event]] = defaultdict(list)
        self._overrides: defaultdict[str, list[_Event]] = defaultdict(list)
        self._failed: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.replaced = 0

    def take(self, calendar: Component) -> None:
        known = Zones(calendar, self._zone, self._today)
        withdrawn = calendar.value("METHOD").upper() == "CANCEL"
        for component in calendar.walk():
            if component.name == "VEVENT":
                self._take_event(component, known, withdrawn=withdrawn)

    def _take_event(self, component: Component, known: Zones, *, withdrawn: bool) -> None:
        try:
            event = _event(component, known, withdrawn=withdrawn)
        except Invalid as error:
            self.problems.append(Problem(component.line, error.sentence))
            if not component.all("RECURRENCE-ID"):
                self._failed[one_line(component.text("UID"))] = component.line
            return
        kept = self._masters if event.replaces is None else self._overrides
        kept[event.uid].append(event)

    def entries(self) -> list[Entry]:
        """Every event, and every series with its changed occurrences."""
        found = []
        for uid, events in self._masters.items():
            masters = self._newest(self._last_edition(events), key=lambda event: event.start)
            overrides = self._newest(self._overrides.pop(uid, []), key=lambda each: each.replaces)
            series = next((master for master in masters if master.recurs), None)
            for master in masters:
                mine = overrides if master is series else []
                found.append(_entry(master, mine, several=len(masters) > 1))
            if series is None:
                found.extend(_alone(override) for override in overrides)
        for uid, events in self._overrides.items():
            overrides = self._newest(events, key=lambda each: each.replaces)
            found.extend(_alone(each) for each in overrides if not self._lost(each, uid))
        return found

    def _last_edition(self, events: list[_Event]) -> list[_Event]:
        """An event that was moved has a higher SEQUENCE than before.

        Different times with equal ones are events that wrongly share a UID.
        """
        last = max(event.rank[0] for event in events)
        kept = [event for event in events if not event.uid or event.rank[0] == last]
        self.replaced += len(events) - len(kept)
        return kept

    def _newest(self, events: Iterable[_Event], key: Callable[[_Event], object]) -> list[_Event]:
        """Of versions of the same event, the newest; of equal ones the last."""
        newest: dict[object, _Event] = {}
        for event in events:
            version = (event.uid or event.title, key(event))
            if version in newest:
                self.replaced += 1
            if version not in newest or event.rank >= newest[version].rank:
                newest[version] = event
        return list(newest.values())

    def _lost(self, override: _Event, uid: str) -> bool:
        if not uid or uid not in self._failed:
            return False
        self.problems.append(
            Problem(
                override.line,
                f"It belongs to the series in line {self._failed[uid]}, which cannot be taken.",
            )
        )
        return True


def _entry(event: _Event, overrides: list[_Event], *, several: bool = False) -> Entry:
    return Entry(
        key=_key(event, several=several),
        line=event.line,
        starts=event.start.value,
        ends=event.ends,
        zone=event.start.zone,
        title=event.title,
        location=event.location,
        note=event.note,
        status=Status.CANCELLED if event.cancelled else Status.SCHEDULED,
        kind=Kind.TIME_OFF if event.away else None,
        rule=event.rule,
        exceptions=_on_series(event.exceptions, event.start),
        additions=_on_series(event.additions, event.start),
        occurrences=tuple(_occurrence(override, event.start) for override in overrides),
        free=event.free,
    )


def _alone(override: _Event) -> Entry:
    """An occurrence whose series is not in the file, as an invitation sends it."""
    return _entry(override, [], several=True)


def _occurrence(override: _Event, series: Time) -> Occurrence:
    assert override.replaces is not None
    return Occurrence(
        original=_original(override.replaces, series),
        starts=override.start.value,
        ends=override.ends,
        zone=override.start.zone,
        cancelled=override.cancelled,
        title=override.title,
        location=override.location,
        note=override.note,
        line=override.line,
    )


def _on_series(times: tuple[Time, ...], series: Time) -> tuple[datetime | date, ...]:
    return tuple(dict.fromkeys(_original(each, series) for each in times))


def _original(found: Time, series: Time) -> datetime | date:
    """A time as the series itself tells it: on its clocks, or as a day.

    Programs write a day where the series has times, and the reverse.
    """
    if not isinstance(series.value, datetime):
        # A midnight in UTC stands for its day; other times are the zone's midnight.
        midnight = found.value == datetime.combine(_day(found.value), datetime.min.time())
        return _day(found.value if midnight else found.within(series.zone).value)
    if not isinstance(found.value, datetime):
        return datetime.combine(found.value, series.value.time())
    wall = found.within(series.zone).value
    # A time in UTC never names an hour that the clocks skip; the rule does.
    usual = datetime.combine(_day(wall), series.value.time())
    if usual != wall and recurrence.in_utc(usual, series.zone) == found.moment():
        return usual
    return wall


def _key(event: _Event, *, several: bool) -> str:
    """The UID, with the time that tells events of one UID apart if there are several."""
    named = event.replaces or event.start
    at = f"{_day(named.value)}" if named.all_day else f"{named.moment():%Y%m%dT%H%M%SZ}"
    if not event.uid:
        return "ics:" + _digest(f"{event.title}\n{at}\n{event.rule}")
    uid = event.uid if len(event.uid) <= 200 else _digest(event.uid)
    return f"ics:{uid}/{at}" if several else f"ics:{uid}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


# The file as a whole


def _refuse_too_many(entries: Iterable[Entry], today: date) -> None:
    """Series are expanded later by whoever takes them: here is where they are weighed."""
    left = MAX_OCCURRENCES
    year = timedelta(days=365)
    after = datetime.combine(today - year, datetime.min.time())
    for entry in entries:
        if entry.recurs:
            left -= len(
                recurrence.expand(
                    entry.rule, entry.starts, entry.zone, after, after + 2 * year,
                    entry.exceptions, entry.additions,
                )
            )  # fmt: skip
        if left < 0:
            raise Invalid(
                f"The series in this file have more than {MAX_OCCURRENCES:,} occurrences"
                " in two years. Export fewer calendars at once."
            )


def _source(calendars: Iterable[Component]) -> str:
    product = next(filter(None, (one_line(each.text("PRODID")) for each in calendars)), "")
    for mark, name in _SOURCES:
        if mark in product.casefold():
            return name
    parts = [part for part in product.split("//") if part.strip("-+ ")]
    return shortened(parts[1] if len(parts) > 1 else "iCalendar")


def _notes(everything: list[Component], reader: _Reader) -> Iterator[str]:
    numbers = Counter(each.name for each in everything)
    for name, (noun, plural) in _LEFT_OUT.items():
        if numbers[name]:
            yield f"{_were(numbers[name], noun, plural)} left out."
    if reader.replaced:
        yield f"{_were(reader.replaced, 'older or repeated version')} left out."
    unreadable = sum(each.unreadable for each in everything)
    if unreadable:
        yield f"{_were(unreadable, 'unreadable line')} left out."
    if not numbers["VEVENT"]:
        yield "There is no event in this file."


def _were(number: int, noun: str, plural: str = "") -> str:
    return f"{counted(number, noun, plural)} {'was' if number == 1 else 'were'}"
