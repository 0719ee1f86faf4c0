"""Clients: found from anywhere, booked from the record, two records made one, taken along."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import DESKTOP, PHONE, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

SCHEDULER = "scheduler@demo.example"


@pytest.fixture(scope="module")
def practice_of_two(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    made = Product(tmp_path_factory.mktemp("two"))
    fill(made, 2, 2)
    yield from running(made)


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, practice_of_two: Product, open_page: OpenPage) -> Page:
    device: dict[str, Any] = request.param
    page = open_page(base_url=practice_of_two.url, reduced_motion="reduce", **device)
    steps.sign_in(page, SCHEDULER)
    return page


def search(page: Page, text: str) -> None:
    """By the key where there is one, and by the magnifier."""
    page.wait_for_load_state()  # the key means nothing before the scripts are there
    if page.viewport_size and page.viewport_size["width"] > 1000:
        page.keyboard.press("/")
    else:
        page.get_by_role("banner").get_by_role("link", name="Search").click()
    field = page.get_by_role("combobox", name="Search clients, appointments and settings")
    expect(field).to_be_focused()
    field.press_sequentially(text)


def add_client(page: Page, first_name: str, last_name: str) -> str:
    """The address of the new record."""
    page.goto("/clients/new")
    page.get_by_label("First name", exact=True).fill(first_name)
    page.get_by_label("Last name", exact=True).fill(last_name)
    page.get_by_role("button", name="Add client").click()
    expect(page.get_by_role("heading", name=f"{first_name} {last_name}", level=1)).to_be_visible()
    return page.url


def a_free_sunday() -> str:
    today = datetime.now(UTC).date()
    return (today + timedelta(days=6 - today.weekday() + 7)).isoformat()


def test_a_client_is_found_from_anywhere_and_booked(page: Page) -> None:
    device = "phone" if page.viewport_size and page.viewport_size["width"] < 1000 else "desk"
    record = add_client(page, "Nuño", f"Quist-{device}")
    page.goto("/calendar?view=agenda")
    search(page, f"nuno quist-{device}")
    option = page.get_by_role("option", name=f"Nuño Quist-{device}")
    expect(option).to_be_visible()
    assert looks.wrongs(page) == []
    page.set_viewport_size((PHONE if device == "phone" else DESKTOP)["viewport"])

    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(record)
    expect(page.get_by_text("No appointment is planned.", exact=True)).to_be_visible()
    page.get_by_role("link", name="Book").click()
    form = page.locator("form", has_text="Save")
    expect(form.get_by_label(f"Nuño Quist-{device}")).to_be_checked()
    form.get_by_label("Clinician").select_option(index=0 if device == "phone" else 1)
    form.get_by_label("Date", exact=True).fill(a_free_sunday())
    form.get_by_label("Start").fill("06:00")
    form.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile("/calendar"))

    page.goto(record)
    expect(page.get_by_role("region", name="Upcoming").get_by_role("listitem")).to_have_count(1)


def test_escape_closes_the_search_and_forgets_it(page: Page) -> None:
    page.goto("/clients")
    search(page, "jane")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()

    search(page, "")

    expect(page.get_by_role("combobox", name="Search clients")).to_have_value("")
    expect(page.get_by_role("option")).to_have_count(0)


def test_a_slash_in_a_field_is_a_slash(page: Page) -> None:
    page.goto("/clients")
    field = page.get_by_label("Find a client")
    field.press_sequentially("11/24")

    expect(field).to_have_value("11/24")
    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()


def test_two_records_of_one_person_become_one(page: Page) -> None:
    number = "1" if page.viewport_size and page.viewport_size["width"] < 1000 else "2"
    duplicate = add_client(page, "Zelda", f"Doublé{number}")
    kept = add_client(page, "ZELDA", f"Double{number}")
    page.goto("/clients")
    page.get_by_label("More", exact=True).click()
    page.get_by_role("link", name="Find duplicates").click()
    found = {"duplicates": looks.wrongs(page)}
    page.get_by_role(
        "link", name=re.compile(f"Compare.*Double{number}|Compare.*Doublé{number}")
    ).click()
    page.get_by_role("radio", name=re.compile("Keep ZELDA")).check()
    found["merge"] = looks.wrongs(page)
    page.get_by_role("button", name="Merge for good").click()
    steps.sees(page, "The two records are one.")
    assert page.url == kept

    page.goto(duplicate)

    assert page.url == kept
    assert found == {"duplicates": [], "merge": []}


def test_a_client_who_left_is_archived_and_restored(page: Page) -> None:
    number = "1" if page.viewport_size and page.viewport_size["width"] < 1000 else "2"
    record = add_client(page, "Lea", f"Gone{number}")
    page.get_by_role("button", name="Archive").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("No appointment is planned.")
    question.get_by_role("button", name="Archive").click()
    steps.sees(page, "The client is archived.")
    page.get_by_label("Find a client").press_sequentially(f"gone{number}")
    steps.sees(page, "Nobody found")

    page.goto("/clients?archived=yes")
    page.get_by_role("link", name=f"Lea Gone{number}").click()
    assert looks.wrongs(page) == []
    page.get_by_role("button", name="Restore").click()

    steps.sees(page, "The client is in the list again.")
    assert page.url == record


def test_schedule_and_clients_are_taken_along(page: Page, tmp_path: Path) -> None:
    page.goto("/clients")
    page.get_by_label("More", exact=True).click()
    page.get_by_role("link", name="Export").click()
    assert looks.wrongs(page) == []

    rows = {}
    for button in ("Download schedule", "Download clients"):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        rows[file.name] = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))

    names = sorted(name.rpartition("-")[2] for name in rows)
    assert [name.partition("-")[0] for name in sorted(rows)] == ["clients", "schedule"]
    assert all(name.endswith(".csv") for name in names)
    schedule = next(found for name, found in rows.items() if name.startswith("schedule"))
    assert {row["Clinician"] for row in schedule} == {"Dr. Ünlü", "Anna Bergström"}
