"""To Google and back in a real browser; Google itself is a page of the test's own."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.browser import Faults, OpenPage
from tests.journeys.product import Product, running
from tests.journeys.steps import PASSWORD, open_own_sync_calendar, sees, sign_in


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[Product]:
    """A practice with a client at Google."""
    made = Product(
        tmp_path,
        SYNC_GOOGLE_CLIENT_ID="practice.apps.example",
        SYNC_GOOGLE_CLIENT_SECRET="a client's secret",
    )
    made.command("demo", "--password", PASSWORD, "--clinicians", "1", "--weeks", "1")
    yield from running(made)


def test_the_way_to_google_leads_out_and_the_way_back_in(
    registered: Product, open_page: OpenPage, faults: Faults
) -> None:
    """S2: the policy of the pages lets the browser out, and its session is there on return."""
    faults.forgive("asked another host: https://accounts.google.com/")
    page = open_page(base_url=registered.url)
    asked: dict[str, list[str]] = {}

    def google(route: Route) -> None:
        asked.update(parse_qs(urlsplit(route.request.url).query))
        assert "referer" not in route.request.headers
        back = f"{asked['redirect_uri'][0]}?error=access_denied&amp;state={asked['state'][0]}"
        body = f'<h1>Google</h1><a href="{back}">Cancel</a>'
        route.fulfill(body=body, content_type="text/html")

    page.route("https://accounts.google.com/**", google)
    sign_in(page, "clinician@demo.example")
    open_own_sync_calendar(page)
    key = urlsplit(page.url).path.split("/")[2]
    page.goto(f"/calendars/{key}/connections/new?direction=two_way")

    page.get_by_role("button", name="Sign in with Google").click()
    expect(page.get_by_role("heading", name="Google", exact=True)).to_be_visible()
    assert asked["redirect_uri"] == [f"{registered.url}/connections/google/callback"]
    page.get_by_role("link", name="Cancel").click()

    expect(page.get_by_role("heading", name="Sync Calendar", level=1)).to_be_visible()
    sees(page, "Google was not allowed to share the calendar. Nothing was connected.")
