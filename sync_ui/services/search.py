"""Search everywhere: clients, appointments and clinicians, as far as the actor may see.

What was searched for is a client's name more often than not: it is kept nowhere.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, false, or_, select, true

from sync_ui import clock
from sync_ui.domain import days
from sync_ui.domain.event import GONE
from sync_ui.domain.folding import folded, holds
from sync_ui.domain.roles import Permission
from sync_ui.models import Appointment, AppointmentClient, Calendar, Client, Clinician, db
from sync_ui.services import access, clients, plans, practice
from sync_ui.services.access import Actor
from sync_ui.services.clients import Listed

LONGEST = 100


class Group(StrEnum):
    """What a hit is; in the order in which hits are shown."""

    CLIENT = "client"
    APPOINTMENT = "appointment"
    SCHEDULE = "schedule"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found; `id` is the row's, of a SYNC hit the calendar's.

    An appointment has `starts_at`, or (all day) its first day; `facts` are what
    to tell it from others by.
    """

    group: Group
    id: int
    title: str
    facts: tuple[str, ...] = ()
    starts_at: datetime | date | None = None
    gone: bool = False


def find(actor: Actor, text: str, limit: int) -> list[Hit]:
    """What the text may mean, at most `limit` hits of each group; a constant number of queries.

    Upcoming appointments come first, then the latest; a day in the text ("24 nov",
    "friday") narrows them to that day.
    """
    text = folded(practice.one_line(text)[:LONGEST])
    if len(text) < 2 and text.isascii():
        return []
    known, schedules = clients.listed(actor), _schedules(actor)
    words = text.split()
    return [
        *_clients(known, words)[:limit],
        *_Appointments(actor, known, schedules).find(text, limit),
        *_clinicians(schedules, words, limit),
    ]


def _clients(known: Sequence[Listed], words: list[str]) -> list[Hit]:
    """Whose names begin with a word comes before whose names hold it."""
    found = [client for client in known if client.holds(words)]
    found.sort(key=lambda client: not _begins(client, words))
    return [
        Hit(Group.CLIENT, client.id, client.name, (client.preferred_name, client.internal_id))
        for client in found
    ]


def _begins(client: Listed, words: list[str]) -> bool:
    names = folded(f"{client.name} {client.preferred_name} {client.internal_id}").split()
    return any(name.startswith(word) for name in names for word in words)


def _schedules(actor: Actor) -> Sequence[Row[int, str, int]]:
    """(clinician, name, calendar) of the schedules that the actor keeps."""
    found = db.session.execute(
        select(Clinician.id, Clinician.name, Calendar.id)
        .join(Calendar, Calendar.clinician_id == Clinician.id)
        .where(Clinician.archived_at.is_(None))
        .order_by(Clinician.name)
    ).all()
    return [row for row in found if access.may_schedule(actor, row[0])]


def _clinicians(
    schedules: Sequence[Row[int, str, int]], words: list[str], limit: int
) -> Iterator[Hit]:
    found = [row for row in schedules if holds(row[1], words)][:limit]
    for clinician_id, name, _ in found:
        yield Hit(Group.SCHEDULE, clinician_id, name)
    for _, name, calendar_id in found:
        yield Hit(Group.SYNC, calendar_id, name)


class _Appointments:
    """Appointments by client, title, place and clinician.

    What a word can mean is settled in Python, where names are folded; the
    database looks for what has these clients, titles and places.
    """

    def __init__(
        self, actor: Actor, known: Sequence[Listed], schedules: Sequence[Row[int, str, int]]
    ) -> None:
        self._known, self._schedules = known, schedules
        self._zone = practice.get().zone
        self._now = clock.now()
        if actor.may(Permission.EVERY_SCHEDULE):
            self._own: ColumnElement[bool] = true()
        else:
            self._own = Appointment.clinician_id == actor.clinician_id

    def find(self, text: str, limit: int) -> list[Hit]:
        today = self._now.astimezone(ZoneInfo(self._zone)).date()
        day, rest = days.typed(text, today, self._zone)
        if day is not None and not plans.is_near(day):
            return []
        texts = self._texts() if rest else set()
        meant = [self._meaning(word, texts) for word in rest.split()]
        if not all(meant):
            return []
        wanted = _appointments().where(
            self._own, *(condition for each in meant for condition in each)
        )
        if day is not None:
            rows = self._rows(wanted.where(*self._on(day)).order_by(*_FORWARD), limit)
        else:
            ahead = Appointment.ends_at > self._now
            rows = self._rows(wanted.where(ahead).order_by(*_FORWARD), limit)
            rows += self._rows(wanted.where(~ahead).order_by(*_BACKWARD), limit - len(rows))
        names = _names([row.id for row in rows])
        return [self._hit(row, names[row.id]) for row in rows]

    def _texts(self) -> set[str]:
        """Every title and place there is."""
        found = db.session.execute(
            select(Appointment.title, Appointment.location).where(self._own).distinct()
        )
        return {text for row in found for text in row if text}

    def _meaning(self, word: str, texts: Collection[str]) -> list[ColumnElement[bool]]:
        """The condition that holds for what the word can mean; none if it means nothing."""
        said = [text for text in texts if word in folded(text)]
        with_whom = [client.id for client in self._known if client.holds([word])]
        whose = [clinician_id for clinician_id, name, _ in self._schedules if word in folded(name)]
        if not (said or with_whom or whose):
            return []
        attended = select(AppointmentClient.appointment_id).where(
            AppointmentClient.client_id.in_(with_whom)
        )
        return [
            or_(
                Appointment.id.in_(attended) if with_whom else false(),
                Appointment.title.in_(said),
                Appointment.location.in_(said),
                Appointment.clinician_id.in_(whose),
            )
        ]

    def _on(self, day: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        zone = ZoneInfo(self._zone)
        begins = datetime.combine(day, time(), zone)
        ends = datetime.combine(day + timedelta(days=1), time(), zone)
        return Appointment.ends_at > begins, Appointment.starts_at < ends

    def _rows(self, wanted: Select[*tuple[Any, ...]], limit: int) -> list[Row[Any]]:
        return list(db.session.execute(wanted.limit(limit)))

    def _hit(self, row: Row[Any], names: list[str]) -> Hit:
        return Hit(
            Group.APPOINTMENT,
            row.id,
            " & ".join(names) or row.title or row.kind.value.replace("_", " ").capitalize(),
            (row.clinician, row.location),
            row.starts_local.date() if row.all_day else row.starts_at,
            row.status in GONE,
        )


_FORWARD = (Appointment.starts_at, Appointment.id)
_BACKWARD = (Appointment.starts_at.desc(), Appointment.id)


def _appointments() -> Select[*tuple[Any, ...]]:
    return select(
        Appointment.id,
        Appointment.kind,
        Appointment.status,
        Appointment.title,
        Appointment.location,
        Appointment.starts_local,
        Appointment.starts_at,
        Appointment.all_day,
        Clinician.name.label("clinician"),
    ).join(Clinician, Clinician.id == Appointment.clinician_id)


def _names(appointment_ids: Sequence[int]) -> defaultdict[int, list[str]]:
    """Who comes to each of these appointments, in order."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    people = db.session.execute(
        select(AppointmentClient.appointment_id, Client.first_name, Client.last_name)
        .join(Client, Client.id == AppointmentClient.client_id)
        .where(AppointmentClient.appointment_id.in_(appointment_ids))
        .order_by(AppointmentClient.position)
    )
    for appointment_id, first, last in people:
        names[appointment_id].append(f"{first} {last}".strip())
    return names
