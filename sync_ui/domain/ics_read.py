"""Reading an exported calendar (.ics, RFC 5545) as programs really write it.

An event keeps its wall time and zone, so that a weekly 10:00 stays at 10:00. A
single event in UTC, which is how Google and Outlook export them, is told in the
calendar's own zone; a series in UTC stays in UTC, where its rule runs.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256

from sync_ui.domain import recurrence
from sync_ui.domain.csv_read import read_csv
from sync_ui.domain.csv_table import NOTHING_SAID, ColumnMapping
from sync_ui.domain.event import GONE, Kind, Status
from sync_ui.domain.ics_event import VEvent, day_of, vevent
from sync_ui.domain.ics_lines import Component, components
from sync_ui.domain.ics_own import OwnWords
from sync_ui.domain.ics_times import Time, Zones
from sync_ui.domain.reading import (
    MAX_EVENTS,
    TELL_EACH,
    Entry,
    Occurrence,
    Problem,
    Reading,
    Tell,
    as_utf8,
    counted,
    nobody,
    one_line,
    shortened,
)
from sync_ui.errors import Invalid

# All series of a file together, in the two years around today.
MAX_OCCURRENCES = 10_000

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


def read(
    data: bytes,
    zone: str,
    today: date,
    mappings: Mapping[str, ColumnMapping] = NOTHING_SAID,
    tell: Tell = nobody,
) -> Reading:
    """Reads a calendar or a table, whichever the content is.

    `zone` is the practice's (IANA). Raises `Invalid` for what is neither.
    """
    if is_calendar(data):
        return read_ics(data, zone, today, tell)
    return read_csv(data, zone, today, mappings, tell)


def is_calendar(data: bytes) -> bool:
    """Whether the content is iCalendar's. Raises `Invalid` for what is no text at all."""
    begins_component = re.compile(rb"^[ \t]*BEGIN[ \t]*:[ \t]*V", re.IGNORECASE | re.MULTILINE)
    return bool(begins_component.search(as_utf8(data).replace(b"\r", b"\n")))


def read_ics(data: bytes, zone: str, today: date, tell: Tell = nobody) -> Reading:
    """The events of an iCalendar file; times without a zone are taken in `zone`.

    A wrong event becomes a problem with its line. Raises `Invalid` for a file
    that is no calendar, is cut off, or passes a limit.
    """
    calendars = components(as_utf8(data))
    if not calendars:
        raise Invalid("This is no calendar file. Export the calendar as .ics, or a table as .csv.")
    everything = [each for calendar in calendars for each in calendar.walk()]
    number = sum(each.name == "VEVENT" for each in everything)
    if number > MAX_EVENTS:
        raise Invalid("This file has more than 100,000 events. Export a shorter span of time.")
    reader = _Reader(zone, today, lambda done: tell(done, number))
    for calendar in calendars:
        reader.take(calendar)
    entries = reader.entries()
    _refuse_too_many(entries, today)
    source = _source(calendars)
    return Reading(
        entries=tuple(sorted(entries, key=lambda entry: entry.line)),
        problems=tuple(sorted(reader.problems, key=lambda problem: problem.line)),
        source=source,
        notes=tuple(_notes(everything, reader)),
        signature=_digest(
            "\n".join((source, *(one_line(each.text("X-WR-CALNAME")) for each in calendars)))
        ),
    )


# Events of one UID


class _Reader:
    """Gathers the events of all calendars in a file, then puts series together."""

    def __init__(self, zone: str, today: date, tell: Callable[[int], None]) -> None:
        self._zone = zone
        self._today = today
        self._tell = tell
        self._taken = 0
        self._masters: defaultdict[str, list[VEvent]] = defaultdict(list)
        self._overrides: defaultdict[str, list[VEvent]] = defaultdict(list)
        self._failed: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.replaced = 0

    def take(self, calendar: Component) -> None:
        known = Zones(calendar, self._zone, self._today)
        withdrawn = calendar.value("METHOD").upper() == "CANCEL"
        for component in calendar.walk():
            if component.name == "VEVENT":
                self._take_event(component, known, withdrawn=withdrawn)
                self._taken += 1
                if self._taken % TELL_EACH == 0:
                    self._tell(self._taken)

    def _take_event(self, component: Component, known: Zones, *, withdrawn: bool) -> None:
        try:
            event = vevent(component, known, withdrawn=withdrawn)
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

    def _last_edition(self, events: list[VEvent]) -> list[VEvent]:
        """An event that was moved has a higher SEQUENCE than before.

        Different times with equal ones are events that wrongly share a UID.
        """
        last = max(event.rank[0] for event in events)
        kept = [event for event in events if not event.uid or event.rank[0] == last]
        self.replaced += len(events) - len(kept)
        return kept

    def _newest(self, events: Iterable[VEvent], key: Callable[[VEvent], object]) -> list[VEvent]:
        """Of versions of the same event, the newest; of equal ones the last."""
        newest: dict[object, VEvent] = {}
        for event in events:
            version = (event.uid or event.title, key(event))
            if version in newest:
                self.replaced += 1
            if version not in newest or event.rank >= newest[version].rank:
                newest[version] = event
        return list(newest.values())

    def _lost(self, override: VEvent, uid: str) -> bool:
        if not uid or uid not in self._failed:
            return False
        self.problems.append(
            Problem(
                override.line,
                f"It belongs to the series in line {self._failed[uid]}, which cannot be taken.",
            )
        )
        return True


def _entry(event: VEvent, overrides: list[VEvent], *, several: bool = False) -> Entry:
    entry = Entry(
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
    return entry if event.own is None else _in_own_words(entry, event.own)


def _in_own_words(entry: Entry, own: OwnWords) -> Entry:
    ids = tuple(internal_id for _, _, internal_id in own.clients)
    # It may have been cancelled, or revived, elsewhere.
    still_holds = (own.status in GONE) == (entry.status in GONE)
    return replace(
        entry,
        kind=own.kind,
        status=own.status if still_holds else entry.status,
        clients=tuple((first, last) for first, last, _ in own.clients),
        client_ids=ids if all(ids) else (),
        ours=True,
    )


def _alone(override: VEvent) -> Entry:
    """An occurrence whose series is not in the file, as an invitation sends it."""
    return _entry(override, [], several=True)


def _occurrence(override: VEvent, series: Time) -> Occurrence:
    assert override.replaces is not None
    return Occurrence(
        original=original(override.replaces, series),
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
    return tuple(dict.fromkeys(original(each, series) for each in times))


def original(found: Time, series: Time) -> datetime | date:
    """A time as the series itself tells it: on its clocks, or as a day.

    Programs write a day where the series has times, and the reverse.
    """
    if not isinstance(series.value, datetime):
        # A midnight in UTC stands for its day; other times are the zone's midnight.
        midnight = found.value == datetime.combine(day_of(found.value), datetime.min.time())
        return day_of(found.value if midnight else found.within(series.zone).value)
    if not isinstance(found.value, datetime):
        return datetime.combine(found.value, series.value.time())
    wall = found.within(series.zone).value
    # A time in UTC never names an hour that the clocks skip; the rule does.
    usual = datetime.combine(day_of(wall), series.value.time())
    if usual != wall and recurrence.in_utc(usual, series.zone) == found.moment():
        return usual
    return wall


def _key(event: VEvent, *, several: bool) -> str:
    """The UID, with the time that tells events of one UID apart if there are several."""
    named = event.replaces or event.start
    at = f"{day_of(named.value)}" if named.all_day else f"{named.moment():%Y%m%dT%H%M%SZ}"
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
