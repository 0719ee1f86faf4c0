"""The page of a check; what a check finds is tested with the service, on real servers."""

from collections.abc import Callable

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.reach import Finding
from sync_ui.models import Link
from sync_ui.services import links
from tests.practice import Practice, csrf_token, token_of

BrowserOf = Callable[[str], FlaskClient]


@pytest.fixture
def link(practice: Practice) -> Link:
    return links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)


def ask(browser: FlaskClient, practice: Practice, link: Link, **headers: str) -> tuple[int, str]:
    form = {"csrf_token": csrf_token(browser, "/account")}
    path = f"/calendars/{practice.unlus_calendar}/links/{link.id}/check"
    answer = browser.post(path, data=form, headers=headers)
    return answer.status_code, answer.text


def test_a_check_is_a_page_or_a_part_of_one(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    browser = browser_of("unlu@example.com")
    status, page = ask(browser, practice, link)
    fragment_status, fragment = ask(browser, practice, link, **{"HX-Request": "true"})

    assert (status, fragment_status) == (200, 200)
    assert page.lstrip().startswith("<!doctype html>")
    assert fragment.lstrip().startswith('<section class="stack section-first" id="reach"')
    for text in (page, fragment):
        assert "calendar.example.com is a name out of an example: no app reaches it." in text
        assert token_of(link) not in text


def test_a_dead_link_is_not_checked_but_told_of(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    links.disable(practice.unlu, link.id)
    status, page = ask(browser_of("unlu@example.com"), practice, link)

    assert status == 409
    assert "This link was turned off already. Make a new one." in page


@pytest.mark.bar("Z1")
def test_a_link_is_checked_under_its_own_calendar_alone(
    practice: Practice, link: Link, browser_of: BrowserOf
) -> None:
    annas = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.BUSY)

    assert ask(browser_of("unlu@example.com"), practice, annas)[0] == 404


@pytest.mark.parametrize(
    ("wrong", "unsure", "words"),
    [
        (1, 0, "12 of 13 checks passed; 1 has to be mended."),
        (2, 0, "12 of 14 checks passed; 2 have to be mended."),
        (1, 2, "12 of 15 checks passed; 1 has to be mended, 2 to be looked at."),
    ],
)
def test_what_passed_is_said_with_what_has_to_be_mended(
    app: Flask, wrong: int, unsure: int, words: str
) -> None:
    with app.test_request_context():
        page = render_template(
            "reach/_findings.html",
            wrong=[Finding("Name", "Every app", False, "It leads nowhere.")] * wrong,
            unsure=[Finding("Clock", "Google Calendar", None, "It may be late.")] * unsure,
            well=[Finding("Reading", "Google Calendar", True, "It gets it.")] * 12,
            trouble=None,
            key="2",
            link_id=1,
        )

    assert f"Not every app can read this link. {words}" in page
    assert "For every app</span>" in page
