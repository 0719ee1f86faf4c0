"""The feed's text: RFC 5545 as real calendar apps read it.

Written by hand, not by a library: a library takes 20 to 100 times as long for
the few shapes of line that leave here, and passes on control characters that
some readers take for the end of a line.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sync_ui.domain.event import Event, Words
from sync_ui.domain.vtimezone import vtimezone

NOTICE = "This calendar link was turned off"
_NOTICE_ADVICE = (
    "No appointment is shown here any more. Remove this calendar from your device, "
    "or ask your practice for a new link."
)

_LINE = 75  # octets, without the line break (RFC 5545, 3.1)
_UUID = 36  # characters
_NAME = 255  # characters; Outlook's limit for a folder's name


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a feed says about itself; none of it may tell of a client.

    `uid` belongs to the link, for life. `zone` is an IANA name. `color` is a
    CSS colour name, `apple_color` the same colour as #rrggbb.
    """

    uid: str
    name: str
    description: str
    zone: str
    changed_at: datetime
    color: str = "teal"
    apple_color: str = "#008080"


def write(calendar: Calendar, events: Iterable[Event], *, year: int) -> bytes:
    """The whole feed: equal arguments give equal bytes.

    `year` chooses the law that the VTIMEZONE states. Raises `ValueError` for
    a moment without a time zone.
    """
    return assemble(calendar, map(write_event, sorted(events, key=in_order)), year=year)


def assemble(calendar: Calendar, vevents: Iterable[str], *, year: int) -> bytes:
    """The whole feed from texts of `write_event`, sorted by `in_order`."""
    return "".join((head(calendar, year=year), *vevents, END)).encode()


def head(calendar: Calendar, *, year: int) -> str:
    """What stands before the first event."""
    return _head(calendar) + vtimezone(calendar.zone, year)


END = "END:VCALENDAR\r\n"


def in_order(event: Event) -> tuple[datetime, str]:
    """The feed's sort key: the start (of an all-day event: 00:00 UTC), then the UID."""
    starts = event.starts
    if isinstance(starts, datetime):
        return starts, event.uid
    return datetime.combine(starts, time(), UTC), event.uid


def write_event(event: Event, *, transparent: bool = False, beside: str = "") -> str:
    """One VEVENT, line breaks included; `transparent` leaves the time free.

    Further lines `beside` are for exports: they never get into a feed.

    Raises `ValueError` for a moment without a time zone.
    """
    return vevent(
        event.uid,
        span=_span(event.starts, event.ends),
        sequence=event.sequence,
        created=_utc(event.created_at),
        changed=_utc(event.changed_at),
        told=told(event, transparent=transparent, beside=beside),
    )


def vevent(uid: str, *, span: str, sequence: int, created: str, changed: str, told: str) -> str:
    """One VEVENT of parts that are written already: all that is left to do for each event.

    `span` is of `moments` or `days`, `told` of the function of that name;
    `created` and `changed` are moments as RFC 5545 writes them.
    """
    # Without METHOD the two stamps mean the same (RFC 5545, 3.8.7.2), and
    # "now" would make every fetch a change.
    return (
        f"BEGIN:VEVENT\r\n{_uid_line(uid)}"
        f"DTSTAMP:{changed}\r\nLAST-MODIFIED:{changed}\r\nCREATED:{created}\r\n"
        f"SEQUENCE:{sequence:d}\r\n{span}{told}"
    )


def _uid_line(uid: str) -> str:
    # Our own are UUIDs, and for those a regular expression is most of the event's cost.
    if len(uid) == _UUID and uid.isascii() and uid.replace("-", "").isalnum():
        return f"UID:{uid}\r\n"
    return content_line("UID", uid)


def told(words: Words, *, transparent: bool = False, beside: str = "") -> str:
    """What an event tells, and its end; equal for every event of the same words."""
    lines = [content_line("SUMMARY", words.summary)]
    if words.location:
        lines.append(content_line("LOCATION", words.location))
    if words.description:
        lines.append(content_line("DESCRIPTION", words.description))
    if words.conference:
        lines.append(_fold(f"CONFERENCE;VALUE=URI;FEATURE=VIDEO;LABEL=Join:{words.conference}"))
    if transparent or words.cancelled:
        transp, busy = "TRANSPARENT", "FREE"
    else:
        transp, busy = "OPAQUE", "OOF" if words.out_of_office else "BUSY"
    return (
        f"{''.join(lines)}"
        f"STATUS:{'CANCELLED' if words.cancelled else 'CONFIRMED'}\r\n"
        f"TRANSP:{transp}\r\n"
        f"X-MICROSOFT-CDO-BUSYSTATUS:{busy}\r\n"
        # Google shows events without a CLASS to whoever sees the calendar.
        "CLASS:PRIVATE\r\n"
        f"{beside}"
        "END:VEVENT\r\n"
    )


