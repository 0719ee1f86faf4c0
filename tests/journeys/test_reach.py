"""Check my link, on the link's page."""

from playwright.sync_api import expect

from tests.browser import OpenPage
from tests.journeys import looks, steps
from tests.journeys.product import Product


def test_a_link_is_checked_in_its_place(demo: Product, clinician: str, open_page: OpenPage) -> None:
    page = open_page(base_url=demo.url, reduced_motion="reduce")
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    steps.allow(page)
    page.get_by_role("link", name="What else it shows").click()

    page.get_by_role("button", name="Check my link").click()

    steps.sees(page, "127.0.0.1 means “this computer”")
    expect(page.locator("#reach")).to_have_count(1)
    page.get_by_text("What is well").click()
    steps.sees(page, "It gets the calendar at once: no redirect, no login, not compressed.")
    assert looks.wrongs(page) == []
