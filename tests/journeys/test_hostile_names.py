"""Whatever a name holds, it is a name."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser import PHONE, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
TURNED = "Zoë\u202egnp.exe"  # reads "Zoëexe.png"; the mark that turns it is left out
FAMILY = "👩‍👩‍👧‍👦🏳️‍🌈"
LONG = ("W" * 100, "M" * 100)

CLIENTS = {(SCRIPT, IMAGE), (IMAGE, TURNED), (FAMILY, SCRIPT), LONG}

TOMORROW = datetime.now(ZoneInfo("America/New_York")).date() + timedelta(days=1)

IMPORTED = f"""\
Start Date,Start Time,Minutes,First Name,Last Name,Title,Location
{TOMORROW},09:00,50,{SCRIPT},'{SCRIPT},,{SCRIPT}
{TOMORROW},ten,50,Jane,Smith,,
{TOMORROW},11:00,50,,,{SCRIPT},
"""


@pytest.fixture
def open_page(open_page: OpenPage) -> Iterator[OpenPage]:
    """As ever; and no page may open a dialog."""
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    def watched(**options: Any) -> Page:
        page = open_page(**options)
        page.on("dialog", dismiss)
        return page

    yield watched
    assert dialogs == []


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    """A demo that belongs to these tests alone."""
    product = Product(tmp_path_factory.mktemp("attacked"))
    fill(product, 2, 1)
    yield from running(product)


@pytest.fixture
def page(attacked: Product, open_page: OpenPage) -> Page:
    """An administrator's."""
    page = open_page(base_url=attacked.url)
    steps.sign_in(page, "admin@demo.example")
    return page


@pytest.mark.bar("I6")
def test_hostile_names_are_shown_as_text(
    page: Page, attacked: Product, open_page: OpenPage
) -> None:
    rename_practice(page, f"{SCRIPT} {IMAGE}")
    add_place(page, IMAGE)
    add_clinician(page, SCRIPT)
    for hour, (first, last) in enumerate(sorted(CLIENTS), start=9):
        add_client(page, first, last)
        add_appointment(page, shown(f"{first} {last}"), f"{hour:02}:00")
    full_names = [shown(f"{first} {last}") for first, last in sorted(CLIENTS)]

    page.goto(f"/calendar?from={TOMORROW}")
    choose_clinician(page, SCRIPT)
    expect(page.locator(".agenda-title")).to_have_count(4)
    assert page.locator(".agenda-title").all_inner_texts() == full_names
    page.goto("/calendars")
    page.get_by_role("link", name=SCRIPT, exact=True).click()
    link, sync_calendar = steps.allow(page), page.url
    steps.choose(page, "Use Full Name")
    assert steps.previewed(page) == full_names
    page.locator("#display").get_by_label("The calendar service has an agreement").check()
    steps.save(page)
    assert attacked.read(link).titles() == full_names

    phone = open_page(**PHONE, user_agent=steps.SAFARI_ON_IPHONE)
    phone.goto(steps.draw_qr_code(page))
    expect(phone.get_by_role("heading", level=1)).to_contain_text(SCRIPT)
    assert phone.evaluate(looks.STICKS_OUT) == []

    page.set_viewport_size(looks.SMALL_PHONE)
    found = {}
    for address in (
        f"/calendar?from={TOMORROW}",
        f"/calendar/new?date={TOMORROW}",
        "/calendars",
        sync_calendar,
        "/clients",
        "/people",
        "/settings",
        "/settings/places",
        "/settings/audit",
    ):
        page.goto(address)
        assert page.locator("img[src=x]").count() == 0
        found[address] = page.evaluate(looks.STICKS_OUT)
    assert {address: parts for address, parts in found.items() if parts} == {}


@pytest.mark.bar("I6")
def test_a_hostile_file_is_shown_as_text_before_and_after_it_is_imported(page: Page) -> None:
    page.goto("/import")
    page.get_by_label("Whose schedule").select_option("Anna Bergström")
    page.get_by_label("Calendar file").set_input_files(
        {"name": f"{IMAGE}.csv", "mimeType": "text/csv", "buffer": IMPORTED.encode()}
    )
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_label(SCRIPT)).not_to_be_checked()
    rows = page.get_by_role("table", name="Rows of the file")
    expect(rows.get_by_text(SCRIPT).first).to_be_visible()
    page.get_by_role("button", name="Import without the wrong row").click()
    expect(page.get_by_role("heading", name="Schedule", level=1)).to_be_visible()
    page.goto(f"/calendar?from={TOMORROW}")
    expect(page.get_by_role("link", name=f"{SCRIPT} '{SCRIPT}", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=SCRIPT, exact=True)).to_be_visible()


def shown(name: str) -> str:
    return name.replace("\u202e", "")


def rename_practice(page: Page, name: str) -> None:
    page.goto("/settings")
    page.get_by_label("Name of the practice").fill(name)
    page.get_by_role("button", name="Save").click()
    steps.sees(page, "Saved.")
    expect(page.get_by_role("contentinfo")).to_contain_text(name)


def add_place(page: Page, name: str) -> None:
    page.goto("/settings/places")
    page.get_by_label("Name of the place").fill(name)
    page.get_by_role("button", name="Add place").click()
    expect(page.get_by_role("button", name=f"Remove {name}")).to_be_visible()


def add_clinician(page: Page, name: str) -> None:
    page.goto("/people/clinicians/new")
    page.get_by_label("Name as calendars show it").fill(name)
    page.get_by_role("button", name="Add clinician").click()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def add_client(page: Page, first: str, last: str) -> None:
    page.goto("/clients/new")
    page.get_by_label("First name", exact=True).fill(first)
    page.get_by_label("Last name").fill(last)
    page.get_by_role("button", name="Add client").click()
    expect(page.get_by_role("heading", name=shown(f"{first} {last}"), exact=True)).to_be_visible()


def add_appointment(page: Page, client: str, start: str) -> None:
    page.goto(f"/calendar/new?date={TOMORROW}")
    page.get_by_label("Clinician").select_option(SCRIPT)
    page.get_by_label("Start").fill(start)
    page.get_by_role("combobox", name="Client").fill(client)
    page.get_by_role("option", name=client, exact=True).click()
    expect(page.get_by_role("checkbox", name=client, exact=True)).to_be_checked()
    page.get_by_label("Location").select_option(IMAGE)
    page.get_by_role("button", name="Save").click()
    steps.sees(page, "The appointment is in the schedule.")


def choose_clinician(page: Page, name: str) -> None:
    page.locator(".picker summary").click()
    page.get_by_role("checkbox", name=name, exact=True).check()
