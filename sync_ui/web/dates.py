"""Days and times as pages say them: in the practice's zone, in the manner of its country."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Flask

from sync_ui import clock
from sync_ui.services import practice

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# Apps that read less often than that have stopped reading: even Google comes every day or two.
SILENT = timedelta(days=3)


def init_app(app: Flask) -> None:
    app.jinja_env.filters.update(
        day=day, date=short_day, clock=clock_time, ago=ago, until=until, silent=silent
    )


def zone() -> ZoneInfo:
    return ZoneInfo(practice.get().zone)


def today() -> date:
    return clock.now().astimezone(zone()).date()


def day(when: date) -> str:
    """`Monday, November 23` or `Monday 23 November`; with its year if that is another one."""
    words = (
        f"{when:%A}, {when:%B} {when.day}"
        if practice.american()
        else f"{when:%A} {when.day} {when:%B}"
    )
    return words if when.year == today().year else f"{words}, {when.year}"


def short_day(when: date) -> str:
    """`Nov 23, 2026` or `23 Nov 2026`; of a moment, its day in the practice's zone."""
    if isinstance(when, datetime):
        when = when.astimezone(zone()).date()
    if practice.american():
        return f"{when:%b} {when.day}, {when.year}"
    return f"{when.day} {when:%b} {when.year}"


def clock_time(moment: datetime) -> str:
    """`9:00 AM` or `09:00`; a moment without a zone is wall time already."""
    local = moment.astimezone(zone()) if moment.tzinfo else moment
    if not practice.american():
        return f"{local:%H:%M}"
    return f"{local.hour % 12 or 12}:{local:%M} {'AM' if local.hour < 12 else 'PM'}"


def span(starts: datetime, ends: datetime) -> str:
    """`9:00 – 9:50 AM`, `11:30 AM – 12:20 PM` or `09:00 – 09:50`."""
    first, last = clock_time(starts), clock_time(ends)
    if first[-2:] == last[-2:] and first.endswith("M"):
        first = first[:-3]
    return f"{first} – {last}"


def ago(moment: datetime) -> str:
    """How long since: `6 minutes ago`, `yesterday at 18:40`, `on 3 Nov 2026`."""
    passed = clock.now() - moment
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return _counted(passed // MINUTE, "minute")
    if passed < 12 * HOUR:
        return _counted(passed // HOUR, "hour")
    days = (today() - moment.astimezone(zone()).date()).days
    if days < 2:
        return f"{'yesterday' if days else 'today'} at {clock_time(moment)}"
    if days < 31:
        return _counted(days, "day")
    return f"on {short_day(moment)}"


def until(moment: datetime) -> str:
    """`14:32` today, else `tomorrow at 14:32` or `3 Nov 2026 at 14:32`."""
    days = (moment.astimezone(zone()).date() - today()).days
    if days == 0:
        return clock_time(moment)
    return f"{'tomorrow' if days == 1 else short_day(moment)} at {clock_time(moment)}"


def silent(moment: datetime) -> bool:
    return clock.now() - moment > SILENT


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'} ago"
