"""Reading a table of appointments (.csv), one a row.

The first row names the columns; `COLUMNS` says which are known. Capitals,
spaces, underscores and the order do not matter, other columns are left out. A
row needs a day and, in some way, whom or what it is about; everything else may
be missing. That takes the exports of Google Calendar and Outlook
("Subject, Start Date, Start Time, End Date, End Time, All Day Event, …") and
of practice systems alike.

Text may be UTF-8, UTF-16 or Windows-1252, the separator a comma, a semicolon or
a tab. Dates and times: see `moments`.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from sync_ui.domain import moments, zones
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.moments import Moment
from sync_ui.domain.names import people
from sync_ui.domain.reading import (
    MAX_EVENTS,
    MAX_LINE,
    Entry,
    Problem,
    Reading,
    as_utf8,
    counted,
    decode,
    one_line,
    prose,
    shortened,
)
from sync_ui.errors import Invalid

USUAL_MINUTES = 50
_MAX_HEADER = 10_000
_MAX_CLIENTS = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is understood; `names` are other ways to write its name."""

    name: str
    names: tuple[str, ...]
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
        "The time of the day; a row without one lasts all day.",
    ),
    Column(
        "Start",
        ("Starts", "Starts At", "Start Date Time", "Start Date & Time", "Date Time", "Begin",
         "Appointment Start", "Scheduled Start"),
        "2026-12-31T15:30",
        "Day and time in one.",
    ),
    Column("End Date", ("End Day",), "12/31/2026", "The last day, if it is another."),
    Column("End Time", ("To", "Until"), "4:20 PM", "The time at which it ends."),
    Column(
        "End",
        ("Ends", "Ends At", "End Date Time", "End Date & Time", "Appointment End", "Scheduled End"),
        "2026-12-31T16:20",
        "Day and time in one.",
    ),
    Column(
        "Duration",
        ("Minutes", "Length", "Duration Minutes", "Duration (min)", "Duration (minutes)"),
        "50",
        f"Minutes, if there is no end; without both {USUAL_MINUTES} are taken.",
    ),
    Column("All Day Event", ("All Day", "All-Day"), "False", "True for days without times."),
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
        ("Appointment Type", "Kind", "Event Type", "Service", "Category", "Session Type"),
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

_STATUSES = {
    Status.SCHEDULED: "scheduled confirmed booked active accepted tentative pending upcoming open"
    " attended completed complete done show shown kept arrived checkedin checkedout seen billed",
    Status.CANCELLED: "cancelled canceled cancel deleted declined clientcancelled clientcanceled"
    " cancelledbyclient canceledbyclient cancelledbyclinician canceledbyclinician",
    Status.LATE_CANCELLED: "latecancelled latecanceled latecancel latecancellation lc"
    " lateclientcancellation",
    Status.NO_SHOW: "noshow didnotattend dna missed absent",
}
_STATUS_OF = {word: status for status, words in _STATUSES.items() for word in words.split()}

# The first that stands in the type decides: "Supervision meeting" is supervision.
_KINDS = (
    ("supervision", Kind.SUPERVISION),
    ("time off", Kind.TIME_OFF),
    ("vacation", Kind.TIME_OFF),
    ("holiday", Kind.TIME_OFF),
    ("out of office", Kind.TIME_OFF),
    ("pto", Kind.TIME_OFF),
    ("leave", Kind.TIME_OFF),
    ("meeting", Kind.MEETING),
    ("session", Kind.SESSION),
    ("therapy", Kind.SESSION),
    ("intake", Kind.SESSION),
    ("assessment", Kind.SESSION),
    ("consultation", Kind.SESSION),
    ("appointment", Kind.SESSION),
    ("other", Kind.OTHER),
)

_SPAN = re.compile(r"([^-–—]+?)(?: - | ?[–—] ?)([^-–—]+)")
_YES = frozenset({"true", "yes", "y", "1", "x", "t"})
_STARTS = ("Start Date", "Start", "Start Time")
_ENDS = ("End Date", "End", "End Time")
_SUBJECTS = ("Client", "First Name", "Last Name", "Client ID", "Title")


def read_csv(data: bytes, zone: str, today: date) -> Reading:
    """The rows of a table; times without a zone are in `zone` (IANA).

    A wrong row becomes a problem with its line. Raises `Invalid` if a column
    is missing, a quotation does not end, or a limit is passed. `today` is not
    needed: a table has no series.
    """
    table = _table(_lines(as_utf8(data)))
    rows = list(table.rows())
    if len(rows) > MAX_EVENTS:
        raise Invalid("This file has more than 10,000 rows. Export a shorter span of time.")
    reader = _Reader(table, rows, zone)
    for row in rows:
        reader.take(row)
    return Reading(
        entries=tuple(reader.entries.values()),
        problems=tuple(sorted((*table.problems, *reader.problems), key=lambda each: each.line)),
        source="CSV",
        notes=tuple(reader.notes()),
    )


# The table


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: dict[str, str]

    def first(self, *names: str) -> str:
        return next((self.cells[name] for name in names if self.cells.get(name)), "")


