"""An import taken back as a whole, as long as nobody has touched what it brought."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, delete, select, update
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.event import Status
from sync_ui.domain.reading import counted
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Calendar,
    Client,
    Import,
    ImportedRow,
    ImportedTitle,
    Initials,
    Series,
    db,
    transaction,
)
from sync_ui.services import access, calendars, snapshots
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.bulk import delete_rows, put_back, replace_attendance
from sync_ui.services.known import batches, clients_of

# So long an import can be undone.
KEPT = timedelta(days=90)

_APPOINTMENT: Table = Appointment.__table__  # type: ignore[assignment]
_CLIENT: Table = Client.__table__  # type: ignore[assignment]
_INITIALS: Table = Initials.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]
_TITLE: Table = ImportedTitle.__table__  # type: ignore[assignment]


def undo(actor: Actor, import_id: int) -> Import:
    """The schedule is as if the import had never been; feeds hear of it at their next reading.

    Clients whom it added go, too, unless they have come to be used elsewhere.
    Raises NotFound, Refused, and Conflict if it is too late.
    """
    access.require(actor, Permission.IMPORTS)
    run = access.get(Import, import_id, "There is no such import.")
    access.clinician(actor, run.clinician_id)
    undoing = _Undoing(db.session(), run)
    undoing.refuse_if_late()  # takes long, so before anyone has to wait
    with transaction() as session:
        run = session.get_one(Import, import_id)
        if run.undone_at is not None or undoing.version != _version(session, run):
            undoing = _Undoing(session, run)
            undoing.refuse_if_late()
        at = calendars.stamp(session)
        session.flush()
        undoing.carry_out(at)
        calendars.raise_versions(session, {run.clinician_id}, at)
        run.undone_at = clock.now()
        session.execute(delete(ImportedRow).where(ImportedRow.import_id == run.id))
        record(session, actor, Action.IMPORT_UNDONE, f"import_run:{run.id}")
    return run


def _version(session: Session, run: Import) -> int | None:
    """Rises with whatever changes the clinician's appointments."""
    own = select(Calendar.version).where(Calendar.clinician_id == run.clinician_id)
    return session.scalar(own)


