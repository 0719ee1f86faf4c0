"""A practice that looks real: invented people, and the schedule of a busy half year."""

import random
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display, recurrence
from sync_ui.domain.event import DisplayMode, Kind, Status
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    Client,
    Clinician,
    Initials,
    Location,
    Series,
    User,
    db,
    transaction,
)
from sync_ui.services import accounts, calendars, clients, passwords, people, practice, types
from sync_ui.services.access import COMMAND
from sync_ui.services.audit import Action, record

ZONE = "America/New_York"
PLACES = ("Main office", "Room 2", "Group room")
WEEKS_BACK = 4
CLIENTS_EACH = 34
SHORTEST_PASSWORD = 8

CLINICIANS = (
    "Dr. Ünlü",
    "Anna Bergström",
    "Dr. Tomás Ibáñez",
    "Grace Okonkwo",
    "Li Wei",
    "Dr. Priya Raman",
    "Noah Feldman",
    "Sinéad O'Rourke",
)

FIRST_NAMES = (
    "Jane Mark Zoë Liam Aoife José María Søren Chloé Kwame Yuki Fatima Noah Élodie Björn Ingrid "
    "Mateo Siobhán Dmitri Amara Ravi Lucía Omar Hanna Theo Nadia Felix Ruth Caleb Mei Anaïs Jonas"
).split()

LAST_NAMES = (
    "Smith|O'Brien-García|Müller|van der Berg|Nguyễn|Þórsdóttir|Kowalski|de la Cruz|Østergaard|"
    "Park|Ibrahim|Lindqvist|Çelik|St. John|Rossi|Novák|Diallo|Haddad|Tanaka|MacLeod|Petrović|"
    "Abernathy-Wells|Silva|Cohen|Yilmaz|Fischer|Dubois|Ortega|Bianchi|Okafor|X"
).split("|")


@dataclass(frozen=True, slots=True)
class _Slot:
    """One appointment of the demo, before it is stored."""

    starts: datetime
    minutes: int
    clients: tuple[int, ...] = ()
    kind: Kind = Kind.SESSION
    title: str = ""
    location: str = ""
    status: Status = Status.SCHEDULED
    days: int = 0


def fill(*, password: str | None = None, clinicians: int = 4, weeks: int = 26) -> str:
    """The empty installation is a demo practice. Returns how to sign in.

    Raises Conflict if there is a practice already, Invalid for a short password.
    """
    given = password or secrets.token_urlsafe(12)
    if len(given) < SHORTEST_PASSWORD:
        raise Invalid(f"A password for the demo needs at least {SHORTEST_PASSWORD} characters.")
    password_hash = passwords.hashed(given)
    with transaction() as session:
        _refuse_a_real_practice()
        _name_practice(session)
        people_ = _people(session, password_hash, clinicians)
        type_ids = {found.minutes: found.id for found in types.add_usual(session)[:3]}
        chance = random.Random(1)  # noqa: S311 - the same demo every time
        names = _names(chance)
        for clinician in people_:
            own = _clients(session, names)
            _number(session, clinician, own)
            _store(session, clinician, _slots(chance, own, weeks), type_ids)
        _repeat(session, people_[0], "FREQ=WEEKLY;BYDAY=MO", weekday=0, hour=9)
        _repeat(session, people_[0], "FREQ=WEEKLY;BYDAY=TU", weekday=1, hour=14)
        at = calendars.stamp(session)
        calendars.raise_versions(session, {clinician.id for clinician in people_}, at)
        record(session, COMMAND, Action.DEMO_FILLED, "practice", clinicians=clinicians)
    shown = "" if password else f" with the password {given}"
    return (
        "Demo practice ready. Sign in as admin@demo.example, scheduler@demo.example "
        f"or clinician@demo.example{shown}."
    )


def _refuse_a_real_practice() -> None:
    if db.session.scalar(select(User.id)) or db.session.scalar(select(Client.id)):
        raise Conflict("There is a practice in this data directory already; a demo needs another.")


def _name_practice(session: Session) -> None:
    found = practice.get(session)
    found.name, found.zone, found.ceiling = "Riverside Therapy", ZONE, DisplayMode.FULL_NAME
    found.shows_internal_ids, found.setup_code = True, None
    session.add_all(Location(name=name) for name in PLACES)
    session.add(Location(name="Quiet room", exclusive=True))


def _people(session: Session, password_hash: str, count: int) -> list[Clinician]:
    accounts.add_user(
        session, "admin@demo.example", "Alex Morgan", Role.ADMINISTRATOR, password_hash
    )
    accounts.add_user(
        session, "scheduler@demo.example", "Sam Rivera", Role.SCHEDULER, password_hash
    )
    found = []
    for n in range(count):
        name = CLINICIANS[n] if n < len(CLINICIANS) else f"Clinician {n + 1}"
        email = "clinician@demo.example" if n == 0 else f"clinician{n + 1}@demo.example"
        user = accounts.add_user(session, email, name, Role.CLINICIAN, password_hash)
        found.append(people.add_clinician(session, name, user))
    return found


def _clients(session: Session, names: Iterator[tuple[str, str]]) -> list[Client]:
    """Among the first clinician's: equal initials, a preferred name, a single letter."""
    own = [clients.add(session, *name) for name in islice(names, CLIENTS_EACH)]
    own[2].preferred_name = "Zozo"
    session.flush()
    return own


