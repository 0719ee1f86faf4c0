"""Recurrence rules (RFC 5545, 3.3.10): which wall times a series falls on.

Occurrences are wall times in the zone of the series, so that a weekly 10:00
stays at 10:00 when the clocks change. `in_utc` gives the moment.

Written out here, and not taken from a library, because rules come from
strangers: dateutil searches up to the year 9999 for a 30 February, which takes
seconds. Here the work is bounded by the span that is asked for. dateutil is
the oracle of the tests.
"""

import calendar
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, islice
from zoneinfo import ZoneInfo

from sync_ui.errors import Invalid

# In the two years around any day; a daily event has 730.
MAX_OCCURRENCES = 1_000
MAX_COUNT = 10_000
MAX_INTERVAL = 1_000
_MAX_TIMES_A_DAY = 24
_MAX_LENGTH = 2_000

_LAST_YEAR = 2200
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ORDER = (
    "FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY",
    "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST",
)  # fmt: skip


def in_utc(wall: datetime, zone: str) -> datetime:
    """The moment of a wall time.

    A time that the clocks skip is taken with the offset before the gap, and
    one that they show twice is the first of the two (RFC 5545, 3.3.5).
    """
    # With fold=0 the standard library does exactly that (PEP 495).
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def expand(
    rule: str,
    starts: datetime | date,
    zone: str,
    after: datetime | date,
    before: datetime | date,
    exceptions: Iterable[datetime | date] = (),
    additions: Iterable[datetime | date] = (),
) -> list[datetime | date]:
    """The occurrences from `after` on and before `before`, in order.

    Wall times without zone, or days if `starts` is a day. `starts` is the first
    occurrence and counts for COUNT, whether the rule falls on it or not
    (RFC 5545, 3.8.5.3). An UNTIL in UTC is compared as a moment in `zone`.
    Raises `Invalid` for a rule that cannot be read.
    """
    all_day = not isinstance(starts, datetime)
    low, high = _as_wall(after), min(_as_wall(before), datetime(_LAST_YEAR + 1, 1, 1))
    walls = set(_occurrences(rule, _as_wall(starts), zone, low, high, all_day))
    walls.update(_as_wall(addition) for addition in additions)
    walls.difference_update(_as_wall(exception) for exception in exceptions)
    chosen = sorted(wall for wall in walls if low <= wall < high)
    return [wall.date() if all_day else wall for wall in chosen]


def check(rule: str) -> None:
    """Passes a rule whose occurrences a schedule can hold.

    Raises `Invalid` for one that cannot be read, never comes true, or has more
    than `MAX_OCCURRENCES` in two years.
    """
    parsed = _parsed(rule)
    pattern = replace(parsed, count=None, until=None)
    found = _found_in_two_years(pattern)
    if not found and not _comes_true(pattern):
        raise Invalid("The repeat rule names days that do not exist, so it never comes true.")
    few = parsed.count is not None and parsed.count <= MAX_OCCURRENCES
    if found > MAX_OCCURRENCES and not few:
        raise Invalid(
            f"It repeats more than {MAX_OCCURRENCES} times in two years."
            " Let it repeat at most once a day."
        )


def normalised(rule: str) -> str:
    """The same rule in upper case, in the RFC's order, without unknown parts.

    Raises `Invalid` for one that cannot be read.
    """
    _parsed(rule)
    parts = _parts(rule)
    if parts.get("INTERVAL") == "1":
        del parts["INTERVAL"]
    return ";".join(f"{name}={parts[name]}" for name in _ORDER if name in parts)


# Reading a rule


@dataclass(frozen=True, slots=True)
class _Until:
    """`wall` is a wall time; `moment` a moment in UTC. One of them is set."""

    wall: datetime | None = None
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    freq: str
    interval: int = 1
    count: int | None = None
    until: _Until | None = None
    seconds: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()  # (which, 0 = every; weekday)
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0