def notice(calendar: Calendar, day: date, year: int) -> bytes:
    """What a dead link serves: one all-day event on `day`, and no client.

    Apps keep what they hold when a feed answers 404 or 410; a calendar without
    the old appointments makes them drop it. Stable for the same `day`; a later
    day moves the event and raises its SEQUENCE and LAST-MODIFIED.
    """
    midnight = datetime.combine(day, time(), ZoneInfo(calendar.zone))
    changed_at = max(calendar.changed_at, midnight.astimezone(UTC))
    event = Event(
        uid=f"{calendar.uid}-notice",
        starts=day,
        ends=date.fromordinal(day.toordinal() + 1),
        summary=NOTICE,
        description=_NOTICE_ADVICE,
        sequence=day.toordinal(),
        created_at=calendar.changed_at,
        changed_at=changed_at,
    )
    only = write_event(event, transparent=True)
    return assemble(replace(calendar, changed_at=changed_at), (only,), year=year)


def _head(calendar: Calendar) -> str:
    # No METHOD (needs an ORGANIZER, and Apple has refused it), and neither
    # SOURCE nor URL: they would copy the secret address into every export.
    name = " ".join(calendar.name.split())[:_NAME]
    lines = [
        "BEGIN:VCALENDAR\r\n",
        "VERSION:2.0\r\n",
        "PRODID:-//Sync Calendar//Feed 1//EN\r\n",
        "CALSCALE:GREGORIAN\r\n",
        content_line("UID", calendar.uid),
        content_line("NAME", name),
        content_line("X-WR-CALNAME", name),
        content_line("DESCRIPTION", calendar.description),
        content_line("X-WR-CALDESC", calendar.description),
        content_line("X-WR-TIMEZONE", calendar.zone),
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n",
        "X-PUBLISHED-TTL:PT1H\r\n",
        content_line("COLOR", calendar.color),
        content_line("X-APPLE-CALENDAR-COLOR", calendar.apple_color),
        f"LAST-MODIFIED:{_utc(calendar.changed_at)}\r\n",
    ]
    return "".join(lines)


def _span(starts: datetime | date, ends: datetime | date) -> str:
    """DTSTART and DTEND. An end must lie after the start; without one the event
    is a moment, or its whole day.
    """
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        return moments(_utc(starts), _utc(ends))
    return days(f"{starts:%Y%m%d}", f"{ends:%Y%m%d}")


def moments(starts: str, ends: str) -> str:
    """DTSTART and DTEND of two moments as RFC 5545 writes them."""
    if ends <= starts:
        return f"DTSTART:{starts}\r\n"
    return f"DTSTART:{starts}\r\nDTEND:{ends}\r\n"


def days(starts: str, ends: str) -> str:
    """DTSTART and DTEND of two days as RFC 5545 writes them, the end exclusive."""
    if ends <= starts:
        return f"DTSTART;VALUE=DATE:{starts}\r\n"
    return f"DTSTART;VALUE=DATE:{starts}\r\nDTEND;VALUE=DATE:{ends}\r\n"


# Twice as fast as a format; four moments are half of an event's cost.
_TWO_DIGITS = tuple(f"{n:02}" for n in range(100))


def _utc(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        moment = moment.astimezone(UTC)
    two, year = _TWO_DIGITS, moment.year
    return (
        f"{two[year // 100]}{two[year % 100]}{two[moment.month]}{two[moment.day]}"
        f"T{two[moment.hour]}{two[moment.minute]}{two[moment.second]}Z"
    )


def content_line(name: str, text: str) -> str:
    """One content line: cleaned, escaped, folded, with its line break."""
    line = f"{name}:{text if _is_plain(text) else _escape(text)}"
    if len(line) <= _LINE and line.isascii():
        return line + "\r\n"
    return _fold(line)


# Nearly every text is of letters and these: nothing to clean or to escape.
_is_plain = re.compile(r"[\w .&:()'/-]*").fullmatch

# Readers that split with splitlines() take these for the end of a line.
_SPACES = re.compile("[\t\v\f\x1c-\x1f\x85\u2028\u2029]")

# RFC 5545 allows no control character; a lone surrogate has no UTF-8, and a
# byte order mark inside a text is a BOM in the middle of the feed.
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")

_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})


def _escape(text: str) -> str:
    return cleaned(text).translate(_ESCAPES)


def cleaned(text: str) -> str:
    """The text as it can be written, and read again."""
    if text.isprintable():
        return text
    text = _SPACES.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _FORBIDDEN.sub("", text)


def _fold(line: str) -> str:
    """Cut after 75 octets at the latest, never inside a character (RFC 5545, 3.1)."""
    octets = line.encode()
    pieces = []
    start, room = 0, _LINE
    while len(octets) - start > room:
        end = start + room
        while octets[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        pieces.append(octets[start:end])
        start, room = end, _LINE - 1  # the space that marks a continuation
    pieces.append(octets[start:])
    return b"\r\n ".join(pieces).decode() + "\r\n"
