"""How an appointment repeats, as a form asks for it and as a sentence tells it."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sync_ui.domain import rules
from sync_ui.domain.rules import WEEKDAYS, Rule, Until
from sync_ui.errors import Invalid

_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}


class Freq(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class By(StrEnum):
    """What a month's turn falls on."""

    DAY = "day"
    WEEKDAY = "weekday"
    LAST_DAY = "last_day"
    LAST_WEEKDAY = "last_weekday"


@dataclass(frozen=True, slots=True)
class Repeat:
    """What a form's repeat controls say; the first day gives what they leave open.

    `weekdays` (Monday is 0) are for weekly ones, `by` for monthly ones. It ends
    with the day `ends`, after `count` turns, or never. A month without a 29th,
    30th or 31st is skipped (RFC 5545); `LAST_DAY` skips none. A fifth weekday is
    taken as the month's last.
    """

    freq: Freq
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    by: By = By.DAY
    ends: date | None = None
    count: int | None = None

    def rule(self, first: date) -> str:
        """The RRULE value, as `rules.normalised` writes it. Raises Invalid."""
        if self.ends and self.count:
            raise Invalid("Let it end on a day or after a number of times, not both.")
        if self.ends and self.ends < first:
            raise Invalid("The repeat ends before it begins. Choose a later day.")
        parts = [f"FREQ={self.freq.upper()}", f"INTERVAL={self.interval}", *self._on(first)]
        if self.ends:
            parts.append(f"UNTIL={self.ends:%Y%m%d}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        return rules.normalised(";".join(parts))

    def day_in(self, year: int, month: int, first: date) -> date | None:
        """The day of a monthly or yearly one in that month; None if it has none."""
        length = calendar.monthrange(year, month)[1]
        if self.by is By.LAST_DAY:
            return date(year, month, length)
        if self.by is By.DAY:
            return date(year, month, first.day) if first.day <= length else None
        which = self._place(first)
        if which < 0:
            last = date(year, month, length)
            return last - timedelta(days=(last.weekday() - first.weekday()) % 7)
        begin = date(year, month, 1)
        return begin + timedelta(days=(first.weekday() - begin.weekday()) % 7 + 7 * (which - 1))

    def _on(self, first: date) -> list[str]:
        if self.freq is Freq.WEEKLY:
            days = sorted(self.weekdays or (first.weekday(),))
            return [f"BYDAY={','.join(WEEKDAYS[day] for day in days)}"]
        if self.freq is Freq.YEARLY:
            return [f"BYMONTH={first.month}", f"BYMONTHDAY={first.day}"]
        if self.freq is Freq.DAILY:
            return []
        if self.by in (By.DAY, By.LAST_DAY):
            return [f"BYMONTHDAY={first.day if self.by is By.DAY else -1}"]
        return [f"BYDAY={self._place(first)}{WEEKDAYS[first.weekday()]}"]

    def _place(self, first: date) -> int:
        place = (first.day - 1) // 7 + 1
        return -1 if self.by is By.LAST_WEEKDAY or place > 4 else place


def read(rule: str, zone: str = "UTC") -> Repeat | None:
    """What the controls would say, or None for a rule that they cannot show.

    `zone` tells the day of an end that is written in UTC. Raises Invalid for a
    rule that cannot be read.
    """
    parsed = rules.parsed(rule)
    exotic = (parsed.seconds, parsed.minutes, parsed.hours, parsed.year_days, parsed.weeks)
    if any(exotic) or (parsed.until and parsed.count):
        return None
    freq = Freq(parsed.freq.lower())
    ends = _last_day(parsed.until, zone)
    if freq is Freq.WEEKLY:
        return _read_weekly(parsed, ends)
    if freq is Freq.MONTHLY:
        return _read_monthly(parsed, ends)
    dated = freq is Freq.YEARLY and len(parsed.months) == 1 and len(parsed.month_days) == 1
    bare = not parsed.months and not parsed.month_days
    if parsed.weekdays or parsed.positions or not (bare or (dated and parsed.month_days[0] > 0)):
        return None
    return Repeat(freq, parsed.interval, ends=ends, count=parsed.count)


def _read_weekly(parsed: Rule, ends: date | None) -> Repeat | None:
    days = tuple(sorted({day for _, day in parsed.weekdays}))
    # Where the week begins tells only every other week's days apart.
    weeks_matter = parsed.interval > 1 and len(days) > 1 and parsed.week_start != 0
    if parsed.months or parsed.month_days or parsed.positions or weeks_matter:
        return None
    return Repeat(Freq.WEEKLY, parsed.interval, days, ends=ends, count=parsed.count)


def _read_monthly(parsed: Rule, ends: date | None) -> Repeat | None:
    on = nth_weekday(parsed)
    if parsed.months or (parsed.weekdays and (on is None or parsed.month_days)):
        return None
    if on:
        by = By.LAST_WEEKDAY if on[0] == -1 else By.WEEKDAY
    elif parsed.positions or len(parsed.month_days) > 1 or min(parsed.month_days, default=1) < -1:
        return None
    else:
        by = By.LAST_DAY if parsed.month_days == (-1,) else By.DAY
    return Repeat(Freq.MONTHLY, parsed.interval, by=by, ends=ends, count=parsed.count)


def nth_weekday(parsed: Rule) -> tuple[int, int] | None:
    """A month's second Tuesday as (2, 1); some programs write BYDAY=TU;BYSETPOS=2."""
    if len(parsed.weekdays) != 1 or len(parsed.positions) > 1:
        return None
    which, day = parsed.weekdays[0]
    if parsed.positions:
        which = parsed.positions[0] if which == 0 else 0
    return (which, day) if which in _PLACES else None


def _last_day(until: Until | None, zone: str) -> date | None:
    if until is None:
        return None
    if until.wall is not None:
        return until.wall.date()
    assert until.moment is not None
    return until.moment.astimezone(ZoneInfo(zone)).date()


# In words


def words(rule: str, first: date, zone: str = "UTC") -> str:
    """As in "every 2 weeks on Monday and Thursday until Dec 24, 2026"."""
    repeat = read(rule, zone)
    if repeat is None:
        return "by a rule of its own"
    sentence = _every(repeat) + _on_which(repeat, rules.parsed(rule), first)
    if repeat.ends:
        return f"{sentence} until {repeat.ends:%b} {repeat.ends.day}, {repeat.ends.year}"
    if repeat.count:
        return f"{sentence}, {'once' if repeat.count == 1 else f'{repeat.count} times'}"
    return sentence


def _every(repeat: Repeat) -> str:
    unit = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}[repeat.freq]
    return f"every {unit}" if repeat.interval == 1 else f"every {repeat.interval} {unit}s"


def _on_which(repeat: Repeat, parsed: Rule, first: date) -> str:
    if repeat.freq is Freq.DAILY:
        return ""
    if repeat.freq is Freq.WEEKLY:
        return f" on {_listed([_weekday(day) for day in repeat.weekdays or (first.weekday(),)])}"
    if repeat.freq is Freq.YEARLY:
        month = parsed.months[0] if parsed.months else first.month
        day = parsed.month_days[0] if parsed.month_days else first.day
        return f" on {calendar.month_name[month]} {day}"
    on = nth_weekday(parsed)
    if on:
        return f" on the {_PLACES[on[0]]} {_weekday(on[1])}"
    if repeat.by is By.LAST_DAY:
        return " on the last day"
    return f" on the {_ordinal(parsed.month_days[0] if parsed.month_days else first.day)}"


def _weekday(day: int) -> str:
    return str(calendar.day_name[day])


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ordinal(day: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th") if day not in (11, 12, 13) else "th"
    return f"{day}{ending}"
