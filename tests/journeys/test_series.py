"""A series, changed in all three ways; and two people at one appointment."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import DESKTOP, PHONE, Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

SCHEDULER = "scheduler@demo.example"
OWN = "clinician@demo.example"

MONDAY = "2027-06-07"
TURNS = ("2027-06-07", "2027-06-14", "2027-06-21", "2027-06-28")


@pytest.fixture
def practice(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    """A demo with one clinician, whose June is free."""
    small = Product(tmp_path_factory.mktemp("series"))
    fill(small, 1, 1)
    yield from running(small)


def begins(page: Page) -> list[tuple[str, str]]:
    """When Jane Smith's appointments of June begin, and their status."""
    answer = page.request.get("/calendar/events?start=2027-06-01&end=2027-07-01")
    return sorted(
        (event["start"], event["extendedProps"].get("status", ""))
        for event in answer.json()
        if event["title"] == "Jane Smith"
    )


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Appointment")


def open_turn(page: Page, day: str) -> Locator:
    page.goto(f"/calendar?view=agenda&date={day}")
    page.get_by_role("link", name="Jane Smith", exact=True).first.click()
    form = dialog(page)
    expect(form.get_by_label("Minutes")).to_be_visible()
    return form


def save(page: Page, form: Locator) -> None:
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_series_is_changed_here_from_here_on_and_everywhere(
    practice: Product, open_page: OpenPage, faults: Faults, device: dict[str, object]
) -> None:
    page = open_page(base_url=practice.url, reduced_motion="reduce", **device)
    steps.sign_in(page, SCHEDULER)
    page.goto(f"/calendar/new?date={MONDAY}&start=10:00")
    page.get_by_role("combobox", name="Client").press_sequentially("jane smi")
    page.keyboard.press("Enter")  # before the server has answered
    expect(page.get_by_role("checkbox", name="Jane Smith")).to_be_checked()
    page.locator("summary", has_text="Repeats").click()
    page.get_by_label("How", exact=True).select_option("weekly")
    page.get_by_label("Or how often").fill("4")
    assert looks.axe_of(page) == []
    page.get_by_role("button", name="Save").click()
    steps.sees(page, "The appointments are in the schedule.")
    assert begins(page) == [(f"{day}T10:00", "") for day in TURNS]

    form = open_turn(page, TURNS[1])
    expect(form.get_by_text("every week on Monday")).to_be_visible()
    form.get_by_label("Start", exact=True).fill("12:00")
    save(page, form)
    form = open_turn(page, TURNS[2])
    form.get_by_label("Start", exact=True).fill("15:00")
    form.get_by_role("radio", name="This and following").first.check()
    save(page, form)
    assert [start[5:] for start, _ in begins(page)] == [
        "06-07T10:00",
        "06-14T12:00",
        "06-21T15:00",
        "06-28T15:00",
    ]

    form = open_turn(page, TURNS[0])
    form.get_by_label("Start", exact=True).fill("08:00")
    form.get_by_role("radio", name="All, the past ones too").check()
    save(page, form)
    form = open_turn(page, TURNS[3])
    form.get_by_role("button", name="Cancel appointment").click()
    expect(form).to_be_hidden()
    assert begins(page) == [
        ("2027-06-07T08:00", ""),
        ("2027-06-14T12:00", ""),
        ("2027-06-21T15:00", ""),
        ("2027-06-28T15:00", "Cancelled"),
    ]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="takes place")).to_be_visible()
    assert begins(page)[3] == ("2027-06-28T15:00", "")


def test_two_people_at_one_appointment_lose_nothing(
    practice: Product, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("409")
    practice.command(
        *("appointments", "add", "--clinician", OWN, "--client", "Jane Smith"),
        *("--start", f"{MONDAY}T10:00"),
    )
    pages = [open_page(base_url=practice.url, reduced_motion="reduce") for _ in range(2)]
    for page, email in zip(pages, (SCHEDULER, OWN), strict=True):
        steps.sign_in(page, email)
    sam, unlu = (open_turn(page, MONDAY) for page in pages)
    sam.get_by_label("Start", exact=True).fill("14:00")
    save(pages[0], sam)

    unlu.get_by_label("Private note").fill("Bring the form")
    unlu.get_by_role("button", name="Save").click()

    expect(unlu.get_by_text("Sam Rivera at")).to_be_visible()
    expect(unlu.locator(".facts")).to_contain_text("2:00 PM")
    expect(unlu.get_by_label("Private note")).to_have_value("Bring the form")
    faults.forgive("inline style")  # axe's own
    assert looks.axe_of(pages[1]) == []
    unlu.get_by_label("Start", exact=True).fill("14:00")
    save(pages[1], unlu)
    assert begins(pages[1]) == [("2027-06-07T14:00", "")]
