"""What is stored that an import compares with: columns of rows, not objects."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, TypeVar

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Calendar,
    Client,
    Import,
    ImportedRow,
    ImportedTitle,
    Location,
    Practice,
    Series,
)
from sync_ui.services import practice
from sync_ui.services.drafts import COMPARED

T = TypeVar("T")

# What fits into one statement on every database.
BATCH = 1000

_BRIEF: tuple[Any, ...] = (
    Appointment.id,
    Appointment.import_key,
    Appointment.import_digest,
    Appointment.import_source,
    Appointment.status,
    Appointment.starts_at,
)
_FULL: tuple[Any, ...] = (
    Appointment.id,
    Appointment.uid,
    Appointment.clinician_id,
    Appointment.series_id,
    Appointment.occurrence,
    Appointment.own,
    Appointment.import_digest,
    Appointment.telehealth_address,
    *(getattr(Appointment, column) for column in COMPARED),
)


def fingerprint(session: Session, clinician_id: int) -> str:
    """Changes with everything that a comparison for this clinician depends on.

    Whatever changes appointments or series raises the calendar's version.
    """
    seen = sha256()
    for wanted in (
        select(Calendar.version).where(Calendar.clinician_id == clinician_id),
        select(Practice.zone),
        select(Location.name).order_by(Location.id),
        select(
            Client.id,
            Client.first_name,
            Client.last_name,
            Client.internal_id,
            Client.archived_at,
            Client.merged_into_id,
        ).order_by(Client.id),
        select(ImportedTitle.id, ImportedTitle.title, ImportedTitle.client_id)
        .where(ImportedTitle.clinician_id == clinician_id)
        .order_by(ImportedTitle.id),
    ):
        for row in session.execute(wanted):
            seen.update(repr(tuple(row)).encode())
    return seen.hexdigest()


class Known:
    """What earlier imports made in one clinician's schedule; read once, not for each event."""

    def __init__(self, session: Session, clinician_id: int) -> None:
        self._session = session
        self.zone: str = practice.get(session).zone
        self.places = {name.casefold(): name for name in practice.location_names()}
        own = Appointment.clinician_id == clinician_id
        self.singles: dict[str, Row[Any]] = {
            row.import_key: row
            for row in session.execute(
                select(*_BRIEF).where(own, Appointment.import_key.is_not(None))
            )
        }
        of_clinician = select(Series.__table__).where(Series.clinician_id == clinician_id)
        self.series: dict[str, Row[Any]] = {
            row.import_key: row
            for row in session.execute(of_clinician.where(Series.import_key.is_not(None)))
        }

        self.handed_over = set(session.scalars(_handed_over(clinician_id)))

    def details(self, appointment_ids: Collection[int]) -> dict[int, Row[Any]]:
        """All columns that a file can change, by the appointments' ids."""
        return {
            row.id: row
            for some in batches(appointment_ids)
            for row in self._session.execute(select(*_FULL).where(Appointment.id.in_(some)))
        }

    def ours(self, keys: Iterable[str]) -> dict[str, Row[Any]]:
        """What an export of our own brings back, by the file's keys: they hold our UIDs."""
        uids = {key.partition(":")[2]: key for key in keys}
        return {
            uids[row.uid]: row
            for some in batches(uids)
            for row in self._session.execute(select(*_FULL).where(Appointment.uid.in_(some)))
        }

    def turns(self, series_id: int) -> dict[str, Row[Any]]:
        """The turns of a series by the wall time of its rule."""
        wanted = select(*_FULL).where(Appointment.series_id == series_id)
        return {row.occurrence or "": row for row in self._session.execute(wanted)}

    def clients_of(self, appointment_ids: Collection[int]) -> Mapping[int, list[int]]:
        """Who comes to each of these appointments, in order."""
        return clients_of(self._session, appointment_ids)

    def names_of(self, appointment_ids: Collection[int]) -> dict[int, str]:
        """The clients of each of these appointments, as “Jane Smith & Mark Smith”."""
        ids = clients_of(self._session, appointment_ids)
        names = self._names({client_id for some in ids.values() for client_id in some})
        return {
            appointment_id: " & ".join(names[client_id] for client_id in some)
            for appointment_id, some in ids.items()
        }

    def names_in_series(self, series_id: int) -> str:
        row = next(row for row in self.series.values() if row.id == series_id)
        names = self._names(row.client_ids)
        return " & ".join(names[client_id] for client_id in row.client_ids if client_id in names)

    def _names(self, client_ids: Collection[int]) -> dict[int, str]:
        wanted = select(Client.id, Client.first_name, Client.last_name)
        return {
            row.id: f"{row.first_name} {row.last_name}".strip()
            for some in batches(client_ids)
            for row in self._session.execute(wanted.where(Client.id.in_(some)))
        }


def clients_of(session: Session, appointment_ids: Collection[int]) -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for some in batches(appointment_ids):
        for row in session.execute(_attendance(some)):
            found[row.appointment_id].append(row.client_id)
    return found


def _handed_over(clinician_id: int) -> Select[str | None]:
    """What imports for this clinician brought and now is another's."""
    return (
        select(Appointment.import_key)
        .join(
            ImportedRow,
            (ImportedRow.row_id == Appointment.id) & (ImportedRow.of_table == "appointment"),
        )
        .join(Import, Import.id == ImportedRow.import_id)
        .where(Import.clinician_id == clinician_id, Appointment.clinician_id != clinician_id)
        .where(Appointment.import_key.is_not(None))
    )


def _attendance(appointment_ids: list[int]) -> Select[int, int]:
    return (
        select(AppointmentClient.appointment_id, AppointmentClient.client_id)
        .where(AppointmentClient.appointment_id.in_(appointment_ids))
        .order_by(AppointmentClient.appointment_id, AppointmentClient.position)
    )


def batches(ids: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    listed = list(ids)
    for at in range(0, len(listed), size):
        yield listed[at : at + size]
