"""Every page there is, to everyone who may see it: no fault that axe or the browser could find."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from sync_ui.domain.roles import Role
from tests.browser import Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running
from tests.radicale import HOST, Radicale

EVERYONE = frozenset(Role)
SCHEDULERS = frozenset({Role.ADMINISTRATOR, Role.SCHEDULER})
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
VISITORS: frozenset[Role] = frozenset()

SIGN_INS = {
    Role.ADMINISTRATOR: "admin@demo.example",
    Role.SCHEDULER: "scheduler@demo.example",
    Role.CLINICIAN: "clinician@demo.example",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses are those of the demo's first clinician."""

    address: str
    roles: frozenset[Role]


PLACES = {
    "accounts.account": Place("/account", EVERYONE),
    "accounts.sign_in": Place("/sign-in", VISITORS),
    "appointments.edit": Place("/calendar/1", EVERYONE),
    "appointments.new": Place("/calendar/new", EVERYONE),
    "audit.entries": Place("/settings/audit", ADMINISTRATORS),
    "backups.listed": Place("/settings/backups", ADMINISTRATORS),
    "clients.listed": Place("/clients", EVERYONE),
    "clients.new": Place("/clients/new", SCHEDULERS),
    "clients.show": Place("/clients/1", EVERYONE),
    "connection.busy": Place("/calendars/2/connections/1/busy", EVERYONE),
    "connection.show": Place("/calendars/2/connections/1", EVERYONE),
    "connections.new": Place(
        "/calendars/2/connections/new?direction=two_way&provider=other", EVERYONE
    ),
    "factor_rules.policy": Place("/settings/sign-in", ADMINISTRATORS),
    "factors.app": Place("/account/factors/app", VISITORS),  # in test_second_factors.py
    "factors.listed": Place("/account/factors", EVERYONE),
    "factors.passkey": Place("/account/factors/passkey", VISITORS),  # there, too
    "holidays.listed": Place("/settings/holidays", ADMINISTRATORS),
    "doors.show": Place("/settings/network", ADMINISTRATORS),
    "duplicates.choose": Place("/clients/1/merge", SCHEDULERS),
    "duplicates.merge": Place("/clients/1/merge/2", SCHEDULERS),
    "duplicates.suggested": Place("/clients/duplicates", SCHEDULERS),
    "exports.choose": Place("/export", EVERYONE),
    "imports.columns": Place("/import/{file}/columns", SCHEDULERS),
    "imports.preview": Place("/import/{file}", SCHEDULERS),
    "imports.upload": Place("/import", SCHEDULERS),
    "keys.recovery": Place("/settings/recovery", ADMINISTRATORS),
    "link.show": Place("/calendars/2/links/1", EVERYONE),
    "leaks.show": Place("/calendars/2/links/1/leak", EVERYONE),
    "links.calendars": Place("/calendars", EVERYONE),
    "links.sync": Place("/calendars/2/sync", EVERYONE),
    "people.clinician": Place("/people/clinicians/1", ADMINISTRATORS),
    "people.listed": Place("/people", ADMINISTRATORS),
    "people.new": Place("/people/new", ADMINISTRATORS),
    "people.new_clinician": Place("/people/clinicians/new", ADMINISTRATORS),
    "people.user": Place("/people/users/2", ADMINISTRATORS),
    "phone.look": Place("/add/{code}", VISITORS),
    "practice.clients": Place("/settings/clients", ADMINISTRATORS),
    "practice.google": Place("/settings/google", ADMINISTRATORS),
    "practice.places": Place("/settings/places", ADMINISTRATORS),
    "practice.policy": Place("/settings/policy", ADMINISTRATORS),
    "practice.settings": Place("/settings", ADMINISTRATORS),
    "proposals.listed": Place("/proposals", EVERYONE),
    "schedule.show": Place("/calendar", EVERYONE),
    "search.find": Place("/search?q=an", EVERYONE),
    "second_step.ask": Place("/sign-in/second", VISITORS),  # looked at in test_second_factors.py
    "setup.begin": Place("/setup", VISITORS),  # looked at in test_to_a_phone.py
    "tickets.begin": Place("/enter", VISITORS),
    "tickets.enter": Place("/enter/{code}", VISITORS),  # looked at in test_tickets.py
    "tickets.forgotten": Place("/forgotten", VISITORS),
    "types.edit": Place("/settings/types/1", ADMINISTRATORS),
    "types.listed": Place("/settings/types", ADMINISTRATORS),
}

