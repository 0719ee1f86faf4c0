"""The frame of a table (.csv): its columns, its separator, its rows with their lines."""

import csv
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

from sync_ui.domain import csv_sources
from sync_ui.domain.csv_write import unguarded
from sync_ui.domain.reading import (
    MAX_LINE,
    Problem,
    as_utf8,
    counted,
    decode,
    prose,
    shortened,
)
from sync_ui.errors import Invalid

USUAL_MINUTES = 50
_MAX_HEADER = 10_000

# So many lines below the header are looked at for sample values.
_GLANCED = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is understood; `synonyms` name it as well."""

    name: str
    synonyms: tuple[str, ...]
    example: str
    meaning: str
    required: bool = False


COLUMNS = (
    Column(
        "Start Date",
        ("Date", "Start Day", "Day", "Appointment Date", "Session Date", "Date of Service"),
        "12/31/2026",
        "The day. A column Start with day and time will do as well.",
        required=True,
    ),
    Column(
        "Start Time",
        ("Time", "Appointment Time", "Session Time", "From"),
        "3:30 PM",
        "The time of the day.",
    ),
    Column(
        "Start",
        ("Starts", "Starts At", "Start At", "Start Date Time", "Date Time", "Begin",
         "Appointment Start", "Scheduled Start"),
        "2026-12-31T15:30",
        "Day and time in one.",
    ),
    Column("End Date", ("End Day",), "12/31/2026", "The last day, if it is another."),
    Column("End Time", ("To", "Until"), "4:20 PM", "The time at which it ends."),
    Column(
        "End",
        ("Ends", "Ends At", "End At", "End Date Time", "Appointment End",
         "Scheduled End"),
        "2026-12-31T16:20",
        "Day and time in one.",
    ),
    Column(
        "Duration",
        ("Minutes", "Length", "Duration Minutes", "Duration (min)", "Duration (minutes)"),
        "50",
        f"Minutes, if there is no end; without both {USUAL_MINUTES} are taken.",
    ),
    Column("All Day Event", ("All Day",), "False", "True for days without times."),
    Column(
        "Client",
        ("Client Name", "Clients", "Client Names", "Patient", "Patient Name", "Name", "Full Name",
         "Client Full Name", "Attendee", "Attendees"),
        "Jane Smith & Mark Smith",
        "Whom it is with: “First Last” or “Last, First”; several with & or a semicolon.",
    ),
    Column(
        "First Name",
        ("First", "Given Name", "Client First Name", "Patient First Name", "Client First"),
        "Jane",
        "The client's first name, with a column Last Name.",
    ),
    Column(
        "Last Name",
        ("Last", "Surname", "Family Name", "Client Last Name", "Patient Last Name",
         "Client Last"),
        "Smith",
        "The client's last name.",
    ),
    Column(
        "Client ID",
        ("Internal ID", "Client Number", "Client Internal ID", "Patient ID", "Client Code", "MRN",
         "Chart Number"),
        "1042",
        "The client's internal ID.",
    ),
    Column(
        "Title",
        ("Subject", "Summary", "Event", "Event Title", "Appointment", "Event Name"),
        "Team meeting",
        "What it is, if it is with no client.",
    ),
    Column(
        "Type",
        ("Appointment Type", "Kind", "Event Type", "Service", "Category", "Session Type",
         "Treatment", "Treatment Name"),
        "Session",
        "Session, meeting, supervision, time off or other.",
    ),
    Column(
        "Status",
        ("Appointment Status", "State", "Attendance"),
        "Scheduled",
        "Scheduled, cancelled, late cancelled or no-show.",
    ),
    Column("Location", ("Room", "Place", "Office", "Where"), "Room 2", "Where it takes place."),
    Column(
        "Notes",
        ("Note", "Description", "Comment", "Comments", "Details"),
        "",
        "For the practice only; never leaves the building.",
    ),
    Column("Time Zone", ("Timezone", "TZ"), "America/New_York", "If it is not the practice's."),
    Column(
        "Appointment ID",
        ("ID", "Event ID", "UID", "Appointment Number", "Booking ID", "Session ID"),
        "A-2041",
        "What tells the appointment apart, so that a later import can update it.",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What a user said of a table's columns: each one's name in `COLUMNS`, "" for left out.

    `day_first` settles what 03/04/2026 is, if it was said.
    """

    columns: tuple[str, ...]
    day_first: bool | None = None


