"""Times and time zones of an iCalendar file, as wall times in IANA zones."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sync_ui.domain import recurrence, zones
from sync_ui.domain.ics_lines import Component, Property
from sync_ui.domain.reading import one_line, shortened
from sync_ui.errors import Invalid

FIRST_YEAR, LAST_YEAR = 1900, 2200

_TIME = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d):?(\d\d)?(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Time:
    """A wall time in `zone`, or a day."""

    value: datetime | date
    zone: str

    @property
    def all_day(self) -> bool:
        return not isinstance(self.value, datetime)

    def moment(self) -> datetime:
        if not isinstance(self.value, datetime):
            return recurrence.in_utc(datetime.combine(self.value, datetime.min.time()), self.zone)
        return recurrence.in_utc(self.value, self.zone)

    def within(self, zone: str) -> "Time":
        """The same moment on the clocks of another zone."""
        if self.all_day or self.zone == zone:
            return self
        local = self.moment().astimezone(ZoneInfo(zone))
        return Time(local.replace(tzinfo=None, fold=0), zone)


class Zones:
    """What the time zone names of one calendar mean."""

    def __init__(self, calendar: Component, practice_zone: str, today: date) -> None:
        self._definitions = {
            one_line(child.text("TZID")).strip('"'): child
            for child in calendar.children
            if child.name == "VTIMEZONE"
        }
        self._today = today
        self._known: dict[str, str | None] = {}
        self.practice = practice_zone
        self.own = practice_zone
        declared = one_line(calendar.text("X-WR-TIMEZONE"))
        if declared:
            self.own = zones.named(declared) or practice_zone

    def named(self, name: str) -> str:
        """The IANA zone that a TZID means. Raises `Invalid` if nobody knows."""
        if name not in self._known:
            self._known[name] = zones.named(name) or self._defined(one_line(name))
        zone = self._known[name]
        if not zone:
            raise Invalid(
                f"Its time zone “{shortened(name)}” is not known."
                " Give the event a zone such as America/New_York and export again."
            )
        return zone

    def _defined(self, name: str) -> str | None:
        """The IANA zone that does what the file says about its own one."""
        if name not in self._definitions:
            return None
        definition = self._definitions[name]
        try:
            return zones.named(definition.text("X-LIC-LOCATION")) or zones.behaving(
                _observances(definition), (self.practice, self.own), self._today
            )
        except Invalid:
            return None


def _observances(definition: Component) -> list[zones.Observance]:
    found = []
    for child in definition.children:
        start = _TIME.fullmatch(child.value("DTSTART"))
        if start:
            found.append(
                zones.Observance(
                    starts=_wall(start),
                    before=_offset(child.value("TZOFFSETFROM")),
                    after=_offset(child.value("TZOFFSETTO")),
                    rule=child.value("RRULE"),
                    additions=tuple(
                        _wall(match)
                        for each in child.all("RDATE")
                        for part in each.value.split(",")
                        if (match := _TIME.fullmatch(part.strip()))
                    ),
                )
            )
    if not found:
        raise Invalid("The time zone is not described.")
    return found


def _offset(text: str) -> timedelta:
    match = re.fullmatch(r"([+-]?)(\d\d):?(\d\d)(?::?\d\d)?", text, re.ASCII)
    if not match or int(match[2]) > 15:
        raise Invalid(f"“{shortened(text)}” is no offset from UTC.")
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -size if match[1] == "-" else size


def _wall(match: re.Match[str]) -> datetime:
    """The wall time of a matched time. Raises `Invalid` for a 31 February."""
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        # A leap second belongs to the minute before.
        return datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        raise Invalid(_no_date(match[0])) from None


def _no_date(text: str) -> str:
    return f"“{shortened(text)}” is no date that can be read. Correct it and export again."


def times(found: Property, known: Zones) -> Iterator[Time]:
    """The times of a property such as DTSTART (one) or EXDATE (any number).

    Raises `Invalid` for one that cannot be read or has an unknown zone.
    """
    for value in found.value.split(","):
        if value.strip():
            yield _time(found, value, known)


def _time(found: Property, text: str, known: Zones) -> Time:
    # A period (RDATE;VALUE=PERIOD) begins with its start.
    match = _TIME.fullmatch(text.partition("/")[0].strip())
    if not match:
        raise Invalid(_no_date(text))
    wall = _wall(match)
    if not FIRST_YEAR <= wall.year <= LAST_YEAR:
        raise Invalid(f"Its year {wall.year} is not between {FIRST_YEAR} and {LAST_YEAR}.")
    if not match[4] or found.parameter("VALUE").upper() == "DATE":
        return Time(wall.date(), known.practice)
    suffix = (match[7] or "").upper()
    if suffix == "Z":
        return Time(wall, "UTC")
    if suffix:
        return Time(wall - _offset(suffix), "UTC")
    name = found.parameter("TZID")
    return Time(wall, known.named(name) if name else known.own)
