"""Dr. Ünlü's calendar here and on a real CalDAV server, changed on both sides by chance.

Everything that chance decides is drawn from one seed, so that a seed that fails
fails again.
"""

import random
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import icalendar
from flask import Flask
from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.event import GONE, DisplayMode
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import Conflict
from sync_ui.models import (
    Appointment,
    Connection,
    ConnectionState,
    Direction,
    Step,
    db,
)
from sync_ui.services import appointments, connections, copies, proposals, providers
from sync_ui.services.plans import Plan, plan_of
from sync_ui.services.push import duties
from tests.fault_proxy import Fault, Meeting, Proxy, When
from tests.practice import NOW, ZONE, Clock, Practice
from tests.radicale import Radicale

HOUR = timedelta(hours=1)

SHOWN = {
    DisplayMode.BUSY: ["Busy", "Busy"],
    DisplayMode.INITIALS: ["J.S.", "M.S."],
    DisplayMode.FULL_NAME: ["Jane Smith", "Mark Smith"],
}

# What of the log tells that a change outside was heard of.
HEARD = {"restored", "moved_outside", "removed_outside", "overtaken", "found_again", "adopted"}

FAULTS = [each for each in Fault if each is not Fault.SILENCE] * 3 + [Fault.SILENCE]

_TIMES = re.compile(r"(DT(?:START|END)):(\d{8}T\d{6})Z")
_SUMMARY = re.compile(r"SUMMARY:.*")

