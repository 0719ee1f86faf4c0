"""Entries of an outside calendar as iCalendar: what we write there, what is read there.

What is read comes from strangers. Nothing of it is an error: what cannot be
understood tells nothing, and takes no time.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sync_ui.domain import recurrence
from sync_ui.domain.ics_event import VEvent, day_of, vevent
from sync_ui.domain.ics_lines import Component, Property, components
from sync_ui.domain.ics_read import original
from sync_ui.domain.ics_times import Time, Zones
from sync_ui.domain.ics_write import content_line
from sync_ui.domain.outside import Copy, Entry, Span, Told, Window
from sync_ui.errors import Invalid

MARK = "X-SYNC-CALENDAR"
LONGEST = 256 * 1024  # bytes of one entry
MOST_EVENTS = 1_000  # a series with its changed occurrences

_DECLINED = re.compile(r';PARTSTAT="?DECLINED\b', re.IGNORECASE)
_OWN_ID = re.compile(r"[a-v0-9]{5,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is read: the zone of days and of times without one, and today."""

    zone: str
    today: date


# Writing


def write(copy: Copy, stamp: datetime) -> bytes:
    """The copy as a calendar of one event: no attendee, no alarm, nothing to repeat."""
    told = copy.told
    lines = [
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sync Calendar//Sync 1//EN\r\n",
        "BEGIN:VEVENT\r\n",
        content_line("UID", copy.id),
        f"DTSTAMP:{_utc(stamp)}\r\n",
        # An end always: there are servers that take none without.
        _time("DTSTART", told.starts),
        _time("DTEND", told.ends),
        content_line("SUMMARY", told.summary),
        content_line("LOCATION", told.location) if told.location else "",
        content_line("DESCRIPTION", told.description) if told.description else "",
        "STATUS:CONFIRMED\r\n",
        f"TRANSP:{'TRANSPARENT' if told.free else 'OPAQUE'}\r\n",
        "CLASS:PRIVATE\r\n",
        content_line(MARK, copy.mark),
        "END:VEVENT\r\nEND:VCALENDAR\r\n",
    ]
    return "".join(lines).encode()


def _time(name: str, value: datetime | date) -> str:
    if isinstance(value, datetime):
        return f"{name}:{_utc(value)}\r\n"
    return f"{name};VALUE=DATE:{value:%Y%m%d}\r\n"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


# Reading


def entry(entry_id: str, etag: str, data: bytes, place: Place) -> Entry:
    """What stands there. Of what is not ours, no word is read."""
    found = Entry(id=entry_id, etag=etag)
    try:
        events = list(_vevents(data, place))
        mark = next((mark for _, event in events if (mark := event.text(MARK))), "")
        found = replace(found, mark=mark[:64])
        if not mark and not _OWN_ID.fullmatch(entry_id):
            return found
        return replace(found, told=_told(entry_id, events))
    except Invalid:
        return found


def _told(entry_id: str, events: list[tuple[Zones, Component]]) -> Told | None:
    """None also for what we never write: several events in one, and a series."""
    if len(events) != 1:
        return None
    known, component = events[0]
    if _OWN_ID.fullmatch(entry_id) and component.text("UID") != entry_id:
        return None
    event = vevent(component, known, withdrawn=False)
    if event.recurs or event.replaces:
        return None
    day = event.start.all_day
    return Told(
        starts=event.start.value if day else event.start.moment(),
        ends=event.ends if day else _end(event).moment(),
        summary=component.text("SUMMARY"),
        location=component.text("LOCATION"),
        description=component.text("DESCRIPTION"),
        free=event.free or event.cancelled,
    )


def _end(event: VEvent) -> Time:
    return Time(event.ends, event.start.zone)


def _vevents(data: bytes, place: Place) -> Iterator[tuple[Zones, Component]]:
    """The events of an entry, each with its zones. Raises Invalid for what is too much."""
    if len(data) > LONGEST:
        raise Invalid("The entry is too long.")
    calendars = components(data)
    if sum(len(calendar.children) for calendar in calendars) > MOST_EVENTS:
        raise Invalid("The entry has too many changed occurrences.")
    for calendar in calendars:
        known = Zones(calendar, place.zone, place.today)
        for component in calendar.children:
            if component.name == "VEVENT":
                yield known, component


# Busy times


def spans(
    data: bytes, window: Window, place: Place, own_addresses: Collection[str]
) -> tuple[Span, ...] | None:
    """When the entry takes time within the window; None for what carries a mark.

    `own_addresses` are those of the account, in lower case: what they declined
    takes no time.
    """
    try:
        found = list(_vevents(data, place))
    except Invalid:
        return ()
    if any(component.text(MARK) for _, component in found):
        return None
    events = [
        event for known, component in found if (event := _taking(component, known, own_addresses))
    ]
    replaced = [event.replaces for event, _ in events if event.replaces is not None]
    spans = {
        span
        for event, takes_time in events
        if takes_time
        for span in _spans(event, replaced, window)
    }
    return tuple(sorted(spans, key=lambda span: (span.starts_at, span.ends_at)))


def _taking(
    component: Component, known: Zones, own_addresses: Collection[str]
) -> tuple[VEvent, bool] | None:
    """The event and whether it takes time; None for one that cannot be read."""
    try:
        event = vevent(component, known, withdrawn=False)
    except Invalid:
        return None
    declined = _declined(component, own_addresses)
    return event, not (event.cancelled or event.free or declined)


def _spans(event: VEvent, replaced: list[Time], window: Window) -> Iterator[Span]:
    length = _end(event).moment() - event.start.moment()
    for start in _turns(event, replaced, window, length):
        span = _span(start, event, length)
        if max(span.starts_at, window.starts_at) < min(span.ends_at, window.ends_at):
            yield span


def _turns(
    event: VEvent, replaced: list[Time], window: Window, length: timedelta
) -> Iterator[Time]:
    """Where the event begins: once, or at each turn that no other event stands for."""
    start = event.start
    if event.replaces is not None or not event.recurs:
        yield start
        return
    # A day on either side, whatever the zone.
    after = recurrence.on_the_wall(window.starts_at - length - timedelta(days=1), start.zone)
    before = recurrence.on_the_wall(window.ends_at + timedelta(days=1), start.zone)
    walls = recurrence.expand(
        event.rule,
        start.value,
        start.zone,
        after,
        before,
        [original(each, start) for each in (*event.exceptions, *replaced)],
        [original(each, start) for each in event.additions],
    )
    for wall in walls:
        yield Time(wall, start.zone)


def _span(start: Time, event: VEvent, length: timedelta) -> Span:
    if not isinstance(start.value, datetime):
        days = day_of(event.ends) - day_of(event.start.value)
        ends = Time(start.value + days, start.zone)
        return Span(starts_at=start.moment(), ends_at=ends.moment(), all_day=True)
    begins = start.moment()
    return Span(starts_at=begins, ends_at=begins + length)


def _declined(component: Component, own_addresses: Collection[str]) -> bool:
    """Whether the account, or the only one who was asked, will not come."""
    attendees = component.all("ATTENDEE")
    asked = [each for each in attendees if _address(each) in own_addresses] or attendees
    return len(asked) == 1 and bool(_DECLINED.search(asked[0].content))


def _address(attendee: Property) -> str:
    return attendee.text.strip().lower().removeprefix("mailto:")
