"""Display modes: how much of an appointment leaves the building.

Feed, preview, Google and CalDAV all come through `show`. An event starts
empty and the mode adds what it allows, so that whatever is forgotten here
stays private.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import regex

from sync_ui.domain.event import Appointment, Client, DisplayMode, Event, Kind

BUSY = "Busy"

_KIND_WORDS = {
    Kind.SESSION: "Appointment",
    Kind.MEETING: "Meeting",
    Kind.SUPERVISION: "Supervision",
    Kind.TIME_OFF: "Time off",
    Kind.OTHER: "Appointment",
}

# A mode and those stricter than it that name someone, the least strict first.
_OR_STRICTER = {
    mode: [m for m in reversed(DisplayMode) if 0 < m.disclosure <= mode.disclosure]
    for mode in DisplayMode
}

_GROUP = 3  # from here on only the number of clients shows


def show(
    appointment: Appointment,
    mode: DisplayMode,
    *,
    link_revision: int,
    link_changed_at: datetime,
    practice_wide: bool = False,
) -> Event:
    """The appointment as it may leave in this mode, all texts on one line.

    A client's ceiling makes the mode stricter, for a couple's other half too.
    `practice_wide` puts the clinician's name before the summary. The link's
    own revision and change count as the event's, so that a change of mode
    reaches apps that update only what has grown.

    Raises `ValueError` for an unknown mode.
    """
    for client in appointment.clients:
        mode = effective(mode, client.ceiling)
    mode = DisplayMode(mode)
    busy = mode is DisplayMode.BUSY
    starts, ends = appointment.days or (appointment.starts_at, appointment.ends_at)
    return Event(
        uid=appointment.uid,
        starts=starts,
        ends=ends,
        summary=_summary(appointment, mode, practice_wide=practice_wide),
        sequence=appointment.revision + link_revision,
        created_at=appointment.created_at,
        changed_at=max(appointment.changed_at, link_changed_at),
        location="" if busy else _words(appointment.location),
        out_of_office=appointment.kind is Kind.TIME_OFF and not busy,
    )


def effective(mode: DisplayMode, ceiling: DisplayMode | None) -> DisplayMode:
    """The stricter of the two; no ceiling allows the mode as it is.

    Raises `ValueError` for an unknown mode or ceiling.
    """
    mode = DisplayMode(mode)
    if ceiling is None:
        return mode
    return min(mode, DisplayMode(ceiling), key=lambda m: m.disclosure)


def client_label(client: Client, mode: DisplayMode) -> str:
    """How one client shows, under the client's own ceiling; never empty."""
    return _label((client,), effective(mode, client.ceiling))


def initials(first_name: str, last_name: str) -> str:
    """`J.S.`; one name gives one letter, no letter at all gives `?.`

    A letter is what a reader sees as one: `É` also when typed as E and accent.
    """
    letters = (_first_letter(first_name), _first_letter(last_name))
    return "".join(f"{letter}." for letter in letters if letter) or "?."


def _summary(appointment: Appointment, mode: DisplayMode, *, practice_wide: bool) -> str:
    what = _what(appointment, mode)
    clinician = _words(appointment.clinician) if practice_wide else ""
    return f"{clinician}: {what}" if clinician else what


def _what(appointment: Appointment, mode: DisplayMode) -> str:
    if mode is DisplayMode.BUSY:
        return BUSY
    if appointment.kind is Kind.TIME_OFF:
        return _KIND_WORDS[Kind.TIME_OFF]
    if appointment.clients:
        return _label(appointment.clients, mode)
    # A title is free text and may name a client after all.
    title = _words(appointment.title) if mode is DisplayMode.FULL_NAME else ""
    return title or _KIND_WORDS[appointment.kind]


def _label(clients: Sequence[Client], mode: DisplayMode) -> str:
    """What the mode leaves empty shows in the next stricter one, at last as Busy."""
    if len(clients) >= _GROUP and mode is not DisplayMode.BUSY:
        return f"Group ({len(clients)})"
    for stricter in _OR_STRICTER[mode]:
        names = [_name(client, stricter) for client in clients]
        if all(names):
            return " & ".join(names)
    return BUSY


def _name(client: Client, mode: DisplayMode) -> str:
    match mode:
        case DisplayMode.BUSY:
            return BUSY
        case DisplayMode.INTERNAL_ID:
            return _words(client.internal_id)
        case DisplayMode.INITIALS:
            number = "" if client.number is None else str(client.number)
            return initials(client.first_name, client.last_name) + number
        case DisplayMode.FIRST_NAME:
            return _words(client.preferred_name) or _words(client.first_name)
        case DisplayMode.FULL_NAME:
            return _words(f"{client.first_name} {client.last_name}")
    assert_never(mode)


_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\uFEFF\uFFFE\uFFFF]+")
_VISIBLE = regex.compile(r"[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]")

# The grapheme that the first letter or digit begins: 't Hooft gives t. Letters
# that only modify (the ʻ of ʻIolani) and fillers that cannot be seen do not count.
_LETTER = regex.compile(
    r"(?V1)(?=[[\p{L}\p{N}]--[\p{Lm}\p{Default_Ignorable_Code_Point}]])\X",
)


def _words(text: str) -> str:
    """The text on one line without control characters; empty if nothing of it shows."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = " ".join(_HIDDEN.sub("", line).split())
    return line if _VISIBLE.search(line) else ""


def _first_letter(name: str) -> str:
    if name[:1].isalpha() and name[:2].isascii():  # nearly all, and ten times as fast
        return name[0].upper()
    found = _LETTER.search(name)
    if not found:
        return ""
    letter = _IGNORABLE.sub("", unicodedata.normalize("NFC", found[0]))
    # Title case, not upper: it leaves Georgian alone. A letter that would
    # become two (ß) stays as it is.
    capital = letter.title()
    return capital if regex.fullmatch(r"\X", capital) else letter
