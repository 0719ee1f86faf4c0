"""The frame of a table (.csv): its columns, its separator, its rows with their lines."""

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sync_ui.domain.csv_write import unguarded
from sync_ui.domain.reading import MAX_LINE, Problem, as_utf8, counted, decode, prose
from sync_ui.errors import Invalid

USUAL_MINUTES = 50
_MAX_HEADER = 10_000


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
    """The rows below a header whose columns are known by name.

    Raises `Invalid` for bytes that are no such table.
    """

    def __init__(self, data: bytes) -> None:
        self._lines = _lines(as_utf8(data))
        self._header, self._delimiter, self.columns = _header(self._lines)
        self.unknown = self.columns.count("")
        self.problems: list[Problem] = []

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


def _header(lines: Sequence[str]) -> tuple[int, str, list[str]]:
    """The row near the top that, under one of the separators, names most columns."""
    best: tuple[int, str, list[str]] = (0, ",", [])
    for at, line in enumerate(lines[:20]):
        for delimiter in ",;\t" if len(line) <= _MAX_HEADER else "":
            columns = _known_columns(line, delimiter)
            if len(list(filter(None, columns))) > len(list(filter(None, best[2]))):
                best = (at, delimiter, columns)
    _refuse_missing(best[2])
    return best


def _known_columns(line: str, delimiter: str) -> list[str]:
    """The header's columns by their name in `COLUMNS`, "" for unknown and repeated ones."""
    try:
        header = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    found: list[str] = []
    for cell in header:
        name = _COLUMN_OF.get(bare(cell), "")
        found.append("" if name in found else name)
    return found


def _refuse_missing(columns: Sequence[str]) -> None:
    known = [name for name in columns if name]
    # Only known names are told: without a header the first row holds clients.
    if not known:
        raise Invalid(
            "This is neither a calendar nor a table with known columns. The first row of a table"
            " names its columns; Start Date and Client (or Title) are needed."
        )
    if not set(STARTS) & set(known):
        raise missing(_A_DAY, columns)
    if not set(_SUBJECTS) & set(known):
        raise missing("Client, First Name and Last Name, Client ID or Title", columns)


def missing(needed: str, columns: Sequence[str]) -> Invalid:
    found = ", ".join(filter(None, columns))
    return Invalid(f"A column {needed} is needed. Found: {found}.")


def bare(text: str) -> str:
    """A name without what does not matter: "Start_Date" and "start date" are one column."""
    decomposed = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in decomposed if character.isalnum())


_COLUMN_OF = {
    bare(name): column.name for column in COLUMNS for name in (column.name, *column.synonyms)
}
