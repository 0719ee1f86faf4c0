"""A clinician's calendar on a real CalDAV server: connected, kept in step, mended, and ended."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
import requests
from playwright.sync_api import Page, expect

from sync_ui import clock
from tests.browser import Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.product import Product, running, until
from tests.radicale import HOST, Radicale

OWN = "clinician@demo.example"


class Account:
    """An account on the CalDAV server: its files, and what an app on a phone does there."""

    def __init__(self, radicale: Radicale) -> None:
        self.user, self.password = radicale.new_user()
        self.url, self.root = radicale.url, radicale.folder / "collections" / "collection-root"
        self._users = radicale.folder / "users"

    def entries(self) -> set[Path]:
        return set((self.root / self.user).glob("*/*.ics"))

    def move(self, file: Path, by: timedelta) -> None:
        calendar = icalendar.Calendar.from_ical(file.read_bytes())
        (event,) = calendar.walk("VEVENT")
        for name in ("DTSTART", "DTEND"):
            moment: Any = event[name]
            moment.dt += by
        address = f"{self.url}{file.relative_to(self.root)}"
        answer = requests.put(
            address,
            calendar.to_ical(),
            headers={"Content-Type": "text/calendar"},
            auth=(self.user, self.password),
            timeout=30,
        )
        answer.raise_for_status()

    def change_password(self, new: str) -> None:
        before = f"{self.user}:{self.password}\n"
        self._users.write_text(self._users.read_text().replace(before, f"{self.user}:{new}\n"))
        self.password = new


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Product]:
    """A small demo, whose server may call the one beside it."""
    small = Product(tmp_path, SYNC_ALLOW_PRIVATE_ADDRESSES=HOST)
    small.command("demo", "--password", steps.PASSWORD, "--clinicians", "1", "--weeks", "2")
    yield from running(small)


@pytest.fixture
def page(practice: Product, open_page: OpenPage) -> Page:
    page = open_page(base_url=practice.url, reduced_motion="reduce")
    steps.sign_in(page, OWN)
    return page


def a_sunday() -> date:
    """The one of next week: nobody works then."""
    today = clock.now().date()
    return today + timedelta(days=13 - today.weekday())


def fill_in(page: Page, account: Account, password: str) -> None:
    page.get_by_label("Address of the server").fill(account.url)
    page.get_by_label("User name").fill(account.user)
    page.get_by_label("App password").fill(password)
    page.get_by_role("button", name="Connect").click()


def book_a_meeting(page: Page) -> None:
    page.goto(f"/calendar/new?date={a_sunday()}&start=10:00")
    page.get_by_label("Kind").select_option(label="Meeting")
    page.get_by_label("Title").fill("Lunch with Ada")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/calendar\?"))


def sync_until(page: Page, connection: str, path: str, words: str) -> None:
    """Press “Sync now”, and look at another page until it says so."""
    page.goto(connection)
    page.get_by_role("button", name="Sync now").click()
    steps.sees(page, "It is looked after at once.")

    def said() -> bool:
        page.goto(path)
        return words in page.get_by_role("main").inner_text()

    until(said)


@dataclass
class Visit:
    """Dr. Ünlü's way through the pages; `wrongs` is what axe and the browser found on it."""

    page: Page
    account: Account
    connection: str = ""
    wrongs: dict[str, list[str]] = field(default_factory=dict)

    def look(self, where: str) -> None:
        self.wrongs[where] = looks.wrongs(self.page)

    def connect(self) -> int:
        """After a wrong password, and a look at what would be written. Returns how many are."""
        page = self.page
        page.get_by_role("link", name="Two-Way Sync").click()
        self.look("the providers")
        page.get_by_role("link", name="Another CalDAV server").click()
        fill_in(page, self.account, "a wrong password")
        steps.sees(page, "The calendar server does not accept this user name and password.")
        self.look("a refusal")
        fill_in(page, self.account, self.account.password)
        expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
        self.look("what would happen")
        figure = page.locator(".figure", has_text="to write").locator("strong")
        owed = int(figure.inner_text())
        assert (owed > 0, self.account.entries()) == (True, set())
        page.get_by_role("button", name="Start").click()
        steps.sees(page, "The connection works.")
        self.connection = page.url
        until(lambda: len(self.account.entries()) == owed)
        return owed

    def follow_a_move(self, file: Path) -> None:
        """What is moved there is asked about here, and moved here too."""
        page = self.page
        self.account.move(file, timedelta(hours=2))
        sync_until(page, self.connection, "/calendar", "Moved outside.")
        steps.sees(page, "Lunch with Ada")
        self.look("a question in the schedule")
        page.get_by_role("button", name="Move it here too").click()
        steps.sees(page, "Done here too.")
        page.goto(f"/calendar?view=agenda&date={a_sunday()}")
        moved = page.locator(".agenda-item", has_text="Lunch with Ada")
        expect(moved).to_contain_text("12:00 – 12:50 PM")

    def mend(self) -> None:
        """A password that is good no more: a banner, and a new one."""
        page = self.page
        self.account.change_password("a new password")
        sync_until(page, self.connection, "/calendar", "needs signing in again")
        self.look("a banner")
        page.get_by_role("link", name="Look at it").click()
        self.look("signed out")
        page.get_by_label("App password").fill("a new password")
        page.get_by_role("button", name="Sign in again").click()
        steps.sees(page, "Signed in. The connection goes on.")

    def let_go(self) -> None:
        """Nothing of ours is left."""
        steps.confirm(self.page, "Disconnect")
        steps.sees(self.page, "What was written there is being removed.")
        until(lambda: self.account.entries() == set())
        self.page.goto(self.connection)
        steps.sees(self.page, "Nothing that it wrote is left there")
        self.look("the end")


def test_a_calendar_is_connected_kept_in_step_mended_and_let_go(
    page: Page, radicale: Radicale, faults: Faults
) -> None:
    faults.forgive("422")
    visit = Visit(page, Account(radicale))
    steps.open_own_sync_calendar(page)
    steps.allow(page)
    owed = visit.connect()

    before = visit.account.entries()
    book_a_meeting(page)
    until(lambda: len(visit.account.entries()) == owed + 1)
    (file,) = visit.account.entries() - before
    assert b"SUMMARY:Meeting" in file.read_bytes()

    visit.follow_a_move(file)
    visit.mend()
    assert len(visit.account.entries()) == owed + 1
    visit.let_go()

    assert {where: wrong for where, wrong in visit.wrongs.items() if wrong} == {}
