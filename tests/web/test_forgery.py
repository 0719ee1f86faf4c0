"""Nobody else's page changes anything (CSRF): every route that changes, as the live map has it."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.gateways.memory import Memory
from sync_ui.models import ProviderName
from tests.practice import PASSWORD, Book, Clock, Practice, csrf_token
from tests.web.test_access import MACHINES, NOTHING_TO_CHANGE, POSTS, Asker, every_row, routes

pytestmark = pytest.mark.bar("A5")

BrowserOf = Callable[[str], FlaskClient]

HOST = "calendar.example.com"

FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "a name that begins like ours": {"Origin": f"https://{HOST}.evil.example"},
    "our name as a user": {"Origin": f"https://{HOST}@evil.example"},
    "our name without https": {"Origin": f"http://{HOST}"},
    "another port": {"Origin": f"https://{HOST}:8443"},
    "no origin at all": {"Origin": "file://"},
    "nonsense": {"Origin": "calendar"},
    "across sites": {"Sec-Fetch-Site": "cross-site"},
    "a neighbour": {"Sec-Fetch-Site": "same-site"},
    "across sites, without saying from where": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
}

OWN = {
    "a page of ours": {"Origin": f"https://{HOST}", "Sec-Fetch-Site": "same-origin"},
    "a page of ours that sends no Referer": {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    "an older browser": {},
    "the name that was asked": {"Origin": "https://localhost"},
}


@pytest.fixture
def app(app: Flask) -> Flask:
    """Every account outside is one in memory."""
    app.extensions["providers"][ProviderName.CALDAV] = lambda login: Memory()
    return app


def place(browser: FlaskClient, **more: object) -> TestResponse:
    form = {"name": "Attic", "csrf_token": csrf_token(browser, "/account")}
    return browser.post("/settings/places", data=form, **more)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_another_site_changes_nothing_even_with_the_token(
    browser_of: BrowserOf, headers: dict[str, str]
) -> None:
    browser = browser_of("ada@example.com")
    before = every_row()

    refused = place(browser, headers=headers)

    assert (refused.status_code, every_row() == before) == (403, True)
    assert place(browser).status_code == 302


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_our_own_pages_do(browser_of: BrowserOf, headers: dict[str, str]) -> None:
    assert place(browser_of("ada@example.com"), headers=headers).status_code == 302


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "name=Attic"),
        ("application/json", '{"name": "Attic"}'),
        ("", "name=Attic"),
        ("application/xml", "<name>Attic</name>"),
    ],
)
def test_what_is_no_form_changes_nothing_even_with_the_token(
    browser_of: BrowserOf, content_type: str, body: str
) -> None:
    browser = browser_of("ada@example.com")
    headers = {"X-CSRFToken": csrf_token(browser, "/account")}
    before = every_row()

    refused = browser.post(
        "/settings/places", data=body, content_type=content_type, headers=headers
    )

    assert (refused.status_code, every_row() == before) == (415, True)


def test_no_route_that_changes_is_left_out(app: Flask) -> None:
    changing = {route for route in routes(app) if route[1] not in {"GET", "HEAD", "OPTIONS"}}

    assert changing == {*POSTS, *((endpoint, "POST") for endpoint in MACHINES)}


@pytest.mark.parametrize("column", ["administrator", "stranger"])
def test_every_route_refuses_another_sites_request(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf, column: str
) -> None:
    """Signing in and out are among them."""
    asking = Asker(app, practice, book, column, browser_of)
    sent = [(route, asking.prepared(route)) for route in POSTS]
    browser = asking._browser
    foreign = {"Origin": "https://evil.example"}
    browser.environ_base["HTTP_ORIGIN"] = foreign["Origin"]
    before = every_row()

    answers = {route: send().status_code for route, send in sent}

    assert answers == dict.fromkeys(POSTS, 403)
    assert every_row() == before
    assert {("accounts.sign_in", "POST"), ("accounts.sign_out", "POST")} <= answers.keys()
    assert {endpoint for endpoint, _ in POSTS} > NOTHING_TO_CHANGE


def test_nobody_is_signed_in_or_out_by_another_site(browser_of: BrowserOf, now: Clock) -> None:
    """Signing somebody in as oneself is an attack, too: they would type into our account."""
    stranger, ada = browser_of(""), browser_of("ada@example.com")
    form = {"email": "unlu@example.com", "password": PASSWORD}

    without = stranger.post("/sign-in", data=form)
    across = stranger.post(
        "/sign-in",
        data=form | {"csrf_token": csrf_token(stranger, "/sign-in")},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    out = [ada.post("/sign-out"), ada.get("/sign-out")]

    assert (without.status_code, across.status_code) == (400, 403)
    assert [answer.status_code for answer in out] == [400, 405]
    assert stranger.get("/account").status_code == 302
    assert ada.get("/account").status_code == 200
