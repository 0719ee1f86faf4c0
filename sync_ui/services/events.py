"""What of the schedule leaves the building: a calendar as a link shows it.

Feed, preview and every later way out share `_Subjects`: it looks up whom and
what an appointment is about, and `display` decides what of it may be told.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select, type_coerce
from sqlalchemy.orm import aliased
from sqlalchemy.types import NullType

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
from sync_ui.services.known import batches

Conditions = Sequence[ColumnElement[bool]]

# Of so many appointments, who attends is quicker read in one go than one by one.
MANY = 5_000

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
    text: bytes

    @property
    def day(self) -> str:
        return self.order[:8]


def within(shown: Shown, now: datetime) -> Conditions:
    """Which appointments the rolling window shows."""
    starts, ends = window(shown, now)
    return [*_of_calendar(shown), Appointment.ends_at > starts, Appointment.starts_at < ends]


def write(shown: Shown, where: Conditions) -> list[Written]:
    """These appointments as texts, in order."""
    rows = _rows(select(*_COLUMNS).where(*where))
    subjects = _Subjects(shown, [row[0] for row in rows])
    stamps = _Stamps()
    link_changed = stamps[shown.link_changed_at]
    told: dict[tuple[Any, ...], str] = {}
    written = []
    for row in rows:
        id_, uid, starts, ends, all_day, local, zone, revision, created, changed = row[:_ABOUT]
        about = (subjects.attending.get(id_, ()), *row[_ABOUT:])
        if about not in told:
            told[about] = ics_write.told(subjects.words(*about))
        order, span = stamps[starts], ics_write.moments(stamps[starts], stamps[ends])
        if all_day:
            first = stamps[local][:8]
            order, span = f"{first}T000000Z", ics_write.days(first, _day_of(stamps[ends], zone))
        text = ics_write.vevent(
            uid,
            span=span,
            sequence=revision + shown.revision,
            created=stamps[created],
            changed=max(stamps[changed], link_changed),
            told=told[about],
        )
        written.append(
            Written(order, uid, row[_ABOUT], hash((id_, revision, changed)), text.encode())
        )
    written.sort()
    return written


class _Stamps(dict[Any, str]):
    """Moments as RFC 5545 writes them, from what the driver gives: SQLite's is a text in UTC.

    Most come many times, and so cost a look.
    """

    def __missing__(self, moment: str | datetime) -> str:
        if isinstance(moment, datetime):
            utc = moment.astimezone(UTC) if moment.tzinfo else moment
            text = f"{utc:%Y%m%dT%H%M%SZ}"
        else:
            text = f"{moment[:10]}T{moment[11:19]}Z".replace("-", "").replace(":", "")
        self[moment] = text
        return text


def marks(shown: Shown, where: Conditions) -> dict[int, dict[str, int]]:
    """What `write` would mark, summed by clinician and day (of `order`), and far quicker."""
    stamps = _Stamps()
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for id_, starts, all_day, local, revision, changed, clinician_id in _rows(
        select(*_MARKED).where(*where)
    ):
        day = stamps[local if all_day else starts][:8]
        found[clinician_id][day] += hash((id_, revision, changed))
    return found


def around(day: str) -> Conditions:
    """Appointments whose `order` may begin with this day, in whatever zone they are."""
    midnight, a_day = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC), timedelta(days=1)
    starts = Appointment.starts_at
    exactly = and_(starts >= midnight, starts < midnight + a_day)
    return [
        starts >= midnight - a_day,
        starts < midnight + 2 * a_day,
        or_(Appointment.all_day, exactly),
    ]


def count(shown: Shown, now: datetime) -> int:
    """How many events the rolling window holds."""
    wanted = select(func.count(Appointment.id)).where(*within(shown, now))
    return db.session.scalar(wanted) or 0


def upcoming(shown: Shown, now: datetime, limit: int) -> list[Event]:
    """The next events, at most `limit`, from now on."""
    ends = window(shown, now)[1]
    where = [*_of_calendar(shown), Appointment.ends_at > now, Appointment.starts_at < ends]
    return _events(shown, where, limit)


def all_within(shown: Shown, now: datetime) -> list[Event]:
    """Every event of the rolling window, in order."""
    return _events(shown, within(shown, now))


def _events(shown: Shown, where: Conditions, limit: int | None = None) -> list[Event]:
    order = (Appointment.starts_at, Appointment.uid)
    wanted = select(Appointment).where(*where).order_by(*order).limit(limit)
    found = db.session.scalars(wanted).all()
    subjects = _Subjects(shown, [row.id for row in found])
    return [
        display.show(
            Facts(
                uid=row.uid,
                subject=subjects.of(row),
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                revision=row.revision,
                created_at=row.created_at,
                changed_at=row.changed_at,
                days=_days(row) if row.all_day else None,
            ),
            shown.mode,
            shown.choices,
            link_revision=shown.revision,
            link_changed_at=shown.link_changed_at,
            practice_wide=shown.clinician_id is None,
        )
        for row in found
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


_ROW = Appointment.__table__.c


def _stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """As the driver gives it: a feed reads thousands of rows."""
    return type_coerce(column, NullType())


_COLUMNS = (
    _ROW.id,
    _ROW.uid,
    _stored(_ROW.starts_at),
    _stored(_ROW.ends_at),
    _stored(_ROW.all_day),
    _stored(_ROW.starts_local),
    _ROW.zone,
    _ROW.revision,
    _stored(_ROW.created_at),
    _stored(_ROW.changed_at),
    # From here on what it is about; see `_Subjects.words`.
    _ROW.clinician_id,
    _stored(_ROW.kind),
    _stored(_ROW.status),
    _ROW.title,
    _ROW.location,
    _ROW.telehealth_address,
    _ROW.type_id,
)

_ABOUT = _COLUMNS.index(_ROW.clinician_id)

_MARKED = tuple(_COLUMNS[n] for n in (0, 2, 4, 5, 7, 9, 10))


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


def _day_of(moment: str, zone: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)):%Y%m%d}"


class _Subjects:
    """Whom and what these appointments are about; `attending` are clients' ids, in order."""

    def __init__(self, shown: Shown, ids: Sequence[int]) -> None:
        self._shown = shown
        self.attending = _attending(ids)
        self._clinicians = {row.id: row.name for row in _rows(_CLINICIANS)}
        self._types = {row.id: row for row in _rows(_TYPES)}
        clients = {client for together in self.attending.values() for client in together}
        self._clients = {row.id: row for row in _in_batches(_CLIENTS, Client.id, clients)}
        self._numbers = _numbers(clients)
        self._facts: dict[tuple[int, int], ClientFacts] = {}

    def words(self, *about: Any) -> Words:
        return display.words(
            self._subject(*about),
            self._shown.mode,
            self._shown.choices,
            practice_wide=self._shown.clinician_id is None,
        )

    def of(self, found: Appointment) -> Subject:
        return self._subject(
            self.attending.get(found.id, ()),
            found.clinician_id,
            found.kind,
            found.status,
            found.title,
            found.location,
            found.telehealth_address,
            found.type_id,
        )

    def _subject(
        self,
        client_ids: tuple[int, ...],
        clinician_id: int,
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
        key = clinician_id, client_id
        if key not in self._facts:
            self._facts[key] = self._make_client(
                self._clients[client_id], self._numbers.get(key, {})
            )
        return self._facts[key]

    def _make_client(self, found: Row[*tuple[Any, ...]], numbers: dict[str, int]) -> ClientFacts:
        return ClientFacts(
            first_name=found.first_name,
            last_name=found.last_name,
            preferred_name=found.preferred_name,
            internal_id=found.internal_id,
            number=numbers.get(display.initials(found.first_name, found.last_name)),
            ceiling=found.ceiling,
        )


_CLINICIANS = select(Clinician.id, Clinician.name)
_TYPES = select(AppointmentType.id, AppointmentType.name, AppointmentType.ceiling)
_CLIENTS = select(
    Client.id,
    Client.first_name,
    Client.last_name,
    Client.preferred_name,
    Client.internal_id,
    Client.ceiling,
)


def _rows(wanted: Select[*tuple[Any, ...]]) -> Sequence[Any]:
    """Past the session, which would look for objects in each row."""
    return db.session.connection().execute(wanted).all()


def _in_batches(
    wanted: Select[*tuple[Any, ...]], column: Any, ids: Collection[int]
) -> Iterator[Any]:
    for some in batches(ids):
        yield from _rows(wanted.where(column.in_(some)))


def _attending(ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Whose clients come to each of these appointments, in order."""
    row = AppointmentClient.__table__.c
    wanted = select(row.appointment_id, row.position, row.client_id)
    if len(ids) > MANY:  # quicker read in one go
        these: Iterable[Any] = _rows(wanted.where(row.appointment_id.between(min(ids), max(ids))))
    else:
        these = _in_batches(wanted, row.appointment_id, ids)
    attending: dict[int, tuple[int, ...]] = {}
    others = []
    for appointment_id, position, client_id in these:
        if position or appointment_id in attending:
            others.append((appointment_id, position, client_id))
        else:
            attending[appointment_id] = (client_id,)  # most come alone
    for appointment_id, _, client_id in sorted(others):
        attending[appointment_id] = (*attending.get(appointment_id, ()), client_id)
    return attending


def _numbers(client_ids: set[int]) -> dict[tuple[int, int], dict[str, int]]:
    """(clinician, client) → initials → number, where several clients share the initials."""
    other = aliased(Initials)
    shared = exists().where(
        other.clinician_id == Initials.clinician_id,
        other.letters == Initials.letters,
        other.number != Initials.number,
    )
    wanted = select(Initials.clinician_id, Initials.client_id, Initials.letters, Initials.number)
    numbers: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)
    for clinician_id, client_id, letters, number in _in_batches(
        wanted.where(shared), Initials.client_id, client_ids
    ):
        numbers[clinician_id, client_id][letters] = number
    return numbers