# What is no page: files, feeds, a redirect, words for machines, a part of Sync Calendar. What a
# connection shows before it starts is looked at in test_connections.py.
NO_PAGES = {
    "accounts.state",
    "appointments.find_clients",
    "connection.begin",
    "google.callback",
    "health.health",
    "imports.progress",
    "link.preview",
    "links.preview",
    "pages.home",
    "pages.robots",
    "schedule.events",
    "static",
}

A_FILE_WITH_A_WRONG_ROW = b"""\
Start Date;Start Time;Minutes;Client;Title
2026-12-01;10:00;50;Jane Smith;
2026-12-02;ten;50;Mark Smith;
2026-12-03;12:00;50;;Lunch with Anna
"""


@pytest.mark.bar("M6")
def test_every_page_is_in_the_table(app: Flask) -> None:
    readable = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}

    assert readable == PLACES.keys() | NO_PAGES


@pytest.fixture(scope="module")
def practice_of_one(
    tmp_path_factory: pytest.TempPathFactory, fill: Fill, radicale: Radicale
) -> Iterator[Product]:
    """A demo with one clinician, so that no page is longer than it needs to be to show all."""
    small = Product(tmp_path_factory.mktemp("one"), SYNC_ALLOW_PRIVATE_ADDRESSES=HOST)
    fill(small, 1, 2)
    for calendar, mode in (("clinician@demo.example", "initials"), ("practice", "busy")):
        small.command(
            "link", "create", "--calendar", calendar, "--label", "Phone", "--display", mode
        )
    connect(small, radicale)
    yield from running(small)


def connect(product: Product, radicale: Radicale) -> None:
    """The clinician's calendar is kept on a CalDAV server, too, and everything is written."""
    user, password = radicale.new_user()
    account = ("--caldav", radicale.url, "--user", user, "--password-stdin")
    shown = ("--direction", "two-way", "--display", "initials")
    product.command(
        "connection",
        *("add", "--calendar", "clinician@demo.example", *account, *shown),
        given=password,
    )
    product.command("connection", "sync", "1")


@pytest.fixture
def page(practice_of_one: Product, open_page: OpenPage) -> Page:
    return open_page(base_url=practice_of_one.url, reduced_motion="reduce")


A_POOR_PAGE = """\
<!doctype html><html lang="en"><title>Poor</title><main><h1>Poor</h1>
<style>
  @media (prefers-color-scheme: dark) { p { color: #777; background: #888; } }
  pre { width: 400px; }
</style>
<p>Grey on grey</p>
<img src="data:,">
<pre>Wide</pre></main></html>
"""


@pytest.mark.bar("M6")
def test_a_poor_page_is_noticed(desktop: Page) -> None:
    desktop.set_content(A_POOR_PAGE)
    found = [wrong.partition(": ")[::2] for wrong in looks.wrongs(desktop)]

    assert [(where, what.split(":")[0]) for where, what in found] == [
        ("light, desk", '<img src="data'),
        ("light, phone", '<img src="data'),
        ("sticks out on a phone", "408 pixels"),
        ("sticks out on a phone", "PRE "),
        ("dark, phone", "<p>Grey on grey</p>"),
        ("dark, desk", "<p>Grey on grey</p>"),
    ]


