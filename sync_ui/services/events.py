"""What of the schedule leaves the building: a calendar as a link shows it.

Feed, preview and every later way out share `_Subjects`: it looks up whom and
what an appointment is about, and `display` decides what of it may be told.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import ColumnElement, Integer, Row, String, func, select, type_coerce

from sync_ui.domain import display, ics_write
from sync_ui.domain.event import GONE, Choices, DisplayMode, Event, Kind, Subject, Words
from sync_ui.domain.event import Appointment as Facts
from sync_ui.domain.event import Client as ClientFacts
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Client,
    Clinician,
    Initials,
    db,
)
from sync_ui.models.columns import stamp
from sync_ui.services.known import batches

Conditions = Sequence[ColumnElement[bool]]

_GONE = frozenset(status.value for status in GONE)


@dataclass(frozen=True, slots=True)
class Shown:
    """A calendar as a link (or a preview) shows it: all that its events depend on.

    `clinician_id` is None for the practice's. `revision` and `link_changed_at`
    are those of the link and of the practice's policy together.
    """

    clinician_id: int | None
    zone: str
    mode: DisplayMode
    choices: Choices
    revision: int
    link_changed_at: datetime
    days_back: int
    months_ahead: int


class Written(NamedTuple):
    """An event's text, and where it stands: sorted as `ics_write.in_order` sorts.

    `mark` changes with whatever the appointment shows.
    """

    order: str
    uid: str
    clinician_id: int
    mark: int
    text: str

    @property
    def day(self) -> str:
        return self.order[:8]


def within(shown: Shown, now: datetime) -> Conditions:
    """Which appointments the rolling window shows."""
    starts, ends = window(shown, now)
    return [*_of_calendar(shown), Appointment.ends_at > starts, Appointment.starts_at < ends]


def write(shown: Shown, where: Conditions) -> list[Written]:
    """These appointments as texts, in order."""
    rows: Sequence[Any] = db.session.execute(select(*_COLUMNS).where(*where)).all()
    subjects = _Subjects(shown, where)
    told: dict[tuple[Any, ...], str] = {}
    link_changed = f"{shown.link_changed_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    written = []
    for row in rows:
        id_, uid, clinician_id, starts, ends, all_day, local, zone, revision, *stamps = row[:11]
        created, changed = stamps
        about = (clinician_id, subjects.attending.get(id_, ()), *row[11:])
        if about not in told:
            told[about] = ics_write.told(subjects.words(*about))
        order, span = starts, ics_write.moments(starts, ends)
        if all_day:
            order = f"{local[:8]}T000000Z"
            span = ics_write.days(local[:8], f"{_local_day(ends, zone):%Y%m%d}")
        text = ics_write.vevent(
            uid,
            span=span,
            sequence=revision + shown.revision,
            created=created,
            changed=max(changed, link_changed),
            told=told[about],
        )
        written.append(Written(order, uid, clinician_id, hash((id_, revision, changed)), text))
    written.sort()
    return written


def marks(shown: Shown, where: Conditions) -> dict[tuple[int, str], int]:
    """What `write` would mark, summed by clinician and day (of `order`), and far quicker."""
    rows: Sequence[Any] = db.session.execute(select(*_MARKED).where(*where)).all()
    found: defaultdict[tuple[int, str], int] = defaultdict(int)
    for id_, clinician_id, starts, all_day, local, revision, changed in rows:
        day = (local if all_day else starts)[:8]
        found[clinician_id, day] += hash((id_, revision, changed))
    return dict(found)


def around(day: str) -> Conditions:
    """Appointments whose `order` may begin with this day, in whatever zone they are."""
    midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    a_day = timedelta(days=1)
    return [Appointment.starts_at >= midnight - a_day, Appointment.starts_at < midnight + 2 * a_day]


def count(shown: Shown, now: datetime) -> int:
    """How many events the rolling window holds."""
    wanted = select(func.count(Appointment.id)).where(*within(shown, now))
    return db.session.scalar(wanted) or 0


def upcoming(shown: Shown, now: datetime, limit: int) -> list[Event]:
    """The next events, at most `limit`, from now on."""
    ends = window(shown, now)[1]
    order = (Appointment.starts_at, Appointment.uid)
    where = [*_of_calendar(shown), Appointment.ends_at > now, Appointment.starts_at < ends]
    wanted = select(Appointment.id).where(*where).order_by(*order).limit(limit)
    where = [Appointment.id.in_(db.session.scalars(wanted).all())]
    subjects = _Subjects(shown, where)
    return [
        display.show(
            Facts(
                uid=found.uid,
                subject=subjects.of(found),
                starts_at=found.starts_at,
                ends_at=found.ends_at,
                revision=found.revision,
                created_at=found.created_at,
                changed_at=found.changed_at,
                days=_days(found) if found.all_day else None,
            ),
            shown.mode,
            shown.choices,
            link_revision=shown.revision,
            link_changed_at=shown.link_changed_at,
            practice_wide=shown.clinician_id is None,
        )
        for found in db.session.scalars(select(Appointment).where(*where).order_by(*order))
    ]


def window(shown: Shown, now: datetime) -> tuple[datetime, datetime]:
    """From local midnight `days_back` days ago to the one that ends the last day ahead."""
    local = today(shown.zone, now)
    first = local - timedelta(days=shown.days_back)
    last = local + relativedelta(months=shown.months_ahead) + timedelta(days=1)
    zone = ZoneInfo(shown.zone)
    return (
        datetime.combine(first, time(), zone).astimezone(UTC),
        datetime.combine(last, time(), zone).astimezone(UTC),
    )


def today(zone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(zone)).date()


# Strings and numbers as they are stored: a feed reads thousands of rows.
_COLUMNS = (
    Appointment.id,
    Appointment.uid,
    Appointment.clinician_id,
    stamp(Appointment.starts_at),
    stamp(Appointment.ends_at),
    type_coerce(Appointment.all_day, Integer),
    stamp(Appointment.starts_local),
    Appointment.zone,
    Appointment.revision,
    stamp(Appointment.created_at),
    stamp(Appointment.changed_at),
    # From here on what it is about; see `_Subjects.words`.
    type_coerce(Appointment.kind, String),
    type_coerce(Appointment.status, String),
    Appointment.title,
    Appointment.location,
    Appointment.telehealth_address,
    Appointment.type_id,
)

_MARKED = (*(_COLUMNS[n] for n in (0, 2, 3, 5, 6, 8, 10)),)


def _of_calendar(shown: Shown) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if shown.clinician_id is not None:
        where.append(Appointment.clinician_id == shown.clinician_id)
    if not shown.choices.cancelled:
        where.append(Appointment.status.not_in(GONE))
    if not shown.choices.time_off:
        where.append(Appointment.kind != Kind.TIME_OFF)
    return where


def _days(found: Appointment) -> tuple[date, date]:
    return found.starts_local.date(), found.ends_at.astimezone(ZoneInfo(found.zone)).date()


def _local_day(moment: str, zone: str) -> date:
    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).date()


class _Subjects:
    """Whom and what these appointments are about; `attending` are clients' ids, in order."""

    def __init__(self, shown: Shown, where: Conditions) -> None:
        self._shown = shown
        self.attending = _attending(where)
        self._clinicians = {row.id: row.name for row in _rows(Clinician.id, Clinician.name)}
        types = _rows(AppointmentType.id, AppointmentType.name, AppointmentType.ceiling)
        self._types = {row.id: row for row in types}
        self._clients = _clients({i for ids in self.attending.values() for i in ids})
        self._numbers = _numbers(shown.clinician_id)

    def words(self, *about: Any) -> Words:
        return display.words(
            self._subject(*about),
            self._shown.mode,
            self._shown.choices,
            practice_wide=self._shown.clinician_id is None,
        )

    def of(self, found: Appointment) -> Subject:
        return self._subject(
            found.clinician_id,
            self.attending.get(found.id, ()),
            found.kind,
            found.status,
            found.title,
            found.location,
            found.telehealth_address,
            found.type_id,
        )

    def _subject(
        self,
        clinician_id: int,
        client_ids: tuple[int, ...],
        kind: str,
        status: str,
        title: str,
        location: str,
        telehealth_address: str,
        type_id: int | None,
    ) -> Subject:
        of_type = self._types.get(type_id)
        return Subject(
            kind=Kind(kind),
            clinician=self._clinicians[clinician_id],
            clients=tuple(self._client(clinician_id, client_id) for client_id in client_ids),
            title=title,
            location=location,
            telehealth_address=telehealth_address,
            type=of_type.name if of_type else "",
            ceiling=of_type.ceiling if of_type else None,
            cancelled=status in _GONE,
        )

    def _client(self, clinician_id: int, client_id: int) -> ClientFacts:
        found = self._clients[client_id]
        numbers = self._numbers.get((clinician_id, client_id), {})
        return ClientFacts(
            first_name=found.first_name,
            last_name=found.last_name,
            preferred_name=found.preferred_name,
            internal_id=found.internal_id,
            number=numbers.get(display.initials(found.first_name, found.last_name)),
            ceiling=found.ceiling,
        )


