"""Leak help on its page. SECURITY L12, O1."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.domain.event import DisplayMode
from sync_ui.models import AuditEntry, Link, Reason, Token, db
from sync_ui.services import feeds, leaks, links, visits
from tests.practice import Book, Clock, Practice, csrf_token, token_of

BrowserOf = Callable[[str], FlaskClient]


@pytest.fixture
def link(practice: Practice, book: Book) -> Link:
    book(practice.jane)
    return links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.FIRST_NAME)


def address(practice: Practice, link: Link) -> str:
    return f"/calendars/{practice.unlus_calendar}/links/{link.id}/leak"


def stop(browser: FlaskClient, practice: Practice, link: Link, how: str) -> TestResponse:
    form = {"csrf_token": csrf_token(browser, "/account"), "how": how}
    return browser.post(address(practice, link), data=form, follow_redirects=True)


def reasons(link: Link) -> list[str | None]:
    db.session.rollback()
    tokens = db.session.query(Token).where(Token.link_id == link.id).order_by(Token.id)
    return [token.reason for token in tokens]


def test_it_is_told_before_anything_is_stopped(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    page = browser_of("unlu@example.com").get(address(practice, link)).text

    assert "First names, times and location of Dr. Ünlü&#39;s appointments" in page
    assert "No reading of this address is on record." in page
    assert "INCIDENT NOTE" not in page
    assert links.state(link) == "live"


@pytest.mark.parametrize(
    ("how", "left", "state"),
    [("reset", ["leaked", None], "live"), ("disable", ["leaked"], "disabled")],
)
def test_one_press_stops_it_and_brings_the_note(
    practice: Practice,
    link: Link,
    browser_of: BrowserOf,
    how: str,
    left: list[str | None],
    state: str,
) -> None:
    old = token_of(link)
    assert b"Jane" in feeds.read(old).body

    answer = stop(browser_of("unlu@example.com"), practice, link, how)

    assert b"Jane" not in feeds.read(old).body
    assert (reasons(link), links.state(link)) == (left, state)
    assert "INCIDENT NOTE (draft)" in answer.text
    assert "At most 1 appointment of 1 client" in answer.text
    assert [word for word in ("Jane", "Smith", old) if word in answer.text] == []
    last = db.session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()
    assert last is not None
    assert (last.action.startswith("link."), last.detail["reason"]) == (True, "leaked")


def test_an_unknown_way_to_stop_changes_nothing(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    assert stop(browser_of("unlu@example.com"), practice, link, "").status_code == 404
    assert reasons(link) == [None]


def test_a_link_that_ended_already_is_still_told_of(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    links.disable(practice.unlu, link.id)
    browser = browser_of("unlu@example.com")

    assert "INCIDENT NOTE (draft)" in browser.get(address(practice, link)).text
    assert stop(browser, practice, link, "reset").status_code == 409


def test_the_address_that_leaked_is_told_of_and_any_other_can_be_chosen(
    practice: Practice, link: Link, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("unlu@example.com")
    google = {"User-Agent": "Google-Calendar-Importer"}
    assert browser.get(f"/cal/{token_of(link)}/calendar.ics", headers=google).status_code == 200
    visits.recorder().write()
    assert "Which address" not in browser.get(address(practice, link)).text
    now.move(minutes=5)
    links.reset_all(practice.unlu, practice.unlus_calendar, Reason.LEAKED)

    page = browser.get(address(practice, link)).text

    assert "Google Calendar" in page
    assert "INCIDENT NOTE (draft)" in page
    current, old = (each.id for each in leaks.addresses(link))
    assert f'<option value="{current}">The one in use</option>' in page
    words = "Until 12:05 PM today, given up because somebody else may have it"
    assert f'<option value="{old}" selected>{words}</option>' in page
    chosen = browser.get(f"{address(practice, link)}?address={current}").text
    assert "INCIDENT NOTE" not in chosen
    assert "No reading of this address is on record." in chosen
    assert browser.get(f"{address(practice, link)}?address={old + 1000}").status_code == 404
    now.move(days=2)
    later = browser_of("unlu@example.com").get(address(practice, link)).text
    assert "Until 12:05 PM on Nov 23, 2026, given up" in later
