"""What a row of readings tells: how often an app looks, and whether it has stopped."""

from datetime import datetime, timedelta

# An app that read on most days, of so many at least, and then not for so long, fell silent.
DAILY_DAYS = 3
SILENT_AFTER = timedelta(days=3)

_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def rhythm(first_at: datetime, last_at: datetime, *, count: int, days: int) -> str:
    """How often somebody reads who did `count` times, on so many days: `about every 4 hours`."""
    if count < 3:
        return "once" if count == 1 else "twice"
    lasted = _lasted(first_at, last_at)
    if days * 2 <= lasted:
        return f"on {days} of {lasted} days"
    every = (last_at - first_at) / (count - 1)
    for unit, name in _UNITS:
        number = round(every / unit)
        if every > 0.9 * unit:
            return f"about every {name}" if number == 1 else f"about every {number} {name}s"
    return "several times a minute"


def fell_silent(first_at: datetime, last_at: datetime, *, days: int, now: datetime) -> bool:
    """Whether somebody read on most days and then no more."""
    lasted = _lasted(first_at, last_at)
    return now - last_at >= SILENT_AFTER and lasted >= DAILY_DAYS and days * 2 > lasted


def _lasted(first_at: datetime, last_at: datetime) -> int:
    return (last_at.date() - first_at.date()).days + 1