def _rows(*columns: Any) -> Sequence[Row[Any]]:
    return db.session.execute(select(*columns)).all()


def _attending(where: Conditions) -> dict[int, tuple[int, ...]]:
    """Whose clients come to each of these appointments, in order."""
    attending: dict[int, tuple[int, ...]] = {}
    pairs = (
        select(AppointmentClient.appointment_id, AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(*where)
        .order_by(AppointmentClient.appointment_id, AppointmentClient.position)
    )
    for appointment_id, client_id in db.session.execute(pairs):
        attending[appointment_id] = (*attending.get(appointment_id, ()), client_id)
    return attending


def _clients(ids: set[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    wanted = select(
        Client.id,
        Client.first_name,
        Client.last_name,
        Client.preferred_name,
        Client.internal_id,
        Client.ceiling,
    )
    return {
        row.id: row
        for some in batches(ids)
        for row in db.session.execute(wanted.where(Client.id.in_(some)))
    }


def _numbers(clinician_id: int | None) -> dict[tuple[int, int], dict[str, int]]:
    """(clinician, client) → initials → number, where several clients share the initials."""
    shared = select(Initials.clinician_id, Initials.letters).group_by(
        Initials.clinician_id, Initials.letters
    )
    if clinician_id is not None:
        shared = shared.where(Initials.clinician_id == clinician_id)
    several = shared.having(func.count() > 1).subquery()
    rows = db.session.execute(
        select(Initials.clinician_id, Initials.client_id, Initials.letters, Initials.number).join(
            several,
            (several.c.clinician_id == Initials.clinician_id)
            & (several.c.letters == Initials.letters),
        )
    )
    numbers: dict[tuple[int, int], dict[str, int]] = {}
    for clinician, client, letters, number in rows:
        numbers.setdefault((clinician, client), {})[letters] = number
    return numbers
