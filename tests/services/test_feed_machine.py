"""Whatever happens in whatever order: a reading succeeds exactly when it should, 304 stands only
where the bytes are equal, a dead address stays dead, and a feed tells what the schedule says, as
far as its link may.
"""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from icalendar import Calendar as Parsed
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.domain.colours import Colour
from sync_ui.domain.event import GONE, Choices, DisplayMode, Kind, Telehealth
from sync_ui.domain.ics_write import NOTICE
from sync_ui.errors import SyncError
from sync_ui.models import Appointment, Client, Initials, Link, db
from sync_ui.services import appointments, clients, links, people, types, upkeep
from sync_ui.services import practice as practices
from sync_ui.services.plans import Plan
from tests.practice import ZONE, Clock, people_of_a_practice, token_of

LAST_NAMES = ("Smith", "Swift", "Doe", "O'Brien-García")
ZONES = (ZONE, "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland")
MODES = list(DisplayMode)
ROOM = "https://video.example.com/room-7"

SPELLINGS = ("/cal/{0}", "/cal/{0}/dr-unlu.ics", "/cal/{1}/x.ics", "/cal/{0}./", "/cal/<{0}>?a=b")

CHOICES = st.builds(
    Choices,
    location=st.booleans(),
    type=st.booleans(),
    telehealth=st.sampled_from(Telehealth),
    time_off=st.booleans(),
    cancelled=st.booleans(),
)


@dataclass(frozen=True)
class Seen:
    """What a reader of an address holds; without a date it asks by tag alone."""

    token: str
    etag: str
    date: str | None
    body: bytes


@dataclass
class Address:
    """What the model knows of one address; `ends_at` is set once a fresh one replaced it."""

    link_id: int
    issued_at: datetime
    ends_at: datetime | None = None