PRIVATE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Somebody//EN
BEGIN:VEVENT
UID:{name}
DTSTAMP:20261101T000000Z
DTSTART:20261124T110000Z
DTEND:20261124T120000Z
SUMMARY:Dentist
END:VEVENT
END:VCALENDAR
"""

# An appointment outside: its id, when it begins and ends, what it says.
Seen = tuple[str, date, date, str]


@dataclass
class BothSides:
    """`chance` decides; `proxy` is the road between the sides."""

    app: Flask
    practice: Practice
    now: Clock
    proxy: Proxy
    radicale: Radicale
    chance: random.Random
    id: int = 0
    booked: int = 0
    serial: int = 0
    heard: int = 0
    last_step: int = 0
    private: dict[str, bytes] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)

    def connect(self, direction: Direction, rule: Rule | None) -> None:
        """Connected and begun, with any rule if none is said; nothing is written yet."""
        user, password = self.radicale.new_user()
        login = providers.caldav_login(self.proxy.url, user, password)
        made = connections.connect(
            self.practice.unlu,
            self.practice.unlus_calendar,
            providers.look_around(login),
            direction,
            DisplayMode.INITIALS,
            rule=rule or self.chance.choice(list(Rule)),
            confirmed=True,
        )
        self.id = made.id
        connections.start(self.practice.unlu, made.id)
        credentials = b64encode(f"{user}:{password}".encode()).decode()
        self._authorization = f"Basic {credentials}"

    @property
    def row(self) -> Connection:
        db.session.rollback()
        return db.session.get_one(Connection, self.id)

    # Here

    def book(self) -> None:
        self.booked += 1
        starts = NOW.replace(tzinfo=None) + timedelta(days=self.booked)
        whom = [self.practice.jane, self.practice.mark][self.booked % 2]
        clients = appointments.find_clients(db.session(), [whom])
        plan = Plan(starts=starts, ends=starts + HOUR, zone=ZONE, clients=clients)
        assert self.practice.unlu.clinician_id is not None
        appointments.create(self.practice.unlu, self.practice.unlu.clinician_id, plan)

    def move_here(self) -> None:
        row = self.any_row()
        plan, by = plan_of(row), self.any_span()
        later = replace(plan, starts=plan.starts + by, ends=plan.ends + by)
        appointments.change(self.practice.unlu, row.id, later, despite="Agreed")

    def cancel_or_restore(self) -> None:
        row = self.any_row()
        if row.status in GONE:
            appointments.restore(self.practice.unlu, row.id, despite="Agreed")
            self.cancelled.discard(row.id)
        else:
            self.proxy.agree(self.path_of(row))
            self.cancelled.add(row.id)
            appointments.cancel(self.practice.unlu, row.id)

    def show_otherwise(self) -> None:
        connections.change(
            self.practice.unlu,
            self.id,
            mode=self.chance.choice(list(SHOWN)),
            choices=connections.USUAL,
            rule=self.row.rule,
            confirmed=True,
        )

    def decide(self) -> None:
        db.session.rollback()
        for question in proposals.waiting(self.practice.unlu)[:1]:
            if self.chance.random() < 0.5:
                proposals.put_back(self.practice.unlu, question.id)
                continue
            row, removed = question.appointment, question.starts_at is None
            path = self.path_of(row)
            try:
                proposals.accept(self.practice.unlu, question.id, despite="Agreed")
            except Conflict:
                continue  # it was changed here meanwhile
            if removed:
                self.proxy.agree(path)
                self.cancelled.add(row.id)

    # There

    def move_there(self, path: str = "") -> None:
        by = self.any_span()

        def moved(found: re.Match[str]) -> str:
            moment = datetime.strptime(found[2], "%Y%m%dT%H%M%S") + by
            return f"{found[1]}:{moment:%Y%m%dT%H%M%S}Z"

        self._edit(path or self.any_path(), lambda text: _TIMES.sub(moved, text))

    def rename_there(self, path: str = "") -> None:
        self._edit(path or self.any_path(), lambda text: _SUMMARY.sub("SUMMARY:Gym", text))

    def remove_there(self, path: str = "") -> None:
        path = path or self.any_path()
        self.tamper("DELETE", path)
        if path in {self.path_of(row) for row in self.rows() if row.status in GONE}:
            self.proxy.agree(path)

    def make_one_there(self) -> None:
        name = f"private-{len(self.private)}"
        path = f"{self.place}{name}.ics"
        self.tamper("PUT", path, PRIVATE.format(name=name))
        self.private[f"{name}.ics"] = (self.folder / f"{name}.ics").read_bytes()

    def _edit(self, path: str, change: Callable[[str], str]) -> None:
        """Each edit has a number, so that no two of them are alike."""
        file = self.folder / path.rpartition("/")[2]
        if file.exists():
            self.serial += 1
            text = re.sub(r"X-EDIT:\d+\r?\n", "", file.read_text())
            text = text.replace("END:VEVENT", f"X-EDIT:{self.serial}\nEND:VEVENT")
            self.tamper("PUT", path, change(text))

    def tamper(self, method: str, path: str, text: str = "") -> None:
        headers = {"Authorization": self._authorization, "Content-Type": "text/calendar"}
        status = self.proxy.tamper(method, path, headers, text.encode())
        assert status in {200, 201, 204, 404}

    # In between

    def meet_there(self) -> None:
        """Somebody changes there just what is about to be written."""
        act = self.chance.choice([self.move_there, self.rename_there, self.remove_there])

        def meet(path: str) -> None:
            with self.app.app_context():
                act(path)

        self.proxy.meetings.append(Meeting(self.chance.randrange(3), When.BEFORE, meet))

    def weather(self) -> Iterator[Fault | None]:
        chance, likely = random.Random(self.chance.random()), self.chance.choice([0.05, 0.2])
        while True:
            yield chance.choice(FAULTS) if chance.random() < likely else None

    def hear(self) -> None:
        """Count what was noted since, before old notes go."""
        db.session.rollback()
        for step in db.session.scalars(select(Step).where(Step.id > self.last_step)):
            self.last_step = max(self.last_step, step.id)
            self.heard += step.count if step.word in HEARD else 0

    # In the end

    def settle(self, work: Callable[[], object]) -> None:
        """The weather is fair, everybody has decided, and whatever waits has waited."""
        self.proxy.weather, self.proxy.meetings = None, []
        for _ in range(20):
            self.now.move(hours=2)
            connections.retry(self.practice.unlu, self.id)
            work()
            self.hear()
            db.session.rollback()
            waiting = proposals.waiting(self.practice.unlu)
            self.decide()
            if not waiting and not self.owed() and not connections.parked(self.id):
                return
        raise AssertionError(f"It never settles: {self.owed()}, {self.row.trouble}")

    def owed(self) -> list[object]:
        row = self.row
        return list(duties(row, copies.wanted(row, clock.now())))

    def check(self) -> None:
        assert self.there() == self.here()
        assert {name: (self.folder / name).read_bytes() for name in self.private} == self.private
        assert {row.id for row in self.rows() if row.status in GONE} == self.cancelled
        assert self.row.state is ConnectionState.WORKING
        assert [each for each in self.proxy.written if each.anew] == []
        over = self.proxy.changes_written_over()
        assert [each for each in over if not each.known] == []
        assert len(over) <= self.heard

    def here(self) -> list[Seen]:
        """What is to stand there, by the schedule's rows alone."""
        row = self.row
        calendar_uid, shown = row.calendar.uid, SHOWN[row.mode]
        found = []
        for each in self.rows():
            if each.status not in GONE:
                plan = plan_of(each)
                text = shown[plan.clients[0].id == self.practice.mark]
                name = copies.entry_id(calendar_uid, each.uid)
                found.append((name, _utc(plan.starts), _utc(plan.ends), text))
        return sorted(found)

    def there(self) -> list[Seen]:
        """What stands there, by the server's own files, read by another reader."""
        found = []
        for file in self.folder.glob("*.ics"):
            if file.name in self.private:
                continue
            [event] = icalendar.Calendar.from_ical(file.read_text()).events
            assert file.name == f"{event['UID']}.ics"
            text = f"{event['SUMMARY']}{event.get('LOCATION', '')}{event.get('DESCRIPTION', '')}"
            found.append((str(event["UID"]), event.start, event.end, text))
        return sorted(found)

    # Small words

    @property
    def place(self) -> str:
        return unquote(urlsplit(self.row.outside_id).path)

    @property
    def folder(self) -> Path:
        return self.radicale.folder / "collections" / "collection-root" / self.place.strip("/")

    def rows(self) -> list[Appointment]:
        db.session.rollback()
        return list(db.session.scalars(select(Appointment).order_by(Appointment.id)))

    def any_row(self) -> Appointment:
        return self.chance.choice(self.rows())

    def path_of(self, row: Appointment) -> str:
        name = copies.entry_id(db.session.get_one(Connection, self.id).calendar.uid, row.uid)
        return f"{self.place}{name}.ics"

    def any_path(self) -> str:
        return self.path_of(self.any_row())

    def any_span(self) -> timedelta:
        return HOUR * self.chance.choice([-5, -3, -1, 2, 4])


def _utc(wall: datetime) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