class _Undoing:
    def __init__(self, session: Session, run: Import) -> None:
        self._session = session
        self._run = run
        self._clinician_id = run.clinician_id
        self.version = _version(session, run)
        noted: defaultdict[str, dict[int, Any]] = defaultdict(dict)
        columns = (ImportedRow.of_table, ImportedRow.row_id, ImportedRow.before, ImportedRow.after)
        for row in session.execute(select(*columns).where(ImportedRow.import_id == run.id)):
            noted[row.of_table][row.row_id] = row
        self._appointments = noted["appointment"]
        self._series = noted["series"]
        self._titles = noted["imported_title"]
        self._clients = noted["client"]
        self._initials = noted["initials"]
        self._grown = self._grown_since()

    def refuse_if_late(self) -> None:
        """Raises Conflict."""
        run = self._run
        if run.undone_at is not None:
            raise Conflict("This import has been undone already.")
        if run.applied_at < clock.now() - KEPT:
            raise Conflict(f"This import is older than {KEPT.days} days and can be undone no more.")
        changed = len(self._changed_appointments()) + len(self._changed_series())
        changed += sum(_is_touched(turn) for turn in self._grown)
        if changed:
            raise Conflict(
                f"{counted(changed, 'row')} of this import {'was' if changed == 1 else 'were'}"
                " changed since, here or by a later import, so it cannot be undone as a whole."
            )

    def carry_out(self, at: datetime) -> None:
        self._undo_appointments(at)
        self._undo_series()
        self._undo_titles()
        self._undo_clients(at)

    def _changed_appointments(self) -> set[int]:
        changed = set(self._appointments)
        for ids in batches(self._appointments):
            coming = clients_of(self._session, ids)
            wanted = select(_APPOINTMENT).where(_APPOINTMENT.c.id.in_(ids))
            for row in self._session.execute(wanted).mappings():
                found = snapshots.digest(_APPOINTMENT, row, coming.get(row["id"], []))
                if found == self._appointments[row["id"]].after:
                    changed.discard(row["id"])
        return changed

    def _changed_series(self) -> set[int]:
        changed = set(self._series)
        for ids in batches(self._series):
            wanted = select(_SERIES).where(_SERIES.c.id.in_(ids))
            for row in self._session.execute(wanted).mappings():
                if snapshots.digest(_SERIES, row) == self._series[row["id"]].after:
                    changed.discard(row["id"])
        return changed

    def _grown_since(self) -> list[Any]:
        """Turns that the import's series have grown by themselves."""
        return [
            row
            for ids in batches(self._series)
            for row in self._session.execute(
                select(_APPOINTMENT)
                .where(_APPOINTMENT.c.series_id.in_(ids))
                .where(_APPOINTMENT.c.created_at > self._run.applied_at)
            )
            if row.id not in self._appointments
        ]

    def _undo_appointments(self, at: datetime) -> None:
        added = [row_id for row_id, row in self._appointments.items() if row.before is None]
        delete_rows(self._session, _APPOINTMENT.c.id, [*added, *(turn.id for turn in self._grown)])
        before = {i: row.before for i, row in self._appointments.items() if row.before is not None}
        put_back(self._session, before, at)
        coming = {row_id: row["clients"] for row_id, row in before.items()}
        replace_attendance(self._session, coming)

    def _undo_series(self) -> None:
        delete_rows(
            self._session,
            _SERIES.c.id,
            [i for i, row in self._series.items() if row.before is None],
        )
        for series_id, row in self._series.items():
            if row.before is not None:
                values = snapshots.restored(_SERIES, row.before)
                of_series = _SERIES.c.id == series_id
                self._session.execute(update(_SERIES).where(of_series).values(**values))

    def _undo_titles(self) -> None:
        """Answers that were given anew since then stay."""
        now = {
            row.id: str(row.client_id)
            for ids in batches(self._titles)
            for row in self._session.execute(
                select(_TITLE.c.id, _TITLE.c.client_id).where(_TITLE.c.id.in_(ids))
            )
        }
        untouched = [i for i, row in self._titles.items() if now.get(i) == row.after]
        delete_rows(
            self._session, _TITLE.c.id, [i for i in untouched if self._titles[i].before is None]
        )
        for title_id in untouched:
            before = self._titles[title_id].before
            if before is not None:
                of_title = _TITLE.c.id == title_id
                self._session.execute(update(_TITLE).where(of_title).values(**before))

    def _undo_clients(self, at: datetime) -> None:
        going = self._unused_clients()
        leaving = [i for i in self._initials if i in going] + self._no_longer_coming(going)
        by_letters: defaultdict[str, list[int]] = defaultdict(list)
        for client_id in leaving:
            by_letters[self._initials[client_id].after].append(client_id)
        for letters, client_ids in by_letters.items():
            own = (
                _INITIALS.c.clinician_id == self._clinician_id,
                _INITIALS.c.letters == letters,
            )
            for ids in batches(client_ids):
                self._session.execute(delete(_INITIALS).where(*own, _INITIALS.c.client_id.in_(ids)))
            self._show_alone(letters, at)
        delete_rows(self._session, _CLIENT.c.id, sorted(going))

    def _no_longer_coming(self, going: Collection[int]) -> list[int]:
        """Of those who stay, whom this clinician does not see any more."""
        staying = [client_id for client_id in self._initials if client_id not in going]
        coming: set[int] = set()
        for ids in batches(staying):
            seen = (
                select(AppointmentClient.client_id)
                .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
                .where(AppointmentClient.client_id.in_(ids))
                .where(Appointment.clinician_id == self._clinician_id)
            )
            coming.update(self._session.scalars(seen.distinct()))
        return [client_id for client_id in staying if client_id not in coming]

    def _show_alone(self, letters: str, at: datetime) -> None:
        """Who was J.S.1 because of the import is J.S. again."""
        same = select(_INITIALS.c.client_id).where(
            _INITIALS.c.clinician_id == self._clinician_id, _INITIALS.c.letters == letters
        )
        left = self._session.scalars(same).all()
        if len(left) == 1:
            calendars.raise_client(self._session, left[0], at)

    def _unused_clients(self) -> set[int]:
        """Those whom the import added and nothing else has come to need, as they were added."""
        unused: set[int] = set()
        in_series = {
            client_id
            for ids in self._session.scalars(select(_SERIES.c.client_ids))
            for client_id in ids
        }
        for ids in batches(self._clients):
            wanted = select(_CLIENT).where(_CLIENT.c.id.in_(ids))
            for row in self._session.execute(wanted).mappings():
                if snapshots.digest(_CLIENT, row) == self._clients[row["id"]].after:
                    unused.add(row["id"])
            for needed in (
                select(AppointmentClient.client_id).where(AppointmentClient.client_id.in_(ids)),
                select(_TITLE.c.client_id).where(_TITLE.c.client_id.in_(ids)),
                select(_CLIENT.c.merged_into_id).where(_CLIENT.c.merged_into_id.in_(ids)),
                select(_INITIALS.c.client_id)
                .where(_INITIALS.c.client_id.in_(ids))
                .where(_INITIALS.c.clinician_id != self._clinician_id),
            ):
                unused.difference_update(self._session.scalars(needed))
        return unused - in_series


def _is_touched(turn: Any) -> bool:
    moved = turn.starts_local.isoformat() != turn.occurrence
    return moved or bool(turn.own) or turn.status is not Status.SCHEDULED