class _Table:
    """The lines below a header whose columns are known by name."""

    def __init__(
        self, lines: Sequence[str], at: int, delimiter: str, columns: Sequence[str], unknown: int
    ) -> None:
        self._lines = lines
        self._at = at
        self._delimiter = delimiter
        self.columns = columns
        self.unknown = unknown
        self.problems: list[Problem] = []

    def rows(self) -> Iterator[_Row]:
        reader = csv.reader(self._lines[self._at :], delimiter=self._delimiter, strict=True)
        next(reader)
        while True:
            line = self._at + reader.line_num + 1
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
            yield _Row(line, _with_end({name: prose(cell) for name, cell in named.items()}))

    def _wrong(self, line: int, reason: str) -> None:
        self.problems.append(Problem(line, reason))


def _with_end(cells: dict[str, str]) -> dict[str, str]:
    """A start time such as "10:00 - 10:50" is a start and an end."""
    span = _SPAN.fullmatch(cells.get("Start Time", ""))
    if span and not any(cells.get(name) for name in _ENDS):
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


def _table(lines: Sequence[str]) -> _Table:
    """The header is the row near the top, under the separator, that says most."""
    best: tuple[int, int, str, list[str]] = (0, 0, ",", [])
    for at, line in enumerate(lines[:20]):
        for delimiter in ",;\t" if len(line) <= _MAX_HEADER else "":
            columns = _known_columns(line, delimiter)
            number = sum(bool(name) for name in columns)
            if number > best[0]:
                best = (number, at, delimiter, columns)
    number, at, delimiter, columns = best
    _refuse_missing(columns)
    return _Table(lines, at, delimiter, columns, len(columns) - number)


def _known_columns(line: str, delimiter: str) -> list[str]:
    """The header's columns by their name in `COLUMNS`, "" for unknown and repeated ones."""
    try:
        header = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    found: list[str] = []
    for cell in header:
        name = _COLUMN_OF.get(_bare(cell), "")
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
    found = f"Found: {', '.join(known)}."
    if "Start Date" not in known and "Start" not in known:
        raise Invalid(f"A column Start Date (or Start, with day and time) is needed. {found}")
    if not set(_SUBJECTS) & set(known):
        raise Invalid(
            "A column Client, First Name and Last Name, Client ID or Title is needed. " + found
        )


def _bare(text: str) -> str:
    """ "Start_Date" and "start date" are the same column."""
    decomposed = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in decomposed if character.isalnum())


_COLUMN_OF = {
    _bare(name): column.name for column in COLUMNS for name in (column.name, *column.names)
}


# The rows


