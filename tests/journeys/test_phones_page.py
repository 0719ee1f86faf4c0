"""The phone's page: what a QR code and an e-mail open."""

from typing import Any

import pytest

from tests.browser import DESKTOP, PHONE, Faults, OpenPage
from tests.journeys import steps
from tests.journeys.calendar_app import fetch
from tests.journeys.product import Product

SCANNER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Microsoft Outlook 16.0) SafeLinks"


@pytest.fixture
def code(demo: Product, clinician: str, open_page: OpenPage) -> str:
    """The address in a fresh QR code of a clinician's first link."""
    page = open_page(base_url=demo.url)
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    steps.allow(page)
    return steps.draw_qr_code(page)


@pytest.mark.bar("M3")
def test_looking_does_not_spend_the_code_and_a_press_binds_it_to_its_browser(
    code: str, open_page: OpenPage, faults: Faults
) -> None:
    assert [fetch(code, agent=SCANNER).status for _ in range(2)] == [200, 200]
    phone = open_page(**PHONE, user_agent=steps.SAFARI_ON_IPHONE)
    phone.goto(code)
    phone.get_by_role("button", name="Copy the link").click()
    link = steps.link(phone)
    assert fetch(link).status == 200

    phone.goto(code)
    assert steps.link(phone) == link

    faults.forgive("410")
    other = open_page(**PHONE, user_agent=steps.SAFARI_ON_IPHONE)
    other.goto(code)
    steps.sees(other, "used already, on another device or browser")
    steps.sees(other, "You get a new code at once.")
    assert link not in other.content()
    assert [fetch(code, agent=SCANNER).status for _ in range(2)] == [410, 410]


DEVICES: list[tuple[str, dict[str, Any], str]] = [
    (steps.SAFARI_ON_IPHONE, PHONE, "Add to Apple Calendar"),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/143.0.0.0 Mobile Safari/537.36",
        PHONE,
        "Add with ICSx⁵",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/143.0.0.0 Safari/537.36",
        DESKTOP,
        "Add to Outlook (work)",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        DESKTOP,
        "Add to Google Calendar",
    ),
]


def test_the_devices_own_app_comes_first_and_all_others_follow(
    code: str, open_page: OpenPage
) -> None:
    for user_agent, shape, first in DEVICES:
        page = open_page(**shape, user_agent=user_agent)
        page.goto(code)
        offered = page.get_by_role("main").get_by_role("button").all_inner_texts()
        assert offered[:2] == [first, "Copy the link"]
        assert {first, *offered[2:]} == {
            "Add to Apple Calendar",
            "Add to Google Calendar",
            "Add to Outlook (work)",
            "Add to Outlook.com (private)",
            "Add with ICSx⁵",
        }
