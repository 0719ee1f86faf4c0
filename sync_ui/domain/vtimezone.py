"""A time zone as a VTIMEZONE: the law in force in one year, as yearly rules.

Events carry UTC, so no app needs this to show them at the right time. It is
there because a VCALENDAR must hold a component (RFC 5545, 3.4), also when it
has no event.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# The weekdays of a change move by a day or two a year: these many years tell
# "the last Sunday" from "the fourth Sunday".
_YEARS = 12

# Rules read as if they had always held. A leap year, so that any day exists.
_EPOCH = 1972

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@lru_cache(maxsize=256)
def vtimezone(zone: str, year: int) -> str:
    """The VTIMEZONE of an IANA zone as the law stands in `year`, CRLF included.

    Raises `ZoneInfoNotFoundError` or `ValueError` for an unknown zone.
    """
    tz = ZoneInfo(zone)
    parts = "".join(_observances(tz, year))
    return f"BEGIN:VTIMEZONE\r\nTZID:{zone}\r\n{parts}END:VTIMEZONE\r\n"


@dataclass(frozen=True)
class _Change:
    """The clocks change at `onset`, in local time as it was before."""

    onset: datetime
    before: timedelta
    after: timedelta
    name: str

    def observance(self, rule: str = "") -> str:
        # DAYLIGHT is the side further east. Irish and Moroccan law have it
        # the other way round (winter is the exception); calendar apps do not.
        part = "DAYLIGHT" if self.after > self.before else "STANDARD"
        return (
            f"BEGIN:{part}\r\n"
            f"DTSTART:{self.onset:%Y%m%dT%H%M%S}\r\n"
            f"{rule}"
            f"TZOFFSETFROM:{_offset(self.before)}\r\n"
            f"TZOFFSETTO:{_offset(self.after)}\r\n"
            f"TZNAME:{self.name}\r\n"
            f"END:{part}\r\n"
        )


def _observances(tz: ZoneInfo, year: int) -> Iterator[str]:
    changes = list(_changes(tz, year))
    if changes and changes[0].before == changes[-1].after:
        yield from (_yearly(change, tz) for change in changes)
        return
    # No change of clocks, or one that is there to stay: no yearly rule.
    first = datetime(year, 1, 1, tzinfo=UTC).astimezone(tz)
    always = first.utcoffset() or timedelta()
    yield _Change(datetime(_EPOCH, 1, 1), always, always, f"{first:%Z}").observance()
    yield from (change.observance() for change in changes)


def _changes(tz: ZoneInfo, year: int) -> Iterator[_Change]:
    """Every change of the UTC offset within the year (of UTC), in order."""
    end = datetime(year + 1, 1, 1, tzinfo=UTC)
    earlier = datetime(year, 1, 1, tzinfo=UTC)
    while earlier < end:
        later = min(earlier + timedelta(days=7), end)
        if _offset_at(earlier, tz) != _offset_at(later, tz):
            yield _change_between(earlier, later, tz)
        earlier = later


def _change_between(earlier: datetime, later: datetime, tz: ZoneInfo) -> _Change:
    before, after = _offset_at(earlier, tz), _offset_at(later, tz)
    while later - earlier > timedelta(seconds=1):
        middle = (earlier + (later - earlier) / 2).replace(microsecond=0)
        if _offset_at(middle, tz) == before:
            earlier = middle
        else:
            later = middle
    onset = (later + before).replace(tzinfo=None)
    return _Change(onset, before, after, f"{later.astimezone(tz):%Z}")


def _yearly(change: _Change, tz: ZoneInfo) -> str:
    """The change as the yearly rule that also fits most of the years to come."""
    year = change.onset.year
    days = [
        other.onset.date()
        for y in range(year, year + _YEARS)
        for other in _changes(tz, y)
        if (other.before, other.after) == (change.before, change.after)
    ]
    rule, holds = max(_rules(change.onset.date()), key=lambda r: sum(map(r[1], days)))
    first = date(_EPOCH, 1, 1)
    while not holds(first):
        first += timedelta(days=1)
    since = _Change(
        datetime.combine(first, change.onset.time()), change.before, change.after, change.name
    )
    return since.observance(f"RRULE:FREQ=YEARLY;BYMONTH={first.month};{rule}\r\n")


def _rules(day: date) -> Iterator[tuple[str, Callable[[date], bool]]]:
    """Ways to say which day of a year this is, and the test of each.

    The usual ways come first; Outlook knows no others. "The first Sunday from
    the 2nd on" (Chile) needs the days spelt out. Where the moon decides
    (Morocco), the rule is true for its own year only.
    """
    weekday = _WEEKDAYS[day.weekday()]

    def like(other: date) -> bool:
        return (other.month, other.weekday()) == (day.month, day.weekday())

    def is_last(other: date) -> bool:
        return (other + timedelta(days=7)).month != other.month

    def within(first: int) -> Callable[[date], bool]:
        return lambda other: like(other) and first <= other.day < first + 7

    if is_last(day):
        yield f"BYDAY=-1{weekday}", lambda other: like(other) and is_last(other)
    nth = (day.day - 1) // 7
    if nth < 4:
        yield f"BYDAY={nth + 1}{weekday}", within(nth * 7 + 1)
    for first in range(max(day.day - 6, 1), day.day + 1):
        month_days = ",".join(str(d) for d in range(first, min(first + 7, 32)))
        yield f"BYMONTHDAY={month_days};BYDAY={weekday}", within(first)


def _offset_at(moment: datetime, tz: ZoneInfo) -> timedelta:
    return moment.astimezone(tz).utcoffset() or timedelta()


def _offset(offset: timedelta) -> str:
    sign = "-" if offset < timedelta() else "+"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    return f"{sign}{minutes // 60:02}{minutes % 60:02}" + (f"{seconds:02}" if seconds else "")