def _parts(rule: str) -> dict[str, str]:
    if len(rule) > _MAX_LENGTH:
        raise Invalid("The repeat rule is too long. Set the repeat again and export anew.")
    parts: dict[str, str] = {}
    for part in re.sub(r"\s", "", rule).upper().split(";"):
        name, _, value = part.partition("=")
        if not name:
            continue
        if not value or name in parts:
            raise Invalid("The repeat rule cannot be read. Set the repeat again and export anew.")
        parts[name] = value
    return parts


@lru_cache(maxsize=4096)
def _parsed(rule: str) -> _Rule:
    parts = _parts(rule)
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise Invalid("The repeat rule follows another calendar than the Gregorian one.")
    parsed = _Rule(
        freq=_freq(parts.get("FREQ", "")),
        interval=_number(parts, "INTERVAL", MAX_INTERVAL) or 1,
        count=_number(parts, "COUNT", MAX_COUNT),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        seconds=_numbers(parts, "BYSECOND", 0, 59),
        minutes=_numbers(parts, "BYMINUTE", 0, 59),
        hours=_numbers(parts, "BYHOUR", 0, 23),
        weekdays=_weekdays(parts.get("BYDAY", "")),
        month_days=_signed(parts, "BYMONTHDAY", 31),
        year_days=_signed(parts, "BYYEARDAY", 366),
        weeks=_signed(parts, "BYWEEKNO", 53),
        months=_numbers(parts, "BYMONTH", 1, 12),
        positions=_signed(parts, "BYSETPOS", 366),
        week_start=_weekday(parts.get("WKST", "MO")),
    )
    times = max(1, len(parsed.hours)) * max(1, len(parsed.minutes)) * max(1, len(parsed.seconds))
    if times > _MAX_TIMES_A_DAY:
        raise Invalid("It repeats many times a day. Let it repeat at most once a day.")
    return parsed


def _freq(value: str) -> str:
    if value in ("SECONDLY", "MINUTELY", "HOURLY"):
        raise Invalid(
            "It repeats every hour or more often."
            " Only daily, weekly, monthly and yearly repeats can be taken."
        )
    if value not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise Invalid("The repeat rule does not say daily, weekly, monthly or yearly.")
    return value


def _number(parts: dict[str, str], name: str, most: int) -> int | None:
    """A number from 1 to `most`, or None if the rule does not give it."""
    if name not in parts:
        return None
    number = _integer(parts[name])
    if not 1 <= number <= most:
        raise Invalid(f"The repeat rule's {name} must be a number from 1 to {most}.")
    return number


def _numbers(parts: dict[str, str], name: str, least: int, most: int) -> tuple[int, ...]:
    if name not in parts:
        return ()
    numbers = sorted({_integer(value) for value in parts[name].split(",") if value})
    if not numbers or numbers[0] < least or numbers[-1] > most:
        raise Invalid(f"The repeat rule's {name} holds a number that does not exist.")
    return tuple(numbers)


def _signed(parts: dict[str, str], name: str, most: int) -> tuple[int, ...]:
    numbers = _numbers(parts, name, -most, most)
    if 0 in numbers:
        raise Invalid(f"The repeat rule's {name} holds a number that does not exist.")
    return numbers


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        raise Invalid("The repeat rule holds a word where a number belongs.")
    return int(text)


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise Invalid("The repeat rule names an unknown weekday.")
    return _WEEKDAYS.index(text)


