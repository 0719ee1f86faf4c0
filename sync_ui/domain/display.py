"""Display modes: how much of an appointment leaves the building.

Feed, preview, Google and CalDAV all come through `words`. An event starts
empty; the mode and the link's choices add what they allow, so that whatever is
forgotten here stays private.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import regex

from sync_ui.domain.event import (
    Appointment,
    Choices,
    Client,
    DisplayMode,
    Event,
    Kind,
    Subject,
    Telehealth,
    Words,
)

BUSY = "Busy"
CANCELLED = "Cancelled"

USUAL = Choices()

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
    choices: Choices = USUAL,
    *,
    link_revision: int,
    link_changed_at: datetime,
    practice_wide: bool = False,
) -> Event:
    """The appointment as it may leave: `words` and its times.

    The link's own revision and change count as the event's, so that a change of
    mode reaches apps that update only what has grown.
    """
    told = words(appointment.subject, mode, choices, practice_wide=practice_wide)
    starts, ends = appointment.days or (appointment.starts_at, appointment.ends_at)
    return Event(
        uid=appointment.uid,
        starts=starts,
        ends=ends,
        sequence=appointment.revision + link_revision,
        created_at=appointment.created_at,
        changed_at=max(appointment.changed_at, link_changed_at),
        summary=told.summary,
        location=told.location,
        description=told.description,
        conference=told.conference,
        out_of_office=told.out_of_office,
        cancelled=told.cancelled,
    )


def words(
    subject: Subject,
    mode: DisplayMode,
    choices: Choices = USUAL,
    *,
    practice_wide: bool = False,
) -> Words:
    """What may be told of the subject in this mode, each text on one line.

    A client's ceiling, or the type's, makes the mode stricter, for a couple's
    other half too. `practice_wide` puts the clinician's name before the summary.

    Raises `ValueError` for an unknown mode.
    """
    mode = effective(mode, subject.ceiling)
    for client in subject.clients:
        mode = effective(mode, client.ceiling)
    summary = _summary(subject, mode, practice_wide=practice_wide)
    if mode is DisplayMode.BUSY:
        return Words(summary=summary, cancelled=subject.cancelled)
    room = _room(subject) if choices.telehealth is not Telehealth.NONE else ""
    return Words(
        summary=summary,
        location=_location(subject, choices, room),
        description=_line(subject.type) if choices.type else "",
        conference=room,
        out_of_office=subject.kind is Kind.TIME_OFF,
        cancelled=subject.cancelled,
    )


def allowed(mode: DisplayMode, ceiling: DisplayMode | None, *, agreed: bool) -> DisplayMode:
    """What a link shows at most: full names need an agreement with the calendar service.

    Raises `ValueError` for an unknown mode or ceiling.
    """
    mode = effective(mode, ceiling)
    return mode if agreed else effective(mode, DisplayMode.FIRST_NAME)


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


def _summary(subject: Subject, mode: DisplayMode, *, practice_wide: bool) -> str:
    clinician = _line(subject.clinician) if practice_wide else ""
    parts = [clinician] if clinician else []
    if subject.cancelled:
        parts.append(CANCELLED)
    if mode is not DisplayMode.BUSY:
        parts.append(_what(subject, mode))
    elif not subject.cancelled:
        parts.append(BUSY)
    return ": ".join(parts)


def _what(subject: Subject, mode: DisplayMode) -> str:
    if subject.kind is Kind.TIME_OFF:
        return _KIND_WORDS[Kind.TIME_OFF]
    if subject.clients:
        return _label(subject.clients, mode)
    # A title is free text and may name a client after all.
    title = _line(subject.title) if mode is DisplayMode.FULL_NAME else ""
    return title or _KIND_WORDS[subject.kind]


# A URI is written as it is (RFC 5545, 3.3.13): nothing in it may end a line or a parameter.
_IS_ROOM = re.compile(r"https?://[!#-~]+").fullmatch


def _room(subject: Subject) -> str:
    return subject.telehealth_address if _IS_ROOM(subject.telehealth_address) else ""


def _location(subject: Subject, choices: Choices, room: str) -> str:
    place = _line(subject.location) if choices.location else ""
    if choices.telehealth is not Telehealth.ADDRESS or not room:
        return place
    return f"{place} {room}".strip()


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
            return _line(client.internal_id)
        case DisplayMode.INITIALS:
            number = "" if client.number is None else str(client.number)
            return initials(client.first_name, client.last_name) + number
        case DisplayMode.FIRST_NAME:
            return _line(client.preferred_name) or _line(client.first_name)
        case DisplayMode.FULL_NAME:
            return _line(f"{client.first_name} {client.last_name}")
    assert_never(mode)


_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\uFEFF\uFFFE\uFFFF]+")
_VISIBLE = regex.compile(r"[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]")

# The grapheme that the first letter or digit begins: 't Hooft gives t. Letters
# that only modify (the ʻ of ʻIolani) and fillers that cannot be seen do not count.
_LETTER = regex.compile(
    r"(?V1)(?=[[\p{L}\p{N}]--[\p{Lm}\p{Default_Ignorable_Code_Point}]])\X",
)


def _line(text: str) -> str:
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