# Of no header has anyone said anything.
NOTHING_SAID: Mapping[str, ColumnMapping] = MappingProxyType({})


class UnknownColumns(Invalid):
    """A table that lacks what is needed, unless someone says what its columns are."""


@dataclass(frozen=True, slots=True)
class Heading:
    """One column of a file: its cell in the header, sample values, and what it is taken for."""

    cell: str
    samples: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Glance:
    """The columns of a table, before anyone knows what they are."""

    signature: str
    headings: tuple[Heading, ...]
    day_first: bool | None = None


STARTS = ("Start Date", "Start", "Start Time")
ENDS = ("End Date", "End", "End Time")
_A_DAY = "Start Date (or Start, with day and time)"
_SUBJECTS = ("Client", "First Name", "Last Name", "Client ID", "Title")

_SPAN = re.compile(r"([^-–—]+?)(?: - | ?[–—] ?)([^-–—]+)")


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: dict[str, str]

    def first(self, *names: str) -> str:
        return next((self.cells[name] for name in names if self.cells.get(name)), "")


class Table:
    """The rows below a header whose columns are known by name, or were said to be known.

    Raises `Invalid` for bytes that are no such table.
    """

    def __init__(self, data: bytes, mappings: Mapping[str, ColumnMapping] = NOTHING_SAID) -> None:
        self._lines = _lines(as_utf8(data))
        header = _header(self._lines, mappings)
        _refuse_missing(header)
        self._header, self._delimiter = header.at, header.delimiter
        self.columns = header.columns
        self.signature = header.signature
        self.source = csv_sources.named(map(bare, header.cells)) or "CSV"
        self.day_first = header.day_first
        self.unknown = 0 if header.said else self.columns.count("")
        self.problems: list[Problem] = []

    @property
    def size(self) -> int:
        """About how many rows there are."""
        return len(self._lines) - self._header - 1

    def refuse_without_days(self) -> None:
        """For a table whose times, as it turns out, come without days.

        Some programs write day and time under Start Time. Raises `Invalid`.
        """
        if not {"Start Date", "Start"} & set(self.columns):
            raise missing(_A_DAY, self.columns)

    def rows(self) -> Iterator[Row]:
        """Every row that is not empty; what is wrong with others, in `problems`."""
        first = self._header + 1
        reader = csv.reader(self._lines[first:], delimiter=self._delimiter, strict=True)
        while True:
            line = first + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise Invalid(
                        f"The quotation that begins in line {line} does not end,"
                        " so the file may be cut off. Export it again."
                    ) from None
                self._wrong(line, "Its quotation marks do not match. Correct them and try again.")
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if any(cell.strip() for cell in cells[len(self.columns) :]):
                self._wrong(
                    line,
                    f"It has {counted(len(cells), 'cell')} but the header has"
                    f" {len(self.columns)}. Put a cell with a separator in it between"
                    " quotation marks.",
                )
                continue
            named = {name: cell for name, cell in zip(self.columns, cells, strict=False) if name}
            yield Row(
                line, _with_end({name: unguarded(prose(cell)) for name, cell in named.items()})
            )

    def _wrong(self, line: int, reason: str) -> None:
        self.problems.append(Problem(line, reason))


def _with_end(cells: dict[str, str]) -> dict[str, str]:
    """A start time such as "10:00 - 10:50" is a start and an end."""
    span = _SPAN.fullmatch(cells.get("Start Time", ""))
    if span and not any(cells.get(name) for name in ENDS):
        return cells | {"Start Time": span[1], "End Time": span[2]}
    return cells


def _lines(data: bytes) -> list[str]:
    lines = [decode(line) for line in re.split(rb"\r*\n|\r", data)]
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise Invalid(f"Line {number} is longer than 100 kB. Export the table again.")
    while lines and not lines[-1].strip():
        lines.pop()
    return [line + "\n" for line in lines]


