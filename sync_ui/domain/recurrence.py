"""Recurrence rules (RFC 5545, 3.3.10): which wall times a series falls on.

Occurrences are wall times in the zone of the series, so that a weekly 10:00
stays at 10:00 when the clocks change. `in_utc` gives the moment.

Written out here, and not taken from a library, because rules come from
strangers: dateutil searches up to the year 9999 for a 30 February, which takes
seconds. Here the work is bounded by the span that is asked for. dateutil is
the oracle of the tests.
"""

import calendar
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, islice
from zoneinfo import ZoneInfo

from sync_ui.domain import rules
from sync_ui.domain.rules import LAST_YEAR, Rule, Until
from sync_ui.errors import Invalid

# In the two years around any day; a daily event has 730.
MAX_OCCURRENCES = 1_000


def in_utc(wall: datetime, zone: str) -> datetime:
    """The moment of a wall time.

    A time that the clocks skip is taken with the offset before the gap, and
    one that they show twice is the first of the two (RFC 5545, 3.3.5).
    """
    # With fold=0 the standard library does exactly that (PEP 495).
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def on_the_wall(moment: datetime, zone: str) -> datetime:
    """What the clocks on the wall show at a moment."""
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def is_shown_once(wall: datetime, zone: str) -> bool:
    """False in the hour that the clocks skip or show twice."""
    known = ZoneInfo(zone)
    first, second = (wall.replace(tzinfo=known, fold=fold).utcoffset() for fold in (0, 1))
    return first == second


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
    low, high = _as_wall(after), min(_as_wall(before), datetime(LAST_YEAR + 1, 1, 1))
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
    parsed = rules.parsed(rule)
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


# Finding occurrences


def _occurrences(
    rule: str, begin: datetime, zone: str, low: datetime, high: datetime, all_day: bool
) -> Iterator[datetime]:
    if not rule:
        yield begin
        return
    parsed = _anchored(rules.parsed(rule), begin, all_day)
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
    until: Until | None, zone: str, all_day: bool
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


def _anchored(rule: Rule, begin: datetime, all_day: bool) -> Rule:
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


def _walls(rule: Rule, begin: datetime, first: date, end: datetime) -> Iterator[datetime]:
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


def _periods(rule: Rule, begin: date, first: date, last: date) -> Iterator[range]:
    """The days (ordinals) of every `interval`th period from `begin` on.

    Periods before the one that holds `first` are skipped without being looked at.
    """
    number, period = _numbering(rule)
    start = number(begin)
    steps = max(0, number(first) - start) // rule.interval
    for step in range(start + steps * rule.interval, number(last) + 1, rule.interval):
        yield period(step)


def _numbering(rule: Rule) -> tuple[Callable[[date], int], Callable[[int], range]]:
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


def _day_filter(rule: Rule) -> Callable[[date], bool]:
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


def _weekday_filter(rule: Rule) -> Callable[[date], bool]:
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
def _found_in_two_years(pattern: Rule) -> int:
    rule = _anchored(pattern, _SAMPLE, all_day=False)
    walls = _walls(rule, _SAMPLE, _SAMPLE.date(), _SAMPLE + timedelta(days=730))
    return sum(1 for _ in islice(walls, MAX_OCCURRENCES + 1))


@lru_cache(maxsize=4096)
def _comes_true(pattern: Rule) -> bool:
    """False for a 30 February. A 29 February on a Monday comes within 40 years."""
    rule = replace(_anchored(pattern, _SAMPLE, all_day=False), interval=1)
    walls = _walls(rule, _SAMPLE, _SAMPLE.date(), _SAMPLE.replace(year=_SAMPLE.year + 56))
    return next(walls, None) is not None


def _as_wall(value: datetime | date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())
