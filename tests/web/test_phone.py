"""The phone's page: a code is looked at freely and spent once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui.domain.event import DisplayMode
from sync_ui.models import AuditEntry, Code, Link, db
from sync_ui.services import codes, links
from tests.practice import Clock, Practice, csrf_token

SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def link(practice: Practice) -> Link:
    return links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)


@pytest.fixture
def code(practice: Practice, link: Link) -> str:
    text, _ = codes.make(practice.unlu, link.id)
    return text


@pytest.fixture
def phone(app: Flask) -> Callable[[], FlaskClient]:
    """`phone()`: one more phone."""

    def new() -> FlaskClient:
        browser = app.test_client()
        browser.environ_base["HTTP_USER_AGENT"] = SAFARI
        return browser

    return new


def press(browser: FlaskClient, code: str) -> TestResponse:
    return browser.post(f"/add/{code}", data={"csrf_token": csrf_token(browser, "/sign-in")})


def token_of(link: Link) -> str:
    address = links.address(link)
    assert address is not None
    return address.split("/")[4]


def spent() -> list[bool]:
    db.session.rollback()
    return [code.spent_at is not None for code in db.session.scalars(select(Code))]


Phone = Callable[[], FlaskClient]


@pytest.mark.bar("M3", "L14")
def test_looking_spends_nothing(phone: Phone, code: str, link: Link) -> None:
    secret = token_of(link)

    looks = [phone().get(f"/add/{code}") for _ in range(3)]
    heads = [phone().head(f"/add/{code}") for _ in range(2)]

    assert [answer.status_code for answer in [*looks, *heads]] == [200] * 5
    assert [secret in answer.text for answer in looks] == [False] * 3
    assert spent() == [False]


def test_a_press_spends_the_code_and_shows_the_link(phone: Phone, code: str, link: Link) -> None:
    secret, browser = token_of(link), phone()

    pressed = press(browser, code)

    assert (pressed.status_code, secret in pressed.text, spent()) == (200, True, [True])
    assert f"webcal://calendar.example.com/cal/{secret}/dr-unlu.ics" in pressed.text
    assert pressed.headers["Cache-Control"] == "no-store"
    assert pressed.headers["Referrer-Policy"] == "no-referrer"


def test_the_browser_that_pressed_may_come_back(phone: Phone, code: str, link: Link) -> None:
    secret, browser = token_of(link), phone()
    press(browser, code)

    again, pressed_again = browser.get(f"/add/{code}"), press(browser, code)

    assert (again.status_code, secret in again.text) == (200, True)
    assert (pressed_again.status_code, secret in pressed_again.text) == (200, True)


@pytest.mark.bar("M3")
def test_another_browser_comes_too_late(phone: Phone, code: str, link: Link) -> None:
    secret, other = token_of(link), phone()
    press(phone(), code)

    looked, pressed = other.get(f"/add/{code}"), press(other, code)

    assert [(a.status_code, secret in a.text) for a in (looked, pressed)] == [(410, False)] * 2
    assert "on another device or browser" in looked.text


def test_a_browser_that_spent_another_code_is_another_browser(
    phone: Phone, practice: Practice, code: str, link: Link
) -> None:
    second, _ = codes.make(practice.unlu, link.id)
    mine, other = phone(), phone()
    press(mine, code)
    press(other, second)

    assert press(other, code).status_code == 410


@pytest.mark.bar("M3")
def test_of_twenty_presses_at_once_one_wins(phone: Phone, code: str, link: Link) -> None:
    secret = token_of(link)
    phones = [phone() for _ in range(20)]
    tokens = [csrf_token(browser, "/sign-in") for browser in phones]

    def at_once(browser: FlaskClient, token: str) -> tuple[int, bool]:
        answer = browser.post(f"/add/{code}", data={"csrf_token": token})
        return answer.status_code, secret in answer.text

    with ThreadPoolExecutor(20) as pool:
        found = sorted(pool.map(at_once, phones, tokens))

    assert found == [(200, True)] + [(410, False)] * 19
    db.session.rollback()
    entries = select(AuditEntry.subject).where(AuditEntry.action == "code.spent")
    assert list(db.session.scalars(entries)) == [f"link:{link.id}"]


@pytest.mark.bar("M3")
@pytest.mark.parametrize("lifetime", [codes.QR_LIFETIME, codes.MAIL_LIFETIME])
def test_a_code_is_good_until_its_time_is_over(
    phone: Phone, practice: Practice, link: Link, now: Clock, lifetime: timedelta
) -> None:
    text, _ = codes.make(practice.unlu, link.id, lifetime)
    browser = phone()

    now.move(seconds=lifetime.total_seconds() - 1)
    in_time = browser.get(f"/add/{text}").status_code
    now.move(seconds=1)

    assert (in_time, browser.get(f"/add/{text}").status_code) == (200, 410)
    assert press(browser, text).status_code == 410
    assert spent() == [False]


@pytest.mark.bar("M3")
@pytest.mark.parametrize("ended", [links.disable, links.reset], ids=["disabled", "reset"])
def test_a_code_ends_with_the_link_it_was_made_for(
    phone: Phone,
    practice: Practice,
    code: str,
    link: Link,
    ended: Callable[..., Link],
) -> None:
    secret = token_of(link)
    ended(practice.unlu, link.id)
    db.session.rollback()

    pressed = press(phone(), code)

    assert (pressed.status_code, secret in pressed.text, spent()) == (410, False, [])


@pytest.mark.parametrize("text", ["2" * 26, "x", "x" * 5000, "%00", "*", "' OR 1=1 --"])
def test_an_unknown_code_hears_what_a_late_one_hears(
    phone: Phone, practice: Practice, code: str, now: Clock, text: str
) -> None:
    unknown = phone().get(f"/add/{text}")
    now.move(hours=1)
    late = phone().get(f"/add/{code}")

    sentence = "This code is no longer valid. Draw a new QR code or e-mail a new link."
    assert [(a.status_code, sentence in a.text) for a in (unknown, late)] == [(410, True)] * 2


def test_the_page_says_what_the_link_shows_before_and_after_the_press(
    phone: Phone, code: str, link: Link
) -> None:
    sentence = str(escape(links.disclosure(link)))
    assert sentence.startswith("Initials, times and location of Dr. Ünlü&#39;s appointments")
    browser = phone()

    assert sentence in browser.get(f"/add/{code}").text
    assert sentence in press(browser, code).text
