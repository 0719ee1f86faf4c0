"""Dates and times as people and spreadsheets write them.

Whether 03/04/2026 is in March or in April, one cell cannot tell: the order is
settled for a whole file (`day_comes_first`) before its cells are read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta

from sync_ui.domain.reading import shortened
from sync_ui.errors import Invalid

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.?,? )?"
_SLASHED = r"(?P<a>\d{1,2})(?P<sign>[/-])(?P<b>\d{1,2})(?P=sign)(?P<year>\d{4}|\d\d)(?!\d)"
_DATES = tuple(
    re.compile(_WEEKDAY + pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?!\d)",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
        _SLASHED,
        r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4}|\d\d)(?!\d)",
        rf"{_MONTH_NAME} ?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})(?!\d)",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[ -]?"
        rf"{_MONTH_NAME},?[ -]?(?P<year>\d{{4}}|\d\d)(?!\d)",
    )
)
_BOTH_ORDERS = re.compile(_WEEKDAY + _SLASHED, re.ASCII | re.IGNORECASE)
_CLOCK = re.compile(
    r"(?:(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d\d)(?:[:.](?P<second>\d\d)(?:[.,]\d{1,9})?)?)?"
    r"|(?P<hours>\d\d)(?P<minutes>\d\d)(?:\d\d)?)"
    r" ?(?:(?P<half>[ap])\.? ?m\.?)?(?P<offset> ?(?:z|utc|gmt)| ?[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_LENGTH = re.compile(
    r"(?:(?P<hours>\d{1,3}(?:\.\d{1,2})?) ?(?:h|hrs?|hours?)\.?,?)?"
    r" ?(?:(?P<minutes>\d{1,4})(?:\.0+)? ?(?:m|mins?|minutes?)?\.?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a cell says: a day, a time of day, or both; perhaps an offset from UTC."""

    day: date | None = None
    clock: time | None = None
    offset: timedelta | None = None


def day_comes_first(cells: Iterable[str], zone: str) -> tuple[bool, bool]:
    """Whether 03/04/2026 is 3 April in these cells, and whether they leave it open.

    A 13 or more settles it for all; else the custom of the zone does.
    """
    votes = {True: 0, False: 0}
    unsettled = False
    for cell in cells:
        match = _BOTH_ORDERS.match(_spaced(cell))
        if match:
            a, b = int(match["a"]), int(match["b"])
            votes[True] += a > 12 >= b
            votes[False] += b > 12 >= a
            unsettled = unsettled or a != b
    custom = not (zone.startswith(("America/", "US/")) or zone == "Pacific/Honolulu")
    if votes[True] == votes[False]:
        return custom, unsettled and not votes[True]
    return votes[True] > votes[False], False


def order_name(*, day_first: bool) -> str:
    return "day/month" if day_first else "month/day"


def moment(cell: str, *, day_first: bool) -> Moment:
    """The day and the time in a cell. Raises `Invalid` for anything else in it."""
    text = _spaced(cell)
    day, rest = _day(text, day_first=day_first)
    rest = re.sub(r"^(?:,? ?at |,? |t)", "", rest, flags=re.IGNORECASE)
    if not rest and day:
        return Moment(day)
    clock, offset = _clock(rest, cell)
    return Moment(day, clock, offset)


def minutes(cell: str) -> int:
    """A length such as "50", "50 min", "1 h 30", "1.5 hours" or "0:50" in minutes."""
    text = _spaced(cell)
    clock = re.fullmatch(r"(\d{1,2}):(\d\d)(?::00)?", text, re.ASCII)
    if clock:
        length = int(clock[1]) * 60 + int(clock[2])
    else:
        match = _LENGTH.fullmatch(text)
        if not text or not match:
            raise Invalid(f"“{shortened(cell)}” is no length that can be read; write minutes.")
        length = round(float(match["hours"] or 0) * 60) + int(match["minutes"] or 0)
    if not 0 < length <= 24 * 60:
        raise Invalid(f"“{shortened(cell)}” is no length of a session; write 1 to 1440 minutes.")
    return length


def _spaced(cell: str) -> str:
    return " ".join(cell.split())


def _day(text: str, *, day_first: bool) -> tuple[date | None, str]:
    """The day that the text begins with, if with one, and what follows it."""
    for pattern in _DATES:
        match = pattern.match(text)
        if match:
            return _calendar_day(match, day_first=day_first), text[match.end() :]
    return None, text


def _calendar_day(match: re.Match[str], *, day_first: bool) -> date:
    found = match.groupdict()
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 2000
    if "a" in found:
        first, second = int(found["a"]), int(found["b"])
        day, month = (first, second) if day_first else (second, first)
    else:
        day = int(found["day"])
        month = (
            _MONTHS.index(found["name"][:3].lower()) + 1 if "name" in found else int(found["month"])
        )
    try:
        at = date(year, month, day)
    except ValueError:
        order = f", read as {order_name(day_first=day_first)}" if "a" in found else ""
        raise Invalid(f"“{shortened(match[0])}” is no day of the calendar{order}.") from None
    if not 1900 <= year <= 2200:
        raise Invalid(f"Its year {year} is not between 1900 and 2200.")
    return at


def _clock(text: str, cell: str) -> tuple[time, timedelta | None]:
    match = _CLOCK.fullmatch(text)
    # A lone number is no time.
    if not match or not (match["minute"] or match["half"] or match["minutes"]):
        raise Invalid(f"“{shortened(cell)}” is no date or time that can be read.")
    hour = int(match["hour"] or match["hours"])
    minute = int(match["minute"] or match["minutes"] or 0)
    if match["half"] and hour <= 12:
        hour = hour % 12 + (12 if match["half"] in "pP" else 0)
    try:
        clock = time(hour, minute, min(int(match["second"] or 0), 59))
    except ValueError:
        raise Invalid(f"“{shortened(cell)}” is no time of the day.") from None
    return clock, _offset(match["offset"])


def _offset(text: str | None) -> timedelta | None:
    if text is None:
        return None
    digits = re.sub(r"[^\d]", "", text)
    if not digits:
        return timedelta()
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if "-" in text else size
