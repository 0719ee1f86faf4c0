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

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import islice
from zoneinfo import ZoneInfo

from sync_ui.domain import csv_sources, moments, zones
from sync_ui.domain.csv_table import (
    COLUMNS,
    ENDS,
    NOTHING_SAID,
    STARTS,
    USUAL_MINUTES,
    ColumnMapping,
    Row,
    Table,
    bare,
)
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.moments import Moment
from sync_ui.domain.names import people
from sync_ui.domain.reading import (
    MAX_EVENTS,
    TELL_EACH,
    Entry,
    Problem,
    Reading,
    Tell,
    counted,
    nobody,
    one_line,
    shortened,
)
from sync_ui.errors import Invalid

__all__ = ["COLUMNS", "read_csv"]

_MAX_CLIENTS = 50

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

_YES = frozenset({"true", "yes", "y", "1", "x", "t"})


def read_csv(
    data: bytes,
    zone: str,
    today: date,
    mappings: Mapping[str, ColumnMapping] = NOTHING_SAID,
    tell: Tell = nobody,
) -> Reading:
    """The rows of a table; times without a zone are in `zone` (IANA).

    `mappings` tell the columns of tables that were seen before, by their
    signature. A wrong row becomes a problem with its line. Raises `Invalid` if
    a column is missing, a quotation does not end, or a limit is passed. `today`
    is not needed: a table has no series.
    """
    table = Table(data, mappings)
    rows = list(islice(table.rows(), MAX_EVENTS + 1))
    if len(rows) + len(table.problems) > MAX_EVENTS:
        raise Invalid("This file has more than 100,000 rows. Export a shorter span of time.")
    tell(0, len(rows))
    reader = _Reader(table, rows, zone)
    if not reader.has_days:
        table.refuse_without_days()
    for done, row in enumerate(rows):
        reader.take(row)
        if done % TELL_EACH == 0:
            tell(done, len(rows))
    return Reading(
        entries=tuple(reader.entries.values()),
        problems=tuple(sorted((*table.problems, *reader.problems), key=lambda each: each.line)),
        source=table.source,
        notes=tuple(reader.notes()),
        signature=table.signature,
        is_table=True,
    )


class _Reader:
    def __init__(self, table: Table, rows: Sequence[Row], zone: str) -> None:
        self._zone = zone
        self._unknown = table.unknown
        self._ours = table.source == csv_sources.OURS
        cells = [row.first(name) for row in rows for name in (*STARTS, *ENDS)]
        self._day_first, self._order_open = moments.day_comes_first(cells, zone)
        if table.day_first is not None:
            self._day_first, self._order_open = table.day_first, False
        starts = [self._start(row) for row in rows]
        self.has_days = any(start.day is not None for start in starts)
        self._has_times = any(start.clock is not None for start in starts)
        self._without_end = 0
        self._repeated = 0
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def take(self, row: Row) -> None:
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
            yield f"Rows that repeat another were taken once: {self._repeated}."
        if self._unknown:
            yield f"{counted(self._unknown, 'unknown column')} left out."
        if not self.entries and not self.problems:
            yield "There is no row in this file."

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

    def _entry(self, row: Row) -> Entry:
        zone = self._row_zone(row)
        starts, ends, zone = self._span(row, zone)
        clients = _clients(row)
        client_ids = _client_ids(row)
        title = one_line(row.first("Title"))
        kind = _kind(row.first("Type"))
        if len(clients) > _MAX_CLIENTS or len(client_ids) > _MAX_CLIENTS:
            raise Invalid(f"It names more than {_MAX_CLIENTS} clients. Split the row.")
        unsaid = (None,) if self._ours else (None, Kind.SESSION)
        if not (clients or client_ids or title) and kind in unsaid:
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
            ours=self._ours,
        )

    def _row_zone(self, row: Row) -> str:
        name = row.first("Time Zone")
        zone = zones.named(name) if name else self._zone
        if not zone:
            raise Invalid(
                f"Its time zone “{shortened(name)}” is not known. Write America/New_York, say."
            )
        return zone

    def _span(self, row: Row, zone: str) -> tuple[datetime | date, datetime | date, str]:
        start = self._moment(row, STARTS)
        end = self._moment(row, ENDS)
        if start.day is None:
            raise Invalid("It has no date. Fill in the start date.")
        if bare(row.first("All Day Event")) in _YES or (
            start.clock is None and not self._has_times
        ):
            return start.day, _day_after(start.day, end), zone
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

    def _start(self, row: Row) -> Moment:
        try:
            return self._moment(row, STARTS)
        except Invalid:
            return Moment()

    def _moment(self, row: Row, names: Iterable[str]) -> Moment:
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

    def _end(self, row: Row, begins: datetime, end: Moment) -> datetime:
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


def _clients(row: Row) -> tuple[tuple[str, str], ...]:
    first, last = one_line(row.first("First Name")), one_line(row.first("Last Name"))
    if first or last:
        return ((first, last),) if first else ((last, ""),)
    return people(row.first("Client"))


def _client_ids(row: Row) -> tuple[str, ...]:
    parts = (one_line(part) for part in re.split(r"[;,&|\n]", row.first("Client ID")))
    return tuple(dict.fromkeys(filter(None, parts)))


def _status(text: str) -> Status:
    if not text:
        return Status.SCHEDULED
    status = _STATUS_OF.get(bare(text))
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
    row: Row,
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
