"""Writes what a comparison found: thousands of rows in a few statements.

Whatever is written is noted in the import's rows, so that it can be undone.
"""

import secrets
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Table, bindparam, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Client,
    Import,
    ImportedRow,
    ImportedTitle,
    Initials,
    Series,
    transaction,
)
from sync_ui.services import calendars, drafts, snapshots
from sync_ui.services.drafts import Addition, Changes, SeriesChange, Update
from sync_ui.services.known import batches, clients_of
from sync_ui.services.titles import Person

T = TypeVar("T")

_APPOINTMENT: Table = Appointment.__table__  # type: ignore[assignment]
_ATTENDANCE: Table = AppointmentClient.__table__  # type: ignore[assignment]
_CLIENT: Table = Client.__table__  # type: ignore[assignment]
_INITIALS: Table = Initials.__table__  # type: ignore[assignment]
_NOTED: Table = ImportedRow.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]
_TITLE: Table = ImportedTitle.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Ready:
    """An appointment to be added, as the database takes it.

    `values` are those of `Prepared.columns`; the rest is known when it is written.
    """

    values: tuple[Any, ...]
    people: list[int | None]
    after: str
    series: SeriesChange | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What takes long and needs no lock: new clients have their ids, new appointments are rows."""

    changes: Changes
    columns: tuple[str, ...]
    additions: list[Ready]


# What an appointment gets only as it is written.
_LATE = ("id", "series_id", "changed_at")


def prepare(session: Session, clinician_id: int, signature: str, changes: Changes) -> Prepared:
    """Holds as long as nobody adds a client: `known.fingerprint` tells."""
    ids = reserved(session, _CLIENT, len(changes.people))
    for person, client_id in zip(changes.people, ids, strict=True):
        person.id = client_id
    own = _blank(_APPOINTMENT)
    own |= {
        "clinician_id": clinician_id,
        "import_source": signature or None,
        "created_at": clock.now(),
        "changed_at": clock.now(),
    }
    columns = tuple(name for name in own if name not in _LATE)
    made = _Maker(session, _APPOINTMENT, columns)
    return Prepared(changes, columns, [_ready(one, own, made) for one in changes.additions])


def _ready(addition: Addition, own: dict[str, Any], made: "_Maker") -> Ready:
    people = [person.id for person in addition.draft.people]
    row = own | addition.draft.columns()
    row["uid"] = str(uuid.uuid4())
    row["occurrence"], row["import_key"] = addition.occurrence, addition.key
    row["import_digest"] = drafts.digest(addition.draft)
    after = snapshots.digest(_APPOINTMENT, row, people)
    return Ready(made.values(row), people, after, addition.series)


class _Maker:
    """Rows as the driver takes them, without a detour for each through the statement's compiler."""

    def __init__(self, session: Session, table: Table, columns: Sequence[str]) -> None:
        dialect = session.get_bind().dialect
        self.columns = columns
        self._table = table
        self._quote = dialect.identifier_preparer.quote
        self._mark = "?" if dialect.paramstyle == "qmark" else "%s"
        self._processors = [
            (name, table.columns[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in columns
        ]

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(
            process(row[name]) if process else row[name] for name, process in self._processors
        )

    def insert(self, session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows of `values`, many at a time."""
        names = ", ".join(self._quote(name) for name in self.columns)
        marks = ", ".join([self._mark] * len(self.columns))
        statement = f"INSERT INTO {self._quote(self._table.name)} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
        for some in batches(rows):
            session.connection().exec_driver_sql(statement, some)


class Writing:
    """One import's changes, in the transaction under way."""

    def __init__(self, session: Session, run: Import, signature: str, at: datetime) -> None:
        self._session = session
        self._run_id = run.id
        self._clinician_id = run.clinician_id
        self._signature = signature or None
        self._at = at
        self._now = clock.now()

    def carry_out(self, prepared: Prepared) -> None:
        changes = prepared.changes
        self._add_people(changes.people)
        self._tell_titles(changes)
        self._number(changes)
        self._write_series(changes.series)
        self._add(prepared)
        for updates in batches(changes.updates.values()):
            self._update(updates)

    def _add_people(self, people: Sequence[Person]) -> None:
        if not people:
            return
        taken = {known.lower() for known in self._session.scalars(select(Client.internal_id))}
        rows = []
        for person in people:
            person.internal_id = person.internal_id or _free_internal_id(taken)
            taken.add(person.internal_id.lower())
            rows.append(
                _blank(_CLIENT)
                | {
                    "id": person.id,
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "internal_id": person.internal_id,
                    "created_at": self._now,
                }
            )
        self._insert(_CLIENT, rows)
        self._note(_CLIENT, ((row["id"], None, snapshots.digest(_CLIENT, row)) for row in rows))

    def _tell_titles(self, changes: Changes) -> None:
        new = [known for known in changes.titles if known.id is None]
        noted: list[tuple[int, dict[str, Any] | None, str]] = []
        rows = []
        for known, title_id in zip(new, reserved(self._session, _TITLE, len(new)), strict=True):
            client_id = known.person.id if known.person else None
            rows.append({"id": title_id, "title": known.title, "client_id": client_id})
            noted.append((title_id, None, str(client_id)))
        own = {"clinician_id": self._clinician_id}
        self._insert(_TITLE, [row | own for row in rows])
        for known in changes.titles:
            if known.id is None:
                continue
            client_id = known.person.id if known.person else None
            of_title = _TITLE.c.id == known.id
            before = self._session.scalar(select(_TITLE.c.client_id).where(of_title))
            self._session.execute(update(_TITLE).where(of_title).values(client_id=client_id))
            noted.append((known.id, {"client_id": before}, str(client_id)))
        self._note(_TITLE, noted)

    def _number(self, changes: Changes) -> None:
        """As `clients.number_initials` does for one, for all who come."""
        of_clinician = select(Initials.client_id, Initials.letters, Initials.number).where(
            Initials.clinician_id == self._clinician_id
        )
        numbers: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for row in self._session.execute(of_clinician):
            numbers[row.letters][row.client_id] = row.number
        rows: list[dict[str, Any]] = []
        joined: set[int] = set()
        everyone = (person for people in changes.attending() for person in people)
        for person in dict.fromkeys(everyone):
            assert person.id is not None
            letters = display.initials(person.first_name, person.last_name)
            same = numbers[letters]
            if person.id in same:
                continue
            if len(same) == 1:
                joined.update(same)
            same[person.id] = max(same.values(), default=0) + 1
            rows.append({"client_id": person.id, "letters": letters, "number": same[person.id]})
        own = {"clinician_id": self._clinician_id}
        self._insert(_INITIALS, [row | own for row in rows])
        self._note(_INITIALS, ((row["client_id"], None, row["letters"]) for row in rows))
        for client_id in joined - {row["client_id"] for row in rows}:
            calendars.raise_client(self._session, client_id, self._at)

    def _write_series(self, changed: Sequence[SeriesChange]) -> None:
        new = [change for change in changed if change.id is None]
        rows = []
        for change, series_id in zip(new, reserved(self._session, _SERIES, len(new)), strict=True):
            change.id = series_id
            own = {"id": series_id, "clinician_id": self._clinician_id, "created_at": self._now}
            rows.append(_blank(_SERIES) | self._series_values(change) | own)
        self._insert(_SERIES, rows)
        self._note(_SERIES, ((row["id"], None, snapshots.digest(_SERIES, row)) for row in rows))
        added = {row["id"] for row in rows}
        for change in changed:
            if change.id is not None and change.id not in added:
                self._change_series(change.id, self._series_values(change))

    def _series_values(self, change: SeriesChange) -> dict[str, Any]:
        values = dict(change.values)
        if change.people is not None:
            values["client_ids"] = [person.id for person in change.people]
        if change.digest:
            values |= {"import_digest": change.digest(values), "import_source": self._signature}
        return values

    def _change_series(self, series_id: int, values: dict[str, Any]) -> None:
        of_series = _SERIES.c.id == series_id
        before = self._session.execute(select(_SERIES).where(of_series)).mappings().one()
        self._session.execute(update(_SERIES).where(of_series).values(**values))
        after = snapshots.digest(_SERIES, {**before, **values})
        self._note(_SERIES, [(series_id, snapshots.plain(_SERIES, before), after)])

    def _add(self, prepared: Prepared) -> None:
        ids = reserved(self._session, _APPOINTMENT, len(prepared.additions))
        pairs = list(zip(ids, prepared.additions, strict=True))
        made = _Maker(self._session, _APPOINTMENT, (*_LATE, *prepared.columns))
        (at,) = _Maker(self._session, _APPOINTMENT, ["changed_at"]).values({"changed_at": self._at})
        made.insert(
            self._session,
            [(i, one.series.id if one.series else None, at, *one.values) for i, one in pairs],
        )
        coming = _Maker(self._session, _ATTENDANCE, ("appointment_id", "client_id", "position"))
        coming.insert(
            self._session,
            [(i, who, place) for i, one in pairs for place, who in enumerate(one.people)],
        )
        self._note(_APPOINTMENT, ((i, None, one.after) for i, one in pairs))

    def _update(self, updates: Sequence[Update]) -> None:
        wanted = {one.id: one for one in updates}
        stored = select(_APPOINTMENT).where(_APPOINTMENT.c.id.in_(wanted))
        rows = {row["id"]: row for row in self._session.execute(stored).mappings()}
        coming = clients_of(self._session, wanted)
        noted = []
        alike: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for row_id, one in wanted.items():
            before, clients = rows[row_id], coming.get(row_id, [])
            values = self._values(one, before)
            people = clients if one.people is None else [person.id for person in one.people]
            if not values and people == clients:
                continue
            kept = snapshots.plain(_APPOINTMENT, before, clients)
            after = snapshots.digest(_APPOINTMENT, {**before, **values}, people)
            noted.append((row_id, kept, after))
            if one.is_seen:
                values |= {"revision": before["revision"] + 1, "changed_at": self._at}
            alike[tuple(sorted(values))].append({"of_id": row_id, **values})
        for columns, some in alike.items():
            if columns:
                change_rows(self._session, _APPOINTMENT, columns, some)
        replace_attendance(
            self._session,
            {one.id: [p.id for p in one.people] for one in updates if one.people is not None},
        )
        self._note(_APPOINTMENT, noted)

    def _values(self, one: Update, before: Any) -> dict[str, Any]:
        values = dict(one.values)
        if one.draft is not None:
            values["import_digest"] = drafts.digest(one.draft)
            values["import_source"] = self._signature
        if one.series is not None:
            values["series_id"] = one.series.id
        return {column: value for column, value in values.items() if before[column] != value}

    def _insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        for some in batches(rows):
            self._session.execute(insert(table), some)

    def _note(self, table: Table, done: Iterable[tuple[int, dict[str, Any] | None, str]]) -> None:
        made = _Maker(self._session, _NOTED, ("import_id", "of_table", "row_id", "before", "after"))
        kept = _Maker(self._session, _NOTED, ["before"])
        made.insert(
            self._session,
            [
                (self._run_id, table.name, i, *kept.values({"before": before}), after)
                for i, before, after in done
            ],
        )


def reserved(session: Session, table: Table, count: int) -> Sequence[int]:
    """So many ids that no one else gets, for rows that name each other.

    On SQLite they hold inside a transaction, or as long as nobody adds a row.
    """
    if not count:
        return ()
    if session.get_bind().dialect.name != "postgresql":
        first = (session.scalar(select(func.max(table.c.id))) or 0) + 1
        return range(first, first + count)
    drawn = text(
        "SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)"
    )
    given = {"name": table.name, "count": count}
    if session.info.get("writing"):
        return list(session.scalars(drawn, given))
    with transaction() as drawing:  # a sequence moves on in a transaction that may write
        return list(drawing.scalars(drawn, given))


def change_rows(
    session: Session, table: Table, columns: Iterable[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Set these columns of each row; `of_id` is its id."""
    values: dict[str, Any] = {column: bindparam(column) for column in columns}
    statement = update(table).where(table.c.id == bindparam("of_id")).values(**values)
    session.connection().execute(statement, rows)


def put_back(session: Session, before: Mapping[int, dict[str, Any]], at: datetime) -> None:
    """Appointments as `snapshots.plain` has kept them, by their ids; feeds are told of it."""
    for ids in batches(before):
        rows = [
            snapshots.restored(_APPOINTMENT, before[row_id]) | {"of_id": row_id} for row_id in ids
        ]
        change_rows(
            session, _APPOINTMENT, [column for column in rows[0] if column != "of_id"], rows
        )
        rising = {"revision": _APPOINTMENT.c.revision + 1, "changed_at": at}
        session.execute(update(_APPOINTMENT).where(_APPOINTMENT.c.id.in_(ids)).values(**rising))


def delete_rows(session: Session, column: Column[Any], values: Iterable[Any]) -> None:
    """The rows of the column's table that have one of these values in it are gone."""
    for some in batches(values):
        session.execute(delete(column.table).where(column.in_(some)))


def replace_attendance(session: Session, coming: dict[int, list[Any]]) -> None:
    """These clients come to these appointments, and nobody else."""
    delete_rows(session, _ATTENDANCE.c.appointment_id, coming)
    rows = [row for row_id, ids in coming.items() for row in _attendance(row_id, ids)]
    for many in batches(rows):
        session.execute(insert(_ATTENDANCE), many)


def _attendance(appointment_id: int, client_ids: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"appointment_id": appointment_id, "client_id": client_id, "position": position}
        for position, client_id in enumerate(client_ids)
    ]


def _blank(table: Table) -> dict[str, Any]:
    """A new row: each column's default, else nothing."""
    found: dict[str, Any] = {}
    for column in table.columns:
        default: Any = column.default
        if default is None:
            found[column.name] = None
        else:
            found[column.name] = default.arg(None) if default.is_callable else default.arg
    return found


def _free_internal_id(taken: set[str]) -> str:
    """Random, as `clients` assigns them one by one."""
    digits = 4
    while len(taken) > 10**digits // 4:
        digits += 1
    while True:
        chosen = str(secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1))
        if chosen not in taken:
            return chosen