class _Reader:
    def __init__(self, table: _Table, rows: Sequence[_Row], zone: str) -> None:
        self._zone = zone
        self._unknown = table.unknown
        dates = [
            row.first(name) for row in rows for name in ("Start Date", "Start", "End Date", "End")
        ]
        self._day_first, self._order_open = moments.day_comes_first(dates, zone)
        self._has_times = any(self._tells_time(row) for row in rows)
        self._without_end = 0
        self._repeated = 0
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def take(self, row: _Row) -> None:
        try:
            self._keep(self._entry(row))
        except Invalid as error:
            self.problems.append(Problem(row.line, error.sentence))

    def notes(self) -> Iterator[str]:
        if self._order_open:
            order = moments.order_name(day_first=self._day_first)
            yield f"Dates such as 03/04/2026 were read as {order}."
        if self._without_end:
            yield (
                f"{counted(self._without_end, 'row')} without an end:"
                f" {USUAL_MINUTES} minutes were taken."
            )
        if self._repeated:
            yield f"{counted(self._repeated, 'row')} repeated another and was taken once."
        if self._unknown:
            yield f"{counted(self._unknown, 'unknown column')} left out."

    def _keep(self, entry: Entry) -> None:
        """Rows of one appointment with different clients are one appointment (a group)."""
        before = self.entries.get(entry.key)
        if before is None:
            self.entries[entry.key] = entry
            return
        together = replace(
            before,
            clients=tuple(dict.fromkeys(before.clients + entry.clients)),
            client_ids=tuple(dict.fromkeys(before.client_ids + entry.client_ids)),
        )
        if replace(entry, line=before.line, clients=(), client_ids=()) != replace(
            before, clients=(), client_ids=()
        ):
            raise Invalid(
                f"It is the same appointment as line {before.line}, but not with the same"
                " content. Correct one of them or give both an Appointment ID."
            )
        self._repeated += together == before
        self.entries[entry.key] = together

    def _entry(self, row: _Row) -> Entry:
        zone = self._row_zone(row)
        starts, ends, zone = self._span(row, zone)
        clients = _clients(row)
        client_ids = _client_ids(row)
        title = one_line(row.first("Title"))
        kind = _kind(row.first("Type"))
        if len(clients) > _MAX_CLIENTS or len(client_ids) > _MAX_CLIENTS:
            raise Invalid(f"It names more than {_MAX_CLIENTS} clients. Split the row.")
        if not (clients or client_ids or title) and kind in (None, Kind.SESSION):
            raise Invalid("It names no client and has no title. Fill in one of them.")
        return Entry(
            key=_key(row, clients, client_ids, title or row.first("Type"), starts),
            line=row.line,
            starts=starts,
            ends=ends,
            zone=zone,
            title=title,
            location=one_line(row.first("Location")),
            note=row.first("Notes"),
            status=_status(row.first("Status")),
            kind=kind,
            clients=clients,
            client_ids=client_ids,
        )

    def _row_zone(self, row: _Row) -> str:
        name = row.first("Time Zone")
        zone = zones.named(name) if name else self._zone
        if not zone:
            raise Invalid(
                f"Its time zone “{shortened(name)}” is not known. Write America/New_York, say."
            )
        return zone

    def _span(self, row: _Row, zone: str) -> tuple[datetime | date, datetime | date, str]:
        start = self._moment(row, _STARTS)
        end = self._moment(row, _ENDS)
        if start.day is None:
            raise Invalid("It has no date. Fill in the start date.")
        if _bare(row.first("All Day Event")) in _YES or (
            start.clock is None and not self._has_times
        ):
            return start.day, _day_after(start.day, end), self._zone
        if start.clock is None:
            raise Invalid("It has no start time. Fill it in, or say True under All Day Event.")
        begins = datetime.combine(start.day, start.clock)
        ends = self._end(row, begins, end)
        if start.offset is not None:
            until = ends - (start.offset if end.offset is None else end.offset)
            begins, ends, zone = _on_clocks(begins - start.offset, until, zone)
        if ends <= begins:
            raise Invalid("It ends before it begins. Correct its times.")
        return begins, ends, zone

    def _tells_time(self, row: _Row) -> bool:
        try:
            return self._moment(row, _STARTS).clock is not None
        except Invalid:
            return False

    def _moment(self, row: _Row, names: Iterable[str]) -> Moment:
        """What the columns of a start, or of an end, say together."""
        found = Moment()
        for name in names:
            if row.first(name):
                each = moments.moment(row.first(name), day_first=self._day_first)
                found = Moment(
                    found.day or each.day,
                    # A date column may come with a meaningless midnight.
                    each.clock if each.clock is not None else found.clock,
                    each.offset if each.offset is not None else found.offset,
                )
        return found

    def _end(self, row: _Row, begins: datetime, end: Moment) -> datetime:
        length = row.first("Duration")
        if end.clock is None:
            if not length:
                self._without_end += 1
            return begins + timedelta(minutes=moments.minutes(length) if length else USUAL_MINUTES)
        ends = datetime.combine(end.day or begins.date(), end.clock)
        # Without a day of its own it may end after midnight, but not a day later.
        night = timedelta(hours=12)
        if end.day is None and ends < begins and ends + timedelta(days=1) - begins <= night:
            ends += timedelta(days=1)
        return ends


def _day_after(first: date, end: Moment) -> date:
    """The day after the last of an all-day row.

    Google gives the last day itself; Outlook gives midnight after it.
    """
    last = end.day or first
    if last < first:
        raise Invalid("It ends before it begins. Correct its dates.")
    if end.clock == time() and last > first:
        return last
    return last + timedelta(days=1)


def _on_clocks(begins: datetime, ends: datetime, zone: str) -> tuple[datetime, datetime, str]:
    """Moments in UTC (without zone) as wall times in `zone`.

    They stay in UTC if the clocks of the zone show one of them twice.
    """
    walls = []
    for moment in (begins, ends):
        local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        if local.fold:
            return begins, ends, "UTC"
        walls.append(local.replace(tzinfo=None))
    return walls[0], walls[1], zone


def _clients(row: _Row) -> tuple[tuple[str, str], ...]:
    first, last = one_line(row.first("First Name")), one_line(row.first("Last Name"))
    if first or last:
        return ((first, last),) if first else ((last, ""),)
    return people(row.first("Client"))


def _client_ids(row: _Row) -> tuple[str, ...]:
    parts = (one_line(part) for part in re.split(r"[;,&|\n]", row.first("Client ID")))
    return tuple(dict.fromkeys(filter(None, parts)))


def _status(text: str) -> Status:
    if not text:
        return Status.SCHEDULED
    status = _STATUS_OF.get(_bare(text))
    if status is None:
        raise Invalid(
            f"Its status “{shortened(text)}” is not known."
            " Write scheduled, cancelled, late cancelled or no-show."
        )
    return status


def _kind(text: str) -> Kind | None:
    words = " ".join(re.findall(r"[a-z]+", text.replace("_", " ").casefold()))
    return next((kind for word, kind in _KINDS if f" {word}" in f" {words}"), None)


def _key(
    row: _Row,
    clients: tuple[tuple[str, str], ...],
    client_ids: tuple[str, ...],
    title: str,
    starts: datetime | date,
) -> str:
    """The appointment's own ID, else a digest of whom or what it is with, and when."""
    given = one_line(row.first("Appointment ID"))
    if given and len(given) <= 200:
        return f"csv:{given}"
    names = ["\t".join(name).casefold() for name in clients]
    subject = given or "\n".join(client_ids or names or [title.casefold()])
    return "csv:" + sha256(f"{subject}\n{starts.isoformat()}".encode()).hexdigest()[:32]
