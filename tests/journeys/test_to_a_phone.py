"""From nothing to a subscribed phone."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser import PHONE, Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.product import Product, until

DEMO_ZONE = ZoneInfo("America/New_York")


@pytest.mark.bar("M4")
def test_from_set_up_to_a_subscribed_phone(
    product: Product, open_page: OpenPage, faults: Faults
) -> None:
    desk = open_page(base_url=product.url, reduced_motion="reduce")
    set_up_a_demo(desk, product.setup_code)
    steps.sign_in(desk, "clinician@demo.example")
    open_sync_calendar_from_the_schedule(desk)
    steps.open_own_sync_calendar(desk)

    link = steps.allow(desk)
    initials = steps.previewed(desk)
    steps.choose(desk, "Use First Name")
    first_names = steps.previewed(desk)
    assert len(first_names) == len(initials) == 5
    assert first_names != initials
    steps.save(desk)

    phone = open_page(**PHONE, user_agent=steps.SAFARI_ON_IPHONE)
    phone.goto(draw_qr_code_anyway(desk))
    faults.forgive("webcal:")  # no app on this machine takes it
    phone.get_by_role("button", name="Add to Apple Calendar").click()
    webcal = address_of(phone, "Add to Apple Calendar")
    assert webcal == link.replace("http:", "webcal:")

    first = product.read(webcal)
    assert first.status == 200
    assert first.titles_ahead()[:5] == first_names
    assert last_names(desk).isdisjoint(re.findall(r"[\w'-]+", " ".join(first.titles())))

    moved_to = move_an_appointment(desk)
    assert moved_to not in first.starts()
    second = product.read(webcal, etag=first.etag)
    assert second.status == 200
    assert moved_to in second.starts()
    assert product.read(webcal, etag=second.etag).status == 304

    steps.open_own_sync_calendar(desk)
    until_the_page_says(desk, "Last read just now by Apple Calendar on iPhone or iPad")

    steps.confirm(desk, "Reset Access")
    steps.sees(desk, "Access is reset")
    new_link = steps.link(desk)
    assert new_link != link
    assert product.read(webcal, etag=second.etag).titles() == [steps.NOTICE]
    assert product.read(new_link).entries() == second.entries()

    steps.confirm(desk, "Disable Access")
    steps.sees(desk, "Access is disabled: no link works any more.")
    assert product.read(new_link).titles() == [steps.NOTICE]


def set_up_a_demo(page: Page, code: str) -> None:
    page.goto("/setup")
    assert looks.wrongs(page) == []
    page.reload()
    page.get_by_text("Try the demo").click()
    page.locator("#demo-code").fill(code)
    page.get_by_label("Password for the demo sign-ins").fill(steps.PASSWORD)
    page.get_by_role("button", name="Fill in the demo").click()
    steps.sees(page, "The demo practice is ready.")


def open_sync_calendar_from_the_schedule(page: Page) -> None:
    page.get_by_label("More", exact=True).click()
    page.get_by_role("main").get_by_role("link", name="Sync Calendar", exact=True).click()
    expect(page.get_by_role("heading", name="Sync Calendar", level=1)).to_be_visible()


def draw_qr_code_anyway(page: Page) -> str:
    """The page is open on this computer alone, says so, and draws the code all the same."""
    steps.sees(page, "Phones cannot reach this server yet")
    steps.sees(page, "Show it anyway, to try it here.")
    return steps.draw_qr_code(page)


def address_of(page: Page, name: str) -> str:
    address = page.get_by_role("link", name=name).get_attribute("href")
    assert address is not None
    return address


def last_names(page: Page) -> set[str]:
    """Of all clients, but for those that are someone's first name too."""
    page.goto("/clients")
    names = [name.partition(" ") for name in page.locator("tbody th").all_inner_texts()]
    assert len(names) > 10
    return {last for _, _, last in names if last} - {first for first, _, _ in names}


def move_an_appointment(page: Page) -> datetime:
    """One of next week's sessions, into the evening."""
    next_week = datetime.now(DEMO_ZONE).date() + timedelta(days=7)
    page.goto(f"/calendar?from={next_week}")
    page.locator(".agenda-item:not(.agenda-item-gone)", has_text="Session").get_by_role(
        "link"
    ).first.click()
    day = page.get_by_label("Date", exact=True).input_value()
    page.get_by_label("Start").fill("20:15")
    page.get_by_role("button", name="Save").click()
    steps.sees(page, "The appointment is changed.")
    return datetime.fromisoformat(f"{day}T20:15").replace(tzinfo=DEMO_ZONE)


def until_the_page_says(page: Page, words: str) -> None:
    """A reading is written a moment after it."""

    def says() -> bool:
        page.reload()
        return page.get_by_text(words).count() > 0

    until(says)
