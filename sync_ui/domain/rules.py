"""Recurrence rules as they are written (RFC 5545, 3.3.10): read, bounded, normalised."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache

from sync_ui.errors import Invalid

MAX_COUNT = 10_000
MAX_INTERVAL = 1_000
_MAX_TIMES_A_DAY = 24
_MAX_LENGTH = 2_000

# Some programs write the year 9999 for "for ever".
LAST_YEAR = 2200

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ORDER = (
    "FREQ", "UNTIL", "COUNT", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY",
    "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "WKST",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Until:
    """`wall` is a wall time; `moment` a moment in UTC. One of them is set."""

    wall: datetime | None = None
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    freq: str
    interval: int = 1
    count: int | None = None
    until: Until | None = None
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


def normalised(rule: str) -> str:
    """The same rule in upper case, in the RFC's order, without unknown parts.

    Raises `Invalid` for one that cannot be read.
    """
    parsed(rule)
    parts = _parts(rule)
    if parts.get("INTERVAL") == "1":
        del parts["INTERVAL"]
    return ";".join(f"{name}={parts[name]}" for name in _ORDER if name in parts)


def changed(rule: str, **parts: str) -> str:
    """The rule with these parts instead of its own, normalised; an empty one goes."""
    kept = [part for part in normalised(rule).split(";") if part.partition("=")[0] not in parts]
    given = [f"{name}={text}" for name, text in parts.items() if text]
    return normalised(";".join([*kept, *given]))


def ended(rule: str, *, count: int | None = None, last: date | None = None) -> str:
    """The rule with this end and no other: after `count` turns, or with a last day or wall time."""
    until = ""
    if last is not None:
        until = f"{last:%Y%m%dT%H%M%S}" if isinstance(last, datetime) else f"{last:%Y%m%d}"
    return changed(rule, COUNT="" if count is None else str(count), UNTIL=until)


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
def parsed(rule: str) -> Rule:
    parts = _parts(rule)
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise Invalid("The repeat rule follows another calendar than the Gregorian one.")
    found = Rule(
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
    times = max(1, len(found.hours)) * max(1, len(found.minutes)) * max(1, len(found.seconds))
    if times > _MAX_TIMES_A_DAY:
        raise Invalid("It repeats many times a day. Let it repeat at most once a day.")
    return found


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
    if text not in WEEKDAYS:
        raise Invalid("The repeat rule names an unknown weekday.")
    return WEEKDAYS.index(text)


def _weekdays(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for part in filter(None, text.split(",")):
        which = _integer(part[:-2]) if part[:-2] else 0
        if abs(which) > 53:
            raise Invalid("The repeat rule's BYDAY holds a number that does not exist.")
        found.add((which, _weekday(part[-2:])))
    return tuple(sorted(found))


def _until(text: str) -> Until | None:
    match = re.fullmatch(
        r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(Z)?)?", text, re.ASCII
    )
    if not match:
        raise Invalid("The repeat rule's UNTIL is no date.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if year > LAST_YEAR:
        return None  # some programs write the year 9999 for "for ever"
    try:
        wall = datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        raise Invalid("The repeat rule's UNTIL is no date.") from None
    if match[7]:
        return Until(moment=wall.replace(tzinfo=UTC))
    # A day includes all of it (RFC 5545 wants the type of DTSTART; many do not care).
    return Until(wall=wall if match[4] else datetime.combine(wall, time.max))
