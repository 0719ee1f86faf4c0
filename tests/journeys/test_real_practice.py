"""A practice sets itself up and brings its schedule along."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Faults, OpenPage
from tests.journeys import steps
from tests.journeys.product import Product

NEXT_WEEK = datetime.now(ZoneInfo("America/New_York")).date() + timedelta(days=7)

SCHEDULE = f"""\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Google Inc//Google Calendar 70.9054//EN
BEGIN:VEVENT
UID:1@google.com
DTSTART;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T100000
DTEND;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T105000
SUMMARY:Zoë O'Brien-García
END:VEVENT
BEGIN:VEVENT
UID:2@google.com
DTSTART;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T110000
DTEND;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T115000
SUMMARY:mark
END:VEVENT
BEGIN:VEVENT
UID:3@google.com
DTSTART;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T120000
DTEND;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T123000
SUMMARY:Lunch with Ada
END:VEVENT
BEGIN:VEVENT
UID:4@google.com
DTSTART;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T140000
DTEND;TZID=America/New_York:{NEXT_WEEK:%Y%m%d}T130000
SUMMARY:Jane Smith
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")

NAMES = ["Zoë O'Brien-García", "mark"]


def test_a_real_practice_is_set_up_and_its_schedule_imported(
    product: Product, open_page: OpenPage, faults: Faults
) -> None:
    ada = open_page(base_url=product.url)
    set_up(ada, product.setup_code)
    add_user(ada, "Sam Rivera", "sam@example.com", "scheduler")
    add_user(ada, "Dr. Ünlü", "unlu@example.com", "clinician")
    add_user(ada, "Anna Bergström", "anna@example.com", "clinician")

    sam = open_page(base_url=product.url)
    steps.sign_in(sam, "sam@example.com")
    import_schedule(sam, "Dr. Ünlü")
    sam.goto(f"/calendar?from={NEXT_WEEK}")
    assert sam.locator(".agenda-title").all_inner_texts() == [*NAMES, "Lunch with Ada"]
    start = f"{NEXT_WEEK}T15:00"
    product.command(
        "appointments", "add", "--clinician", "anna@example.com", "--client", "Jane Smith",
        "--start", start, "--minutes", "50",
    )  # fmt: skip
    sam.reload()
    agenda = sam.locator(".agenda-title")
    assert agenda.all_inner_texts() == [*NAMES, "Lunch with Ada", "Jane Smith"]
    janes = sam.get_by_role("link", name="Jane Smith").get_attribute("href")

    unlu = open_page(base_url=product.url)
    steps.sign_in(unlu, "unlu@example.com")
    unlu.goto(f"/calendar?from={NEXT_WEEK}")
    assert unlu.locator(".agenda-title").all_inner_texts() == [*NAMES, "Lunch with Ada"]
    unlu.goto("/clients")
    assert sorted(unlu.locator("tbody th").all_inner_texts()) == sorted(NAMES)
    faults.forgive("40")  # 403 and 404
    for not_hers in (janes, "/calendars/practice/sync", "/import"):
        answer = unlu.goto(str(not_hers))
        assert answer is not None
        assert answer.status in {403, 404}
        expect(unlu.get_by_text("Jane Smith")).to_be_hidden()

    unlu.goto("/calendar")
    steps.open_own_sync_calendar(unlu)
    steps.allow(unlu)
    assert steps.previewed(unlu) == ["Z.O.", "M.", "Appointment"]


@pytest.mark.bar("F3")
def test_what_the_practice_does_not_allow_cannot_be_chosen(
    product: Product, open_page: OpenPage, faults: Faults
) -> None:
    ada = open_page(base_url=product.url)
    set_up(ada, product.setup_code)
    add_user(ada, "Dr. Ünlü", "unlu@example.com", "clinician")
    unlu = open_page(base_url=product.url)
    steps.sign_in(unlu, "unlu@example.com")
    steps.open_own_sync_calendar(unlu)
    steps.allow(unlu)

    reason = "Your practice allows at most: Initials. An administrator can change that."
    steps.sees(unlu, reason)
    offered = {
        name: unlu.get_by_role("radio", name=name).is_enabled()
        for name in (
            "Use Internal ID",
            "Use Initials",
            "Use First Name",
            "Use Full Name",
            "Busy only",
        )
    }
    assert offered == {
        "Use Internal ID": True,
        "Use Initials": True,
        "Use First Name": False,
        "Use Full Name": False,
        "Busy only": True,
    }
    assert unlu.locator("#new-mode option").all_text_contents() == [
        "Use Internal ID",
        "Use Initials",
        "Busy only",
    ]

    faults.forgive("403")
    first_name = unlu.get_by_role("radio", name="Use First Name")
    first_name.evaluate("radio => { radio.disabled = false; radio.checked = true; }")
    unlu.get_by_role("button", name="Save how names show").click()
    expect(unlu.locator("#display").get_by_role("alert")).to_contain_text(
        "Your practice allows at most: initials."
    )

    ada.goto("/settings/policy")
    ada.get_by_role("radio", name="First name").check()
    ada.get_by_role("button", name="Save").click()
    steps.sees(ada, "Saved.")
    unlu.reload()
    steps.choose(unlu, "Use First Name")
    steps.save(unlu)


def set_up(page: Page, code: str) -> None:
    page.goto("/setup")
    page.locator("#practice-code").fill(code)
    page.get_by_label("Name of the practice").fill("Riverside")
    page.get_by_label("Time zone").select_option("America/New_York")
    expect(page.get_by_role("radio", name="Initials")).to_be_checked()
    page.get_by_label("Your name").fill("Ada Lin")
    page.get_by_label("Your e-mail address").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    page.get_by_label("Password again").fill(steps.PASSWORD)
    page.get_by_role("button", name="Set up the practice").click()
    steps.sees(page, "Your practice is set up.")


def add_user(page: Page, name: str, email: str, role: str) -> None:
    page.goto("/people/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Role", exact=True).select_option(role)
    page.get_by_text("Set a first password instead").click()
    page.get_by_label("First password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Add user").click()
    steps.sees(page, "The user is added.")


def import_schedule(page: Page, clinician: str) -> None:
    """Look at what it would do, answer, accept."""
    page.goto("/import")
    page.get_by_label("Whose schedule").select_option(clinician)
    page.get_by_label("Calendar file").set_input_files(
        {"name": "basic.ics", "mimeType": "text/calendar", "buffer": SCHEDULE.encode()}
    )
    page.get_by_role("button", name="Look at the file").click()
    wrong = page.get_by_role("table", name="Wrong rows").get_by_role("row")
    expect(wrong).to_have_count(2)
    expect(wrong.last).to_contain_text("22")
    expect(page.get_by_label("Zoë O'Brien-García")).to_be_checked()
    expect(page.get_by_label("Lunch with Ada")).not_to_be_checked()
    page.get_by_label("mark").check()
    page.get_by_role("button", name="Look again with these answers").click()
    expect(page.get_by_label("mark")).to_be_checked()
    page.get_by_role("button", name="Import without the wrong row").click()
    expect(page.get_by_role("heading", name="Schedule", level=1)).to_be_visible()