def _weekdays(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for part in filter(None, text.split(",")):
        which = _integer(part[:-2]) if part[:-2] else 0
        if abs(which) > 53:
            raise Invalid("The repeat rule's BYDAY holds a number that does not exist.")
        found.add((which, _weekday(part[-2:])))
    return tuple(sorted(found))


def _until(text: str) -> _Until | None:
    match = re.fullmatch(
        r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(Z)?)?", text, re.ASCII
    )
    if not match:
        raise Invalid("The repeat rule's UNTIL is no date.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if year > _LAST_YEAR:
        return None  # some programs write the year 9999 for "for ever"
    try:
        wall = datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        raise Invalid("The repeat rule's UNTIL is no date.") from None
    if match[7]:
        return _Until(moment=wall.replace(tzinfo=UTC))
    # A day includes all of it (RFC 5545 wants the type of DTSTART; many do not care).
    return _Until(wall=wall if match[4] else datetime.combine(wall, time.max))


# Finding occurrences


def _occurrences(
    rule: str, begin: datetime, zone: str, low: datetime, high: datetime, all_day: bool
) -> Iterator[datetime]:
    if not rule:
        yield begin
        return
    parsed = _anchored(_parsed(rule), begin, all_day)
    allowed, last = _bounds(parsed.until, zone, all_day)
    # Only a COUNT makes it matter what was before the span.
    first = begin if parsed.count is not None else max(begin, low)
    later = (
        wall
        for wall in _walls(parsed, begin, first.date(), min(high, last))
        if wall > begin and allowed(wall)
    )
    if allowed(begin):
        yield from islice(chain((begin,), later), parsed.count)


def _bounds(
    until: _Until | None, zone: str, all_day: bool
) -> tuple[Callable[[datetime], bool], datetime]:
    """Whether a wall time is within UNTIL, and a wall time after which none is."""
    if until is None:
        return lambda _: True, datetime.max
    if until.wall is not None:
        return until.wall.__ge__, until.wall + timedelta(days=1)
    assert until.moment is not None
    moment = until.moment
    if all_day:
        # Midnight in UTC is how some programs write a day; any other time is
        # the end of a day in the zone.
        local = moment if moment.time() == time() else moment.astimezone(ZoneInfo(zone))
        return local.replace(tzinfo=None).__ge__, moment.replace(tzinfo=None) + timedelta(days=2)
    return (
        lambda wall: in_utc(wall, zone) <= moment,
        moment.replace(tzinfo=None) + timedelta(days=2),
    )


def _anchored(rule: _Rule, begin: datetime, all_day: bool) -> _Rule:
    """What the rule leaves open comes from the first occurrence."""
    if all_day:
        rule = replace(rule, hours=(0,), minutes=(0,), seconds=(0,))
    rule = replace(
        rule,
        hours=rule.hours or (begin.hour,),
        minutes=rule.minutes or (begin.minute,),
        seconds=rule.seconds or (begin.second,),
    )
    if rule.weekdays or rule.month_days or rule.year_days or rule.weeks:
        return rule
    if rule.freq == "WEEKLY":
        return replace(rule, weekdays=((0, begin.weekday()),))
    if rule.freq == "MONTHLY":
        return replace(rule, month_days=(begin.day,))
    if rule.freq == "YEARLY":
        return replace(rule, months=rule.months or (begin.month,), month_days=(begin.day,))
    return rule


def _walls(rule: _Rule, begin: datetime, first: date, end: datetime) -> Iterator[datetime]:
    """What the rule falls on, from the period that holds `first` up to `end`."""
    times = [time(h, m, s) for h in rule.hours for m in rule.minutes for s in rule.seconds]
    matches = _day_filter(rule)
    for days in _periods(rule, begin.date(), first, end.date()):
        chosen = (date.fromordinal(day) for day in days)
        walls = [datetime.combine(day, at) for day in chosen if matches(day) for at in times]
        yield from _positioned(walls, rule.positions)


def _positioned(walls: list[datetime], positions: tuple[int, ...]) -> list[datetime]:
    if not positions:
        return walls
    indexes = {position - 1 if position > 0 else len(walls) + position for position in positions}
    return [walls[index] for index in sorted(indexes) if 0 <= index < len(walls)]


def _periods(rule: _Rule, begin: date, first: date, last: date) -> Iterator[range]:
    """The days (ordinals) of every `interval`th period from `begin` on.

    Periods before the one that holds `first` are skipped without being looked at.
    """
    number, period = _numbering(rule)
    start = number(begin)
    steps = max(0, number(first) - start) // rule.interval
    for step in range(start + steps * rule.interval, number(last) + 1, rule.interval):
        yield period(step)


def _numbering(rule: _Rule) -> tuple[Callable[[date], int], Callable[[int], range]]:
    """How to count periods: the number of a day's period, and a period's days."""
    if rule.freq == "DAILY":
        return date.toordinal, lambda number: range(number, number + 1)
    if rule.freq == "WEEKLY":
        # Ordinal 1 is a Monday.
        shift = 1 + rule.week_start
        return (
            lambda day: (day.toordinal() - shift) // 7,
            lambda number: range(max(1, number * 7 + shift), number * 7 + shift + 7),
        )
    if rule.freq == "MONTHLY":
        return lambda day: day.year * 12 + day.month - 1, _month
    return lambda day: day.year, _year


def _month(number: int) -> range:
    year, month = divmod(number, 12)
    first = date(year, month + 1, 1).toordinal()
    return range(first, first + calendar.monthrange(year, month + 1)[1])


def _year(number: int) -> range:
    return range(date(number, 1, 1).toordinal(), date(number, 12, 31).toordinal() + 1)


def _day_filter(rule: _Rule) -> Callable[[date], bool]:
    """Whether a day passes every BY* part."""
    filters: list[Callable[[date], bool]] = []
    if rule.months:
        filters.append(lambda day: day.month in rule.months)
    if rule.weekdays:
        filters.append(_weekday_filter(rule))
    if rule.month_days:
        filters.append(lambda day: _counts(day.day, _days_in_month(day), rule.month_days))
    if rule.year_days:
        filters.append(lambda day: _counts(_year_day(day), _days_in_year(day), rule.year_days))
    if rule.weeks:
        filters.append(lambda day: _counts(*_week(day, rule.week_start), rule.weeks))
    return lambda day: all(passes(day) for passes in filters)


def _weekday_filter(rule: _Rule) -> Callable[[date], bool]:
    every = {weekday for which, weekday in rule.weekdays if not which}
    by_month = rule.freq == "MONTHLY" or bool(rule.months)
    if rule.freq in ("DAILY", "WEEKLY"):  # "the first Monday" makes no sense there
        every = {weekday for _, weekday in rule.weekdays}

    def passes(day: date) -> bool:
        if day.weekday() in every:
            return True
        nth = tuple(which for which, weekday in rule.weekdays if weekday == day.weekday())
        if not nth:
            return False
        place, length = (
            (day.day, _days_in_month(day)) if by_month else (_year_day(day), _days_in_year(day))
        )
        return (place - 1) // 7 + 1 in nth or -((length - place) // 7 + 1) in nth

    return passes


def _counts(place: int, length: int, places: Collection[int]) -> bool:
    """True if a place, counted from the front or from the back, is wanted."""
    return place in places or place - length - 1 in places


def _days_in_month(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _days_in_year(day: date) -> int:
    return 366 if calendar.isleap(day.year) else 365


def _year_day(day: date) -> int:
    return day.timetuple().tm_yday


def _week(day: date, week_start: int) -> tuple[int, int]:
    """The number of the day's week and how many weeks its year has.

    Week 1 is the first with at least four days in the year; weeks begin on
    `week_start`.
    """
    # The week belongs to the year that holds its fourth day.
    fourth = day - timedelta(days=(day.weekday() - week_start) % 7 - 3)
    number = (_year_day(fourth) - 1) // 7 + 1
    left = (_days_in_year(fourth) - _year_day(fourth)) // 7
    return number, number + left


# Weighing a rule

_SAMPLE = datetime(2024, 1, 1, 9)


@lru_cache(maxsize=4096)
def _found_in_two_years(pattern: _Rule) -> int:
    rule = _anchored(pattern, _SAMPLE, all_day=False)
    walls = _walls(rule, _SAMPLE, _SAMPLE.date(), _SAMPLE + timedelta(days=730))
    return sum(1 for _ in islice(walls, MAX_OCCURRENCES + 1))


@lru_cache(maxsize=4096)
def _comes_true(pattern: _Rule) -> bool:
    """False for a 30 February. A 29 February on a Monday comes within 40 years."""
    rule = replace(_anchored(pattern, _SAMPLE, all_day=False), interval=1)
    walls = _walls(rule, _SAMPLE, _SAMPLE.date(), _SAMPLE.replace(year=_SAMPLE.year + 56))
    return next(walls, None) is not None


def _as_wall(value: datetime | date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())
