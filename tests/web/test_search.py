"""The page and the dialog's results; what was searched for is in no log."""

import logging

import pytest
from flask import Flask

from sync_ui.domain.event import Kind
from sync_ui.web.search import PAGES
from tests.practice import Book, Practice, csrf_token
from tests.web.test_access import BrowserOf

DIALOG = {"HX-Request": "true", "HX-Target": "search-results"}


def test_the_dialog_gets_a_listbox_and_the_page_links(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    book(practice.jane)
    browser = browser_of("unlu@example.com")

    options = browser.get("/search?q=smith", headers=DIALOG).text
    page = browser.get("/search?q=smith").text

    assert options.count('role="option"') == 2
    assert "<html" not in options
    assert f'href="/clients/{practice.jane}"' in options
    assert f'href="/clients/{practice.jane}"' in page.partition('id="found"')[2]
    assert 'value="smith"' in page


def test_a_setting_is_found_by_whom_it_is_for(practice: Practice, browser_of: BrowserOf) -> None:
    asked = {
        "time zone": "/settings",
        "rooms": "/settings/places",
        "internal ids": "/settings/clients",
    }
    administrator, scheduler = browser_of("ada@example.com"), browser_of("sam@example.com")
    for text, address in asked.items():
        found = administrator.get(f"/search?q={text}", headers=DIALOG).text
        assert f'href="{address}"' in found

        assert "role=" not in scheduler.get(f"/search?q={text}", headers=DIALOG).text
    assert 'href="/import"' in scheduler.get("/search?q=csv", headers=DIALOG).text
    assert "/import" not in browser_of("unlu@example.com").get("/search?q=csv", headers=DIALOG).text


@pytest.mark.parametrize("email", ["ada@example.com", "sam@example.com", "unlu@example.com"])
def test_every_page_that_is_offered_may_be_opened(
    app: Flask, practice: Practice, browser_of: BrowserOf, email: str
) -> None:
    browser = browser_of(email)
    offered = set()
    for label, *_ in PAGES:
        text = browser.get("/search", query_string={"q": label}, headers=DIALOG).text
        offered |= {part.partition('"')[0] for part in text.split('href="')[1:]}

    assert "/calendar" in offered
    assert {address: browser.get(address).status_code for address in offered} == dict.fromkeys(
        offered, 200
    )


def test_internal_ids_show_only_where_the_practice_shows_them(
    practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("ada@example.com")
    assert "1042" not in browser.get("/search?q=jane", headers=DIALOG).text

    token = csrf_token(browser, "/settings/clients")
    browser.post("/settings/clients", data={"csrf_token": token, "shown": "y"})

    assert "1042" in browser.get("/search?q=jane", headers=DIALOG).text


@pytest.mark.bar("O3")
def test_what_was_searched_for_is_in_no_log(
    practice: Practice, browser_of: BrowserOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = browser_of("sam@example.com")
    logging.getLogger("sync_ui").info("A line that is kept")

    assert "Jane" in browser.get("/search?q=jane").text

    assert "A line that is kept" in caplog.text
    assert "jane" not in caplog.text.lower()


@pytest.mark.bar("I6")
def test_markup_in_a_name_stays_text(practice: Practice, book: Book, browser_of: BrowserOf) -> None:
    book(title="<b>Team</b> & co", kind=Kind.MEETING)
    text = browser_of("unlu@example.com").get("/search?q=team", headers=DIALOG).text

    assert "&lt;b&gt;Team&lt;/b&gt; &amp; co" in text
