"""Days as people type them into a search: "tomorrow", "fri", "24 nov", "11/24", "2026-11-24"."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from sync_ui.domain import moments

_NEARBY = {"yesterday": -1, "today": 0, "tomorrow": 1}

_WEEKDAYS = {
    word: number
    for number, words in enumerate(
        (
            "mon monday",
            "tue tues tuesday",
            "wed wednesday",
            "thu thur thurs thursday",
            "fri friday",
            "sat saturday",
            "sun sunday",
        )
    )
    for word in words.split()
}

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?:,? (?P<year>\d{4}))?"

# How far back a day without a year may lie before next year's is meant.
_LATELY = timedelta(days=120)

_WORD = re.compile(r"(?<!\w)(?:next )?(?P<word>[a-z]+)(?!\w)")


def typed(text: str, today: date, zone: str) -> tuple[date | None, str]:
    """The day that a folded text names, if any, and the other words of it.

    A day without a year is the next one or a recent one; a weekday is the next,
    today included. Whether 03/04 is in March is settled by the custom of the zone.
    """
    for find in (_by_numbers(zone), _by_month, _by_word):
        for found, day in find(text, today):
            rest = f"{text[: found.start()]} {text[found.end() :]}"
            return day, " ".join(rest.split())
    return None, text


_Found = Iterator[tuple[re.Match[str], date]]


def _by_word(text: str, today: date) -> _Found:
    for found in _WORD.finditer(text):
        word = found["word"]
        if word in _NEARBY:
            yield found, today + timedelta(days=_NEARBY[word])
        elif word in _WEEKDAYS:
            yield found, today + timedelta(days=(_WEEKDAYS[word] - today.weekday()) % 7)


_BY_MONTH = tuple(
    re.compile(rf"(?<!\w){pattern}{_YEAR}(?!\w)")
    for pattern in (rf"{_DAY} ?{_MONTH}", rf"{_MONTH} ?{_DAY}")
)


def _by_month(text: str, today: date) -> _Found:
    for pattern in _BY_MONTH:
        for found in pattern.finditer(text):
            month = _MONTHS.index(found["month"][:3]) + 1
            yield from _dated(found, found["year"], month, int(found["day"]), today)


_ISO = re.compile(r"(?<!\w)(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\w)")
_SLASHED = re.compile(r"(?<!\w)(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<year>\d{4}|\d\d))?(?!\w)")
_DOTTED = re.compile(r"(?<!\w)(?P<a>\d{1,2})\.(?P<b>\d{1,2})\.(?P<year>\d{4}|\d\d)?(?!\w)")


def _by_numbers(zone: str) -> Callable[[str, date], _Found]:
    day_first, _ = moments.day_comes_first((), zone)

    def find(text: str, today: date) -> _Found:
        for found in _ISO.finditer(text):
            yield from _dated(found, found["year"], int(found["month"]), int(found["day"]), today)
        for found in _SLASHED.finditer(text):
            a, b = int(found["a"]), int(found["b"])
            day, month = (a, b) if day_first else (b, a)
            yield from _dated(found, found["year"], month, day, today)
        for found in _DOTTED.finditer(text):
            yield from _dated(found, found["year"], int(found["b"]), int(found["a"]), today)

    return find


def _dated(found: re.Match[str], year: str | None, month: int, day: int, today: date) -> _Found:
    """The day in that year or, without one, in the year that is meant; none for 31 February."""
    years = [int(year) + (2000 if len(year) == 2 else 0)] if year else _years(today)
    for each in years:
        try:
            meant = date(each, month, day)
        except ValueError:
            continue
        if year or meant >= today - _LATELY:
            yield found, meant
            return


def _years(today: date) -> list[int]:
    # Up to eight years on, for 29 February.
    return [today.year + n for n in range(-1, 9)]