@pytest.mark.bar("M6", "L10", "M4")
@pytest.mark.parametrize("role", Role)
def test_nothing_is_wrong_with_any_page_of(role: Role, page: Page) -> None:
    """SECURITY L10, among others: no page asks another host."""
    steps.sign_in(page, SIGN_INS[role])
    file = upload(page) if role in SCHEDULERS else ""
    found = {}
    for place in PLACES.values():
        if role in place.roles:
            address = place.address.format(file=file)
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            found[address] = looks.wrongs(page)

    assert {address: wrongs for address, wrongs in found.items() if wrongs} == {}


@pytest.mark.bar("M6", "L10")
def test_nothing_is_wrong_with_the_pages_of_visitors_once_it_is_set_up(
    page: Page, practice_of_one: Product, open_page: OpenPage, faults: Faults
) -> None:
    page.goto("/sign-in")
    found = {"/sign-in": looks.wrongs(page)}
    steps.sign_in(page, SIGN_INS[Role.CLINICIAN])
    steps.open_own_sync_calendar(page)
    visitor = open_page(reduced_motion="reduce")
    visitor.goto(steps.draw_qr_code(page))
    found["a fresh code"] = looks.wrongs(visitor)
    visitor.get_by_role("button", name="Copy the link").click()
    expect(visitor.locator("#link-https")).to_be_visible()
    found["a spent code"] = looks.wrongs(visitor)
    faults.forgive("410")
    visitor.goto(f"{practice_of_one.url}/add/nonsense")
    found["a wrong code"] = looks.wrongs(visitor)

    assert {address: wrongs for address, wrongs in found.items() if wrongs} == {}


@pytest.mark.bar("M6")
def test_nothing_is_wrong_with_what_opens_on_a_page(page: Page, faults: Faults) -> None:
    for provoked in ("404", "409", "422", "mailto:"):
        faults.forgive(provoked)
    steps.sign_in(page, SIGN_INS[Role.CLINICIAN])
    found = {}
    page.get_by_label(re.compile("^Your menu")).click()
    found["the user menu"] = looks.wrongs(page)
    page.goto("/calendar")
    page.get_by_label("More", exact=True).click()
    found["the schedule's menu"] = looks.wrongs(page)
    page.goto("/calendar/new")
    page.get_by_label("Date", exact=True).fill("")
    page.locator("form[method=post]", has_text="Save").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Choose the date.")).to_be_visible()
    found["a form with a fault"] = looks.wrongs(page)
    page.goto("/calendar/0")
    found["an error"] = looks.wrongs(page)

    page.goto("/calendar")
    steps.open_own_sync_calendar(page)
    steps.draw_qr_code(page)
    found["a QR code"] = looks.wrongs(page)
    page.get_by_role("button", name="Email link").click()
    expect(page.get_by_role("link", name="Open your mail program")).to_be_visible()
    found["a message to oneself"] = looks.wrongs(page)
    steps.choose(page, "Use Full Name")
    page.get_by_role("button", name="Save how names show").click()
    steps.sees(page, "Confirm that yours has one.")
    found["the warning of full names"] = looks.wrongs(page)
    page.get_by_role("button", name="Reset Access").first.click()
    found["the question before a reset"] = looks.wrongs(page)
    page.keyboard.press("Escape")
    page.get_by_label(steps.ALLOW).uncheck()
    expect(page.get_by_role("alert")).to_be_visible()
    found["the question before the end"] = looks.wrongs(page)

    assert {state: wrongs for state, wrongs in found.items() if wrongs} == {}


def upload(page: Page) -> str:
    """The number of an upload that waits to be accepted."""
    page.goto("/import")
    page.get_by_label("Calendar file").set_input_files(
        {"name": "week.csv", "mimeType": "text/csv", "buffer": A_FILE_WITH_A_WRONG_ROW}
    )
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", name="What the import would do")).to_be_visible()
    return page.url.rpartition("/")[2]