def _names(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Each name once; after a thousand, with double last names."""
    yield from (("Jane", "Smith"), ("Jo", "Sánchez"), ("Zoë", "O'Brien-García"), ("Cher", ""))
    plain = [(first, last) for first in FIRST_NAMES for last in LAST_NAMES]
    double = [(first, f"{last}-Reyes") for first, last in plain]
    for names in (plain, double):
        chance.shuffle(names)
        yield from (name for name in names if name != ("Jane", "Smith"))


def _number(session: Session, clinician: Clinician, own: list[Client]) -> None:
    """As the service does one by one; a demo has thousands."""
    seen: dict[str, int] = {}
    for client in own:
        letters = display.initials(client.first_name, client.last_name)
        seen[letters] = seen.get(letters, 0) + 1
        session.add(
            Initials(
                clinician_id=clinician.id,
                client_id=client.id,
                letters=letters,
                number=seen[letters],
            )
        )


def _slots(chance: random.Random, own: list[Client], weeks: int) -> Iterator[_Slot]:
    """About thirty appointments a week, the regulars at their own time."""
    today = clock.now().astimezone(ZoneInfo(ZONE)).date()
    monday = today - timedelta(days=today.weekday(), weeks=WEEKS_BACK)
    ids = [client.id for client in own]
    time_off = monday + timedelta(weeks=WEEKS_BACK + 3, days=3)
    for week in range(WEEKS_BACK + weeks):
        for slot in _week(chance, ids, monday + timedelta(weeks=week)):
            if not time_off <= slot.starts.date() < time_off + timedelta(days=2):
                yield slot
    yield _Slot(datetime.combine(time_off, time()), 0, kind=Kind.TIME_OFF, title="Away", days=2)


def _week(chance: random.Random, ids: list[int], monday: date) -> Iterator[_Slot]:
    regulars = iter(ids)
    for day in range(5):
        for hour in (9, 10, 11, 13, 14, 15):
            starts = datetime.combine(monday + timedelta(days=day), time(hour))
            yield _at(chance, starts, day, hour, ids, next(regulars))


def _at(
    chance: random.Random, starts: datetime, day: int, hour: int, ids: list[int], regular: int
) -> _Slot:
    if (day, hour) == (0, 9):
        return _Slot(starts, 60, kind=Kind.MEETING, title="Team meeting", location=PLACES[0])
    if (day, hour) == (2, 13):
        return _Slot(starts, 60, kind=Kind.SUPERVISION, title="Supervision")
    if (day, hour) == (3, 15):
        return _Slot(starts, 90, tuple(ids[-6:]), title="Skills group", location=PLACES[2])
    if (day, hour) == (1, 14):
        return _Slot(starts, 80, (ids[0], ids[-1]), location=PLACES[1])
    status = chance.choices(
        (Status.SCHEDULED, Status.CANCELLED, Status.LATE_CANCELLED, Status.NO_SHOW),
        (92, 4, 2, 2),
    )[0]
    if status is Status.NO_SHOW and starts.date() >= clock.now().date():
        status = Status.SCHEDULED  # nobody has failed to come yet
    place = chance.choice((PLACES[0], PLACES[0], PLACES[1], "Telehealth"))
    return _Slot(starts, 50, (regular,), location=place, status=status)


def _store(
    session: Session, clinician: Clinician, slots: Iterator[_Slot], type_ids: dict[int, int]
) -> None:
    """In two statements for a whole clinician: a large demo has 39 000 appointments."""
    now = clock.now().replace(microsecond=0)
    rows, attending = [], []
    for slot in slots:
        row = _row(slot, clinician.id, now)
        row["type_id"] = type_ids.get(slot.minutes) if slot.clients else None
        rows.append(row)
        attending.append((row["uid"], slot.clients))
    session.execute(insert(Appointment), rows)
    stored = session.execute(
        select(Appointment.uid, Appointment.id).where(Appointment.clinician_id == clinician.id)
    )
    ids = {row.uid: row.id for row in stored}
    session.execute(
        insert(AppointmentClient),
        [
            {"appointment_id": ids[str(uid)], "client_id": client_id, "position": position}
            for uid, client_ids in attending
            for position, client_id in enumerate(client_ids)
        ],
    )


def _repeat(session: Session, clinician: Clinician, rule: str, *, weekday: int, hour: int) -> None:
    """The clinician's appointments at this time of the week are the turns of a series."""
    own = session.scalars(
        select(Appointment)
        .where(Appointment.clinician_id == clinician.id)
        .order_by(Appointment.starts_at)
    )
    turns = [a for a in own if (a.starts_local.weekday(), a.starts_local.hour) == (weekday, hour)]
    first = turns[0]
    series = Series(
        clinician_id=clinician.id,
        rule=rule,
        kind=first.kind,
        type_id=first.type_id,
        title=first.title,
        location=first.location,
        zone=ZONE,
        starts_local=first.starts_local,
        ends_local=first.starts_local + (first.ends_at - first.starts_at),
        client_ids=[client.id for client in first.clients],
        extended_until=turns[-1].ends_at,
        created_at=first.created_at,
    )
    session.add(series)
    session.flush()
    for turn in turns:
        turn.series_id, turn.occurrence = series.id, turn.starts_local.isoformat()


def _row(slot: _Slot, clinician_id: int, now: datetime) -> dict[str, object]:
    ends = slot.starts + (timedelta(days=slot.days) or timedelta(minutes=slot.minutes))
    return {
        "uid": str(uuid.uuid4()),
        "clinician_id": clinician_id,
        "kind": slot.kind,
        "status": slot.status,
        "title": slot.title,
        "location": slot.location,
        "note": "",
        "zone": ZONE,
        "starts_local": slot.starts,
        "starts_at": recurrence.in_utc(slot.starts, ZONE),
        "ends_at": recurrence.in_utc(ends, ZONE),
        "all_day": bool(slot.days),
        "revision": 0,
        "created_at": now,
        "changed_at": now,
    }