class Feeds(RuleBasedStateMachine):
    """A clinician's calendar and the practice's, their links, and two processes that serve them.

    `empty` is the installation to begin from.
    """

    empty: Path

    booked = Bundle("booked")
    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.empty, self.folder / "instance")
        config = Config(self.folder / "instance", "https://calendar.example.com")
        self.processes = [create_app(config), create_app(config)]
        self.context = self.processes[0].app_context()
        self.context.push()
        self.real_now = clock.now
        self.now = Clock()
        clock.now = self.now
        self.seen: list[Seen] = []
        self.names = (f"Device {number}" for number in count(1))
        self.alive: dict[str, Address] = {}
        self.dead: list[str] = []

    def teardown(self) -> None:
        for app in self.processes:
            app.extensions["visits"].write()
        clock.now = self.real_now
        db.session.remove()
        for app in self.processes:
            with app.app_context():
                db.engine.dispose()
        self.context.pop()
        shutil.rmtree(self.folder)

    @initialize()
    def practice_opens(self) -> None:
        self.practice = people_of_a_practice()
        assert self.practice.unlu.clinician_id is not None
        self.clinician_id = self.practice.unlu.clinician_id
        self.type_id = types.create(
            self.practice.ada, name="Intake", minutes=90, colour=Colour.BLUE, ceiling=None
        ).id
        self.policy()

    def policy(self, **other: Any) -> None:
        usual: dict[str, Any] = {
            "ceiling": DisplayMode.FULL_NAME,
            "longest_link_days": None,
            "wants_agreement": False,
            "schedulers_share_practice": True,
        }
        practices.change_policy(self.practice.ada, **(usual | other))

    # the schedule

    @rule(
        target=booked,
        # Most at the edges of the window, which moves on at midnight.
        days=st.integers(-32, -28) | st.integers(178, 183) | st.integers(-5, 40),
        number=st.integers(0, 3),
        typed=st.booleans(),
        place=st.sampled_from(["", "Room 2", "Telehealth"]),
    )
    def book(self, days: int, number: int, typed: bool, place: str) -> int:
        starts = datetime(2026, 11, 23, 10) + timedelta(days=days)
        ids = [self.practice.jane, self.practice.mark, self.practice.zoe][:number]
        plan = Plan(
            starts=starts,
            ends=starts + timedelta(minutes=50),
            zone=ZONE,
            clients=appointments.find_clients(db.session(), ids),
            kind=Kind.SESSION if ids else Kind.TIME_OFF,
            type_id=self.type_id if typed else None,
            location=place,
            telehealth_address=ROOM if place == "Telehealth" else "",
        )
        made = appointments.create(
            self.practice.unlu, self.clinician_id, plan, despite="As it comes"
        )
        return made.id

    @rule(appointment_id=booked, hours=st.integers(-48, 48))
    def move(self, appointment_id: int, hours: int) -> None:
        found = db.session.get_one(Appointment, appointment_id)
        starts = found.starts_local + timedelta(hours=hours)
        plan = Plan(
            starts=starts,
            ends=starts + timedelta(minutes=50),
            zone=ZONE,
            clients=tuple(found.clients),
            kind=found.kind,
        )
        appointments.change(self.practice.unlu, appointment_id, plan, despite="As it comes")

    @rule(appointment_id=consumes(booked), late=st.booleans())
    def cancel(self, appointment_id: int, late: bool) -> None:
        appointments.cancel(self.practice.unlu, appointment_id, late=late)

    # the people and the practice

    @rule(
        who=st.sampled_from(["jane", "mark"]),
        last_name=st.sampled_from(LAST_NAMES),
        preferred_name=st.sampled_from(["", "Zozo"]),
        ceiling=st.sampled_from([None, DisplayMode.BUSY, DisplayMode.INITIALS]),
    )
    def rename_client(
        self, who: str, last_name: str, preferred_name: str, ceiling: DisplayMode | None
    ) -> None:
        client = db.session.get_one(Client, getattr(self.practice, who))
        clients.change(
            self.practice.sam,
            client.id,
            first_name=client.first_name,
            last_name=last_name,
            preferred_name=preferred_name,
            internal_id=client.internal_id,
            ceiling=ceiling,
        )

    @rule(name=st.sampled_from(["Dr. Ünlü", "Dr. Kaya"]))
    def rename_clinician(self, name: str) -> None:
        people.change(self.practice.ada, self.clinician_id, name)

    @rule(name=st.sampled_from(["Intake", "First talk"]), ceiling=st.sampled_from([None, *MODES]))
    def change_type(self, name: str, ceiling: DisplayMode | None) -> None:
        types.change(
            self.practice.ada,
            self.type_id,
            name=name,
            minutes=90,
            colour=Colour.BLUE,
            ceiling=ceiling,
        )

    @rule(
        zone=st.sampled_from(ZONES),
        days_back=st.sampled_from([0, 30]),
        months_ahead=st.sampled_from([1, 6]),
    )
    def change_practice(self, zone: str, days_back: int, months_ahead: int) -> None:
        practices.change(
            self.practice.ada,
            name="Riverside",
            zone=zone,
            days_back=days_back,
            months_ahead=months_ahead,
        )

    @rule(
        ceiling=st.sampled_from(MODES[1:]),
        longest=st.sampled_from([None, None, 2, 30]),
        agreement=st.booleans(),
    )
    def change_policy(self, ceiling: DisplayMode, longest: int | None, agreement: bool) -> None:
        self.policy(ceiling=ceiling, longest_link_days=longest, wants_agreement=agreement)
        self.bury()

    # the links

    @rule(
        target=made,
        whole=st.booleans(),
        mode=st.sampled_from(MODES),
        choices=CHOICES,
        hours=st.sampled_from([None, 1, 100]),
    )
    def create(self, whole: bool, mode: DisplayMode, choices: Choices, hours: int | None) -> Any:
        """Above the ceiling, or for longer than a link may live: refused."""
        try:
            link = links.create(
                self.practice.sam,
                "practice" if whole else self.practice.unlus_calendar,
                next(self.names),
                mode,
                choices=choices,
                agreement="Signed in May",
                confirmed=True,
                expires_at=None if hours is None else self.now() + timedelta(hours=hours),
            )
        except SyncError:
            db.session.rollback()
            return multiple()
        self.alive[token_of(link)] = Address(link.id, self.now())
        return link.id

    @rule(
        link_id=made,
        mode=st.sampled_from(MODES),
        choices=CHOICES,
        days_back=st.sampled_from([None, 0, 60]),
        agreement=st.sampled_from(["", "Signed in May"]),
    )
    def change(self, link_id: int, days_back: int | None, **shown: Any) -> None:
        """Above the ceiling, or dead: refused, and then nothing has changed."""
        found = db.session.get_one(Link, link_id)
        try:
            links.change(
                self.practice.sam,
                link_id,
                label=next(self.names),
                days_back=days_back,
                months_ahead=None,
                expires_at=found.expires_at,
                confirmed=True,
                **shown,
            )
        except SyncError:
            db.session.rollback()

    @rule(link_id=made, hours=st.sampled_from([24, 72]))
    def renew(self, link_id: int, hours: int) -> None:
        if not self.of(link_id):
            return
        for address in self.of(link_id).values():
            address.ends_at = address.ends_at or self.now() + timedelta(hours=hours)
        fresh = links.renew(self.practice.sam, link_id, hours)
        self.alive[token_of(fresh)] = Address(link_id, self.now())

    @rule(link_id=made)
    def reset(self, link_id: int) -> None:
        if not self.of(link_id):
            return
        fresh = links.reset(self.practice.sam, link_id)
        self.kill(link_id)
        self.alive[token_of(fresh)] = Address(link_id, self.now())

    @rule(link_id=made)
    def disable(self, link_id: int) -> None:
        if self.of(link_id):
            links.disable(self.practice.sam, link_id)
            self.kill(link_id)

    # time and the worker

    @rule(seconds=st.sampled_from([0, 1, 60, 7 * 3600, 26 * 3600, 26 * 3600, 40 * 86400]))
    def wait(self, seconds: int) -> None:
        self.now.move(seconds=seconds)
        self.bury()

    @rule(seconds=st.sampled_from([1, 7 * 3600, 26 * 3600]))
    def step_back(self, seconds: int) -> None:
        """As a clock does that was wrong; what has ended by it is ended for good first.

        Across midnight a date can come a second time, so from here on those who read
        before are followed by their tags alone.
        """
        upkeep.sweep()
        self.now.move(seconds=-seconds)
        self.seen = [Seen(held.token, held.etag, None, held.body) for held in self.seen]

    @rule()
    def sweep(self) -> None:
        upkeep.sweep()

    # the readers

    @rule(data=st.data(), spelling=st.sampled_from(SPELLINGS), process=st.integers(0, 1))
    def ask_again(self, data: st.DataObject, spelling: str, process: int) -> None:
        """By tag, by date or both; some of those who ask hold what was long ago."""
        if not self.seen:
            return
        held = data.draw(st.sampled_from(self.seen))
        asked = {
            "User-Agent": data.draw(st.sampled_from(["Google-Calendar-Importer", "", "x" * 400]))
        }
        if by_tag := held.date is None or data.draw(st.booleans()):
            asked["If-None-Match"] = data.draw(st.sampled_from(["{}", 'W/{}, "x"'])).format(
                held.etag
            )
        if held.date is not None and data.draw(st.booleans()):
            asked["If-Modified-Since"] = held.date
        whole = self.read(held.token)
        path = spelling.format(held.token, held.token.upper())

        answer = self.read_path(path, process, asked)

        if answer.status_code == 304:
            assert whole.data == held.body
        else:
            assert (answer.status_code, answer.data) == (whole.status_code, whole.data)
            assert not (by_tag and whole.headers.get("ETag") == held.etag)

    @invariant()
    def everyone_reads_what_is_true(self) -> None:
        for token, address in self.alive.items():
            answers = [self.read(token, process) for process in (0, 1)]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert answers[0].data == answers[1].data
            assert told(answers[0].data) == self.expected(address.link_id)
            self.hold(token, answers[0])
        for token in self.dead[-4:]:
            answer = self.read(token)
            assert answer.status_code == 410 or [each[1] for each in told(answer.data)] == [NOTICE]
            if answer.status_code == 200:
                self.hold(token, answer)

    def read(self, token: str, process: int = 0) -> TestResponse:
        return self.read_path(f"/cal/{token}", process, {})

    def read_path(self, path: str, process: int, headers: dict[str, str]) -> TestResponse:
        return self.processes[process].test_client().get(path, headers=headers)

    def hold(self, token: str, answer: TestResponse) -> None:
        seen = Seen(token, answer.headers["ETag"], answer.headers["Last-Modified"], answer.data)
        if seen not in self.seen:
            self.seen.append(seen)

    def of(self, link_id: int) -> dict[str, Address]:
        """The link's addresses that work; none once its current one is dead."""
        found = {token: a for token, a in self.alive.items() if a.link_id == link_id}
        return found if any(a.ends_at is None for a in found.values()) else {}

    def kill(self, link_id: int) -> None:
        for token in [t for t, a in self.alive.items() if a.link_id == link_id]:
            del self.alive[token]
            self.dead.append(token)

    def bury(self) -> None:
        """What has come to its end by itself."""
        longest = practices.get().longest_link_days
        for token, address in [*self.alive.items()]:
            link = db.session.get_one(Link, address.link_id)
            ends = [link.expires_at, address.ends_at]
            if longest is not None:
                ends.append(address.issued_at + timedelta(days=longest))
            if any(at is not None and at <= self.now() for at in ends):
                del self.alive[token]
                self.dead.append(token)

    # the oracle

    def expected(self, link_id: int) -> list[tuple[Any, ...]]:
        """Start, title, place, description and address to join, from the rows, by plain rules."""
        link = db.session.get_one(Link, link_id)
        starts, ends = self.window(link)
        whose = link.calendar.clinician_id
        return sorted(
            (a.starts_at, *self.words(a, link))
            for a in db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
            if a.ends_at > starts
            and a.starts_at < ends
            and whose in {None, a.clinician_id}
            and (link.shows_cancelled or a.status not in GONE)
            and (link.shows_time_off or a.kind is not Kind.TIME_OFF)
        )

    def window(self, link: Link) -> tuple[datetime, datetime]:
        found = practices.get()
        zone = ZoneInfo(found.zone)
        today = self.now().astimezone(zone).date()
        month = today.month + found.months_ahead - 1
        last = last_day(today.year + month // 12, month % 12 + 1, today.day)
        back = found.days_back if link.days_back is None else link.days_back
        first = datetime.combine(today - timedelta(days=back), datetime.min.time())
        end = last + timedelta(days=1)
        return first.replace(tzinfo=zone).astimezone(UTC), end.replace(tzinfo=zone).astimezone(UTC)

    def words(self, appointment: Appointment, link: Link) -> tuple[str, str, str, str]:
        found = practices.get()
        limits = [link.mode, found.ceiling, *(c.ceiling for c in appointment.clients)]
        limits.append(appointment.type.ceiling if appointment.type else None)
        if found.wants_agreement and not link.agreement:
            limits.append(DisplayMode.FIRST_NAME)
        mode = min((limit for limit in limits if limit is not None), key=MODES.index)
        gone = ["Cancelled"] if appointment.status in GONE else []
        whose = [appointment.clinician.name] if link.calendar.clinician_id is None else []
        if mode is DisplayMode.BUSY:
            return ": ".join(whose + (gone or ["Busy"])), "", "", ""
        title = self.title(appointment, mode)
        room = appointment.telehealth_address if link.telehealth != Telehealth.NONE else ""
        places = [appointment.location if link.shows_location else ""]
        places += [room] if link.telehealth == Telehealth.ADDRESS else []
        kind = appointment.type.name if link.shows_type and appointment.type else ""
        return ": ".join([*whose, *gone, title]), " ".join(filter(None, places)), kind, room

    def title(self, appointment: Appointment, mode: DisplayMode) -> str:
        if appointment.kind is Kind.TIME_OFF:
            return "Time off"
        people = appointment.clients
        if len(people) > 2:
            return f"Group ({len(people)})"
        return " & ".join(self.name(person, mode) for person in people)

    def name(self, client: Client, mode: DisplayMode) -> str:
        first, last = client.first_name, client.last_name
        if mode is DisplayMode.INTERNAL_ID:
            return client.internal_id
        if mode is DisplayMode.FIRST_NAME:
            return client.preferred_name or first
        if mode is DisplayMode.FULL_NAME:
            return f"{first} {last}"
        letters = f"{first[0]}.{last[0]}."
        alike = [
            row
            for row in db.session.scalars(select(Initials).where(Initials.letters == letters))
            if row.clinician_id == self.clinician_id
        ]
        numbers = {row.client_id: str(row.number) for row in alike}
        return letters + (numbers[client.id] if len(alike) > 1 else "")


def last_day(year: int, month: int, day: int) -> datetime:
    while True:
        try:
            return datetime(year, month, day)
        except ValueError:
            day -= 1


def told(body: bytes) -> list[tuple[Any, ...]]:
    """What an independent parser finds in each event."""
    events: list[Any] = list(Parsed.from_ical(body).events)
    names = ("SUMMARY", "LOCATION", "DESCRIPTION", "CONFERENCE")
    return sorted(
        (event["DTSTART"].dt, *(str(event.get(name, "")) for name in names)) for event in events
    )


@pytest.mark.bar("F6", "L3", "F1")
def test_feeds_tell_no_lie_whatever_happens(empty_installation: Path) -> None:
    """L1, L3, L13, F1, F3, F5 and F6 in one."""

    class OnThisInstallation(Feeds):
        empty = empty_installation

    examples = max(10, settings().max_examples // 4)
    run_state_machine_as_test(
        OnThisInstallation,
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )
