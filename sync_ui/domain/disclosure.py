"""What a link tells whoever holds it, in an honest sentence or two."""

from collections.abc import Sequence
from datetime import date

from sync_ui.domain.event import Choices, DisplayMode, Telehealth

_NAMES = {
    DisplayMode.INTERNAL_ID: "internal IDs",
    DisplayMode.INITIALS: "initials",
    DisplayMode.FIRST_NAME: "first names",
    DisplayMode.FULL_NAME: "full names, titles of meetings",
}

# A button carries the address that it opens.
_ROOMS = {
    Telehealth.BUTTON: "a button into the video room",
    Telehealth.ADDRESS: "the video room's address",
}

# Days without a year are clear as long as each comes once.
_YEAR = 365


def sentence(
    calendar: str,
    mode: DisplayMode,
    choices: Choices,
    span: tuple[date, date],
    *,
    practice_wide: bool,
    american: bool,
    ends: date | None = None,
    less: tuple[bool, bool] = (False, False),
    holder: str = "whoever holds the link",
) -> str:
    """All that a link of this mode and these choices shows; `span` is its first and last day.

    `ends` is the last day on which the link works; `less`: whether some types
    of appointments, and some clients, show less than the mode; `holder` is who
    sees it.
    """
    told = _listed(_told(mode, choices, practice_wide=practice_wide))
    what = "appointments and time off" if choices.time_off else "appointments"
    whose = f"all {what} of {calendar}" if practice_wide else f"{calendar}'s {what}"
    parts = [f"{told[0].upper()}{told[1:]} of {whose}", *_further(mode, choices)]
    first, last, *end = _days((*span, ends) if ends else span, american=american)
    comma = "," if len(parts) > 1 else ""
    # What is shown reaches beyond the link's own end: it was read by then.
    until = f", until the link ends on {end[0]}" if end else ""
    text = f"{', '.join(parts)}{comma} from {first} to {last}, to {holder}{until}."
    return f"{text}{_exceptions(*less)}"


def _exceptions(types: bool, clients: bool) -> str:
    some = [*(["types of appointments"] if types else []), *(["clients"] if clients else [])]
    return f" Some {' and some '.join(some)} show less." if some else ""


def _told(mode: DisplayMode, choices: Choices, *, practice_wide: bool) -> list[str]:
    """What each event says, in the order of its weight."""
    told = [_NAMES[mode]] if mode in _NAMES else []
    if practice_wide:
        told.append("clinicians' names")
    told.append("times")
    if mode is DisplayMode.BUSY:
        return told
    if choices.location:
        told.append("location")
    if choices.type:
        told.append("type")
    if choices.telehealth in _ROOMS:
        told.append(_ROOMS[choices.telehealth])
    return told


def _further(mode: DisplayMode, choices: Choices) -> list[str]:
    further = ["cancelled ones too"] if choices.cancelled else []
    if mode is DisplayMode.BUSY:
        told = "“Busy” or “Cancelled”" if choices.cancelled else "“Busy”"
        further.append(f"each as no more than {told}")
    return further


def _days(days: Sequence[date], *, american: bool) -> list[str]:
    year = (max(days) - min(days)).days >= _YEAR
    return [_day(day, american=american, year=year) for day in days]


def _day(day: date, *, american: bool, year: bool) -> str:
    words = f"{day:%b} {day.day}" if american else f"{day.day} {day:%b}"
    if not year:
        return words
    return f"{words}, {day.year}" if american else f"{words} {day.year}"


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
