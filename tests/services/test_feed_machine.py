"""Whatever happens in whatever order: 304 only where the bytes are equal, a dead link stays dead,
and the feed is what the schedule says.
"""

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

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

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.domain.event import GONE, DisplayMode
from sync_ui.domain.ics_write import NOTICE
from sync_ui.models import Appointment, Client, Link, db
from sync_ui.services import appointments, clients, feeds, links, people, upkeep
from sync_ui.services import practice as practices
from sync_ui.services.feeds import Answer
from sync_ui.services.plans import Plan
from tests.practice import ZONE, Clock, people_of_a_practice, token_of

LAST_NAMES = ("Smith", "Swift", "Doe", "O'Brien-García")
ZONES = (ZONE, "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland")


class Feeds(RuleBasedStateMachine):
    """One clinician's calendar with its links; `empty` is the installation to begin from."""

    empty: Path

    booked = Bundle("booked")
    live = Bundle("live")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.empty, self.folder / "instance")
        app = create_app(Config(self.folder / "instance", "https://calendar.example.com"))
        self.context = app.app_context()
        self.context.push()
        self.real_now = clock.now
        self.now = Clock()
        clock.now = self.now
        self.held: list[tuple[str, Answer]] = []
        self.dead: set[str] = set()
        self.tokens: dict[int, str] = {}

    def teardown(self) -> None:
        clock.now = self.real_now
        db.session.remove()
        db.engine.dispose()
        self.context.pop()
        shutil.rmtree(self.folder)

    @initialize()
    def practice_opens(self) -> None:
        self.practice = people_of_a_practice()
        assert self.practice.unlu.clinician_id is not None
        self.clinician_id = self.practice.unlu.clinician_id

    # the schedule

    @rule(target=booked, days=st.integers(-32, 190), both=st.booleans())
    def book(self, days: int, both: bool) -> int:
        starts = datetime(2026, 11, 23, 10) + timedelta(days=days)
        ids = [self.practice.jane, self.practice.mark][: 1 + both]
        plan = Plan(
            starts=starts,
            ends=starts + timedelta(minutes=50),
            zone=ZONE,
            clients=appointments.find_clients(db.session(), ids),
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

    @rule(
        zone=st.sampled_from(ZONES),
        ceiling=st.sampled_from([DisplayMode.INITIALS, DisplayMode.FULL_NAME]),
        days_back=st.sampled_from([0, 30]),
        months_ahead=st.sampled_from([1, 6]),
    )
    def change_practice(
        self, zone: str, ceiling: DisplayMode, days_back: int, months_ahead: int
    ) -> None:
        practices.change(
            self.practice.ada,
            name="Riverside",
            zone=zone,
            ceiling=ceiling,
            days_back=days_back,
            months_ahead=months_ahead,
        )

    # the links

    @rule(target=live, mode=st.sampled_from(list(DisplayMode)[:-1]), hours=st.integers(1, 100))
    def create(self, mode: DisplayMode, hours: int) -> Any:
        if mode.disclosure > practices.get().ceiling.disclosure:
            return multiple()
        link = links.create(
            self.practice.unlu,
            self.practice.unlus_calendar,
            "Phone",
            mode,
            expires_at=self.now() + timedelta(hours=hours),
        )
        self.tokens[link.id] = token_of(link)
        return link.id

    @rule(link_id=live, mode=st.sampled_from([DisplayMode.BUSY, DisplayMode.INITIALS]))
    def change_mode(self, link_id: int, mode: DisplayMode) -> None:
        if self.tokens[link_id] not in self.dead:
            links.change_mode(self.practice.unlu, link_id, mode)

    @rule(link_id=live)
    def reset(self, link_id: int) -> None:
        if self.tokens[link_id] in self.dead:
            return
        self.dead.add(self.tokens[link_id])
        self.tokens[link_id] = token_of(links.reset(self.practice.unlu, link_id))

    @rule(link_id=consumes(live))
    def disable(self, link_id: int) -> None:
        if self.tokens[link_id] in self.dead:
            return
        links.disable(self.practice.unlu, link_id)
        self.dead.add(self.tokens[link_id])

    # time and the worker

    @rule(seconds=st.sampled_from([0, 1, 60, 7 * 3600, 26 * 3600, 40 * 86400]))
    def wait(self, seconds: int) -> None:
        self.now.move(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 7 * 3600, 26 * 3600]))
    def step_back(self, seconds: int) -> None:
        """As a clock does that was wrong; what has expired by it is ended first.

        Across midnight a date can come a second time, so from here on those who read
        before are followed by their tags alone.
        """
        upkeep.sweep()
        self.now.move(seconds=-seconds)
        self.held = [(token, replace(held, last_modified=None)) for token, held in self.held]

    @rule()
    def sweep(self) -> None:
        upkeep.sweep()

    # what must hold

    @invariant()
    def nobody_is_told_a_lie(self) -> None:
        for link_id, token in self.tokens.items():
            if links.state(links_row(link_id)) != "live":
                self.dead.add(token)
        for token in [*self.tokens.values(), *sorted(self.dead)]:
            self.check(token)

    def check(self, token: str) -> None:
        now = feeds.read(token)
        if token in self.dead:
            assert now.status == 410 or titles(now) == [NOTICE]
        else:
            assert now.status == 200
            assert starts(now) == self.expected()
        for asked, before in self.held:
            if asked != token:
                continue
            answers = [feeds.read(token, if_none_match=before.etag)]
            if before.last_modified is not None:
                date = format_datetime(before.last_modified, usegmt=True)
                answers.append(feeds.read(token, if_modified_since=date))
            for answer in answers:
                assert answer.status != 304 or before.body == now.body
        if now.status == 200 and (token, now) not in self.held:
            self.held.append((token, replace(now)))

    def expected(self) -> list[datetime]:
        """The oracle: every scheduled start whose end is after the window's first midnight."""
        found = practices.get()
        zone = ZoneInfo(found.zone)
        today = self.now().astimezone(zone).date()
        month = today.month + found.months_ahead - 1
        year, month = today.year + month // 12, month % 12 + 1
        last = last_day(year, month, today.day)
        first = datetime.combine(today - timedelta(days=found.days_back), datetime.min.time())
        end = last + timedelta(days=1)
        return sorted(
            a.starts_at
            for a in db.session.scalars(select(Appointment))
            if a.status not in GONE
            and a.ends_at > first.replace(tzinfo=zone).astimezone(UTC)
            and a.starts_at < end.replace(tzinfo=zone).astimezone(UTC)
        )


def links_row(link_id: int) -> Any:
    return db.session.get_one(Link, link_id)


def last_day(year: int, month: int, day: int) -> datetime:
    while True:
        try:
            return datetime(year, month, day)
        except ValueError:
            day -= 1


def titles(answer: Answer) -> list[str]:
    return [str(event["SUMMARY"]) for event in Parsed.from_ical(answer.body).events]


def starts(answer: Answer) -> list[datetime]:
    events: list[Any] = list(Parsed.from_ical(answer.body).events)
    return [event["DTSTART"].dt for event in events]


def test_feeds_tell_no_lie_whatever_happens(empty_installation: Path) -> None:
    class OnThisInstallation(Feeds):
        empty = empty_installation

    examples = max(10, settings().max_examples // 4)
    run_state_machine_as_test(
        OnThisInstallation,
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )
