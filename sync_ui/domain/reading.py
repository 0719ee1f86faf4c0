"""What a file of appointments says: the words that its readers share.

A reader turns bytes into a `Reading`. It knows nothing of what is stored: the
preview compares, and a person decides.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sync_ui.domain.event import Kind, Status
from sync_ui.errors import Invalid

MAX_BYTES = 32 * 1024 * 1024
MAX_EVENTS = 100_000
MAX_LINE = 100_000

TOO_LARGE = "This file is larger than 32 MB. Export a shorter span of time."

# Hears how many events of how many were read.
Tell = Callable[[int, int], None]

# So many events are read between two words about it.
TELL_EACH = 2_000


def nobody(done: int, total: int) -> None:
    """For whoever does not want to hear."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence of a series that was moved, changed or cancelled.

    `original` is the wall time, in the zone of the series, or the day that it
    replaces. `starts` and `ends` are wall times in `zone`, or days (the end
    exclusive).
    """

    original: datetime | date
    starts: datetime | date
    ends: datetime | date
    zone: str
    cancelled: bool
    title: str
    location: str
    note: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a calendar, or one row of a table.

    `starts` and `ends` are wall times in `zone` (IANA), or days (the end
    exclusive). `key` is its identity inside the file's source and the same in
    every later export; `line` is where it begins, from 1. `rule` is an RRULE
    value as `rules.normalised` writes it. `free` events block no time. Of `ours`
    nothing is guessed: an export of our own says what it is.
    """

    key: str
    line: int
    starts: datetime | date
    ends: datetime | date
    zone: str
    title: str = ""
    location: str = ""
    note: str = ""
    status: Status = Status.SCHEDULED
    kind: Kind | None = None
    clients: tuple[tuple[str, str], ...] = ()
    client_ids: tuple[str, ...] = ()
    rule: str = ""
    exceptions: tuple[datetime | date, ...] = ()
    additions: tuple[datetime | date, ...] = ()
    occurrences: tuple[Occurrence, ...] = ()
    free: bool = False
    ours: bool = False

    @property
    def recurs(self) -> bool:
        """True for a series, which may also consist of additions alone (RDATE)."""
        return bool(self.rule or self.additions)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be taken: what is wrong and what to do."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """`source` names the program that wrote the file; `notes` are for the preview.

    `signature` is the same for later exports of the same calendar or table
    (`is_table`).
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    source: str
    notes: tuple[str, ...] = ()
    signature: str = ""
    is_table: bool = False


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, as in "1 reminder" and "2 reminders"."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def as_utf8(data: bytes) -> bytes:
    """The file without its byte order mark; UTF-16 and UTF-32 become UTF-8.

    Windows-1252 stays as it is: `decode` settles that line by line.
    Raises `Invalid` for what cannot be a calendar or a table.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(TOO_LARGE)
    _refuse_other_formats(data)
    text = data.removeprefix(b"\xef\xbb\xbf")
    encoding = _wide_encoding(text)
    if encoding:
        text = text.decode(encoding, errors="replace").removeprefix("\ufeff").encode()
    if not text.strip():
        raise Invalid("This file is empty. Export the calendar again.")
    if b"\0" in text:
        raise Invalid("This file holds NUL bytes, so it is no text. Export it as .ics or .csv.")
    if text.lstrip().startswith(b"<"):
        raise Invalid(
            "This is a web page, perhaps a sign-in page, and no calendar."
            " Sign in where it comes from and download the .ics or .csv file itself."
        )
    return text


def decode(line: bytes) -> str:
    """A line of a file as text: UTF-8, else Windows-1252."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def one_line(text: str) -> str:
    """Text for a title or a place: no control characters, single spaces, NFC."""
    return " ".join(prose(text).split())


def prose(text: str) -> str:
    """Text of several lines: no control characters but line feed and tab, NFC."""
    lines = "\n".join(unicodedata.normalize("NFC", text).splitlines())
    return _CONTROLS.sub("", lines).strip()


def shortened(text: str) -> str:
    """The user's own text, short enough to be quoted in a reason."""
    line = one_line(text)
    return line if len(line) <= 40 else line[:39] + "…"


_OTHER_FORMATS = (
    (
        b"PK\x03\x04",
        "This is an Excel workbook or a zip archive. Save it as CSV first,"
        " or unpack it and choose the .ics file in it.",
    ),
    (b"\xd0\xcf\x11\xe0", "This is an Excel workbook. Save it as CSV first."),
    (b"%PDF", "This is a PDF document. Export the calendar as .ics, or save it as CSV first."),
    (b"\x1f\x8b", "This is a compressed file. Unpack it and choose the .ics or .csv file in it."),
)


def _refuse_other_formats(data: bytes) -> None:
    for mark, sentence in _OTHER_FORMATS:
        if data.startswith(mark):
            raise Invalid(sentence)
    if re.match(rb"\s*(\xef\xbb\xbf)?BEGIN:VCARD", data, re.IGNORECASE):
        raise Invalid("This is an address book, and no calendar. Export the calendar as .ics.")


def _wide_encoding(data: bytes) -> str:
    # UTF-32 first: its mark begins with that of UTF-16.
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark: both formats begin with ASCII, so every other byte is 0.
    if data[1:2] == data[3:4] == b"\0" != data[0:1]:
        return "utf-16-le"
    if data[0:1] == data[2:3] == b"\0" != data[1:2]:
        return "utf-16-be"
    return ""
