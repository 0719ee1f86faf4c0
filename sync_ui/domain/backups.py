"""Which backups are kept, and when the next one is due: pure rules."""

from collections.abc import Hashable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

DAYS, WEEKS, MONTHS = 7, 4, 6

# Of what an upgrade or a restore has kept: so many, and for so long however many they are.
FORMER = 3
A_MONTH = timedelta(days=30)

# In the practice's own time: nobody books then.
AT = time(2)
A_DAY = timedelta(days=1)

# After one that failed.
AGAIN = timedelta(hours=1)

# Older ones no longer protect; an administrator is told.
TOO_OLD = timedelta(days=2)

Span = TypeVar("Span", bound=Hashable)


def kept(moments: Iterable[datetime], zone: ZoneInfo) -> set[datetime]:
    """Of these backups: the latest of each of 7 days, of 4 weeks and of 6 months that have one."""
    latest_first = sorted(set(moments), reverse=True)
    days = [moment.astimezone(zone).date() for moment in latest_first]
    return {
        *_latest_of_each(latest_first, days, DAYS),
        *_latest_of_each(latest_first, [_week(day) for day in days], WEEKS),
        *_latest_of_each(latest_first, [(day.year, day.month) for day in days], MONTHS),
    }


def kept_former(moments: Iterable[datetime], now: datetime) -> set[datetime]:
    """Of these copies of the database as it was: the latest three, and all of the last 30 days."""
    latest_first = sorted(set(moments), reverse=True)
    return {*latest_first[:FORMER], *(at for at in latest_first if now - at <= A_MONTH)}


def _latest_of_each(
    moments: Sequence[datetime], spans: Sequence[Span], most: int
) -> Iterable[datetime]:
    latest: dict[Span, datetime] = {}
    for moment, span in zip(moments, spans, strict=True):
        latest.setdefault(span, moment)
    return list(latest.values())[:most]


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def is_due(last: datetime, failed: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Whether it is time for the daily backup; `failed` is the latest attempt if it failed.

    `last` is the latest backup, or when there was first something to back up. A
    clock that was set back does not put it off for years.
    """
    if failed is not None and failed <= now < failed + AGAIN:
        return False
    return last > now + A_DAY or last < _latest_hour(now, zone) or now - last >= A_DAY


def _latest_hour(now: datetime, zone: ZoneInfo) -> datetime:
    """When it was last two o'clock there."""
    today = datetime.combine(now.astimezone(zone).date(), AT, zone)
    return today if today <= now else datetime.combine(today.date() - A_DAY, AT, zone)


def is_too_old(verified: datetime | None, began: datetime, now: datetime) -> bool:
    """Whether the newest backup that was read back (or, without any, the beginning) is too old."""
    return now - (verified or began) > TOO_OLD