@dataclass(frozen=True, slots=True)
class _Header:
    """The row that names the columns; `said` if a user told what they are."""

    at: int = 0
    delimiter: str = ","
    cells: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    day_first: bool | None = None
    said: bool = False

    @property
    def signature(self) -> str:
        return signature(self.cells)

    @property
    def known(self) -> list[str]:
        return [name for name in self.columns if name]


def glance(data: bytes, mappings: Mapping[str, ColumnMapping]) -> Glance:
    """The columns of a table, each with up to three values. Raises `Invalid` for no table."""
    lines = _lines(as_utf8(data))
    header = _header(lines, mappings)
    if len(header.cells) < 2:
        raise Invalid("This is no table with columns. Save it as CSV, its first row as header.")
    samples: list[list[str]] = [[] for _ in header.cells]
    below = lines[header.at + 1 : header.at + 1 + _GLANCED]
    try:
        for cells in csv.reader(below, delimiter=header.delimiter):
            for found, cell in zip(samples, cells, strict=False):
                if len(found) < 3 and cell.strip():
                    found.append(shortened(cell))
    except csv.Error:
        pass  # what was read so far tells enough
    return Glance(
        header.signature,
        tuple(
            Heading(shortened(cell), tuple(found), name)
            for cell, found, name in zip(header.cells, samples, header.columns, strict=True)
        ),
        header.day_first,
    )


def signature(cells: Iterable[str]) -> str:
    """A digest of a header, whatever its capitals and spaces."""
    return sha256("\n".join(map(bare, cells)).encode()).hexdigest()[:32]


def needs(known: Collection[str]) -> str:
    """The column that a table of these lacks, in words; "" if none."""
    if not set(STARTS) & set(known):
        return _A_DAY
    if not set(_SUBJECTS) & set(known):
        return "Client, First Name and Last Name, Client ID or Title"
    return ""


def _header(lines: Sequence[str], mappings: Mapping[str, ColumnMapping]) -> _Header:
    """The row near the top of which a user has told the columns; else the one that, under
    one of the separators, names most columns; else the one with most cells.
    """
    best, widest = _Header(), _Header()
    for at, line in enumerate(lines[:20]):
        for delimiter in ",;\t" if len(line) <= _MAX_HEADER else "":
            cells = _cells(line, delimiter)
            said = mappings.get(signature(cells))
            if said is not None and len(said.columns) == len(cells):
                return _Header(at, delimiter, cells, said.columns, said.day_first, said=True)
            found = _Header(at, delimiter, cells, _known_columns(cells))
            if len(found.known) > len(best.known):
                best = found
            if _filled(cells) > _filled(widest.cells):
                widest = found
    return best if best.known else widest


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return ()


def _filled(cells: Iterable[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _known_columns(cells: Sequence[str]) -> tuple[str, ...]:
    """The header's columns by their name in `COLUMNS`, "" for unknown and repeated ones."""
    found: list[str] = []
    for cell in cells:
        name = _COLUMN_OF.get(bare(cell), "")
        found.append("" if name in found else name)
    return tuple(found)


def _refuse_missing(header: _Header) -> None:
    # Only known names are told: without a header the first row holds clients.
    if not header.known:
        sentence = (
            "This is neither a calendar nor a table with known columns. The first row of a table"
            " names its columns; Start Date and Client (or Title) are needed."
        )
        raise UnknownColumns(sentence) if _filled(header.cells) > 1 else Invalid(sentence)
    needed = needs(header.known)
    if needed:
        raise missing(needed, header.columns)


def missing(needed: str, columns: Sequence[str]) -> Invalid:
    found = ", ".join(filter(None, columns))
    return UnknownColumns(f"A column {needed} is needed. Found: {found}.")


def bare(text: str) -> str:
    """A name without what does not matter: "Start_Date" and "start date" are one column."""
    decomposed = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in decomposed if character.isalnum())


_COLUMN_OF = {
    bare(name): column.name for column in COLUMNS for name in (column.name, *column.synonyms)
}
