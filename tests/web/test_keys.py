"""The recovery sheet: for administrators alone, in the audit, enough to begin anew."""

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.models import AuditEntry, db, keys
from sync_ui.services import keys as service
from sync_ui.services.access import COMMAND
from tests.practice import Clock, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

BANNER = "Print your recovery sheet"


def show(browser: FlaskClient) -> str:
    token = csrf_token(browser, "/settings/recovery")
    answer = browser.post("/settings/recovery", data={"csrf_token": token})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.text


def lines_of(page: str) -> list[str]:
    """As somebody reads them off the paper."""
    found = re.findall(r"<li><code>(.*?)</code></li>", page)
    return [html.unescape(re.sub("<[^>]+>", "", line)) for line in found]


@pytest.mark.bar("B3")
def test_the_sheet_brings_the_keys_back(
    config: Config, practice: Practice, browser_of: BrowserOf
) -> None:
    page = show(browser_of("ada@example.com"))
    before = {name: keys.ring(config.data_dir, name) for name in keys.NAMES}
    for name in keys.NAMES:
        keys.path_of(config.data_dir, name).unlink()

    service.enter(config, lines_of(page))

    assert {name: keys.ring(config.data_dir, name) for name in keys.NAMES} == before
    assert page.count("<svg") >= 3
    for said in ("Riverside", "flask keys enter", "flask restore", config.base_url):
        assert said in page


@pytest.mark.bar("B3", "O1")
def test_the_banner_stays_until_the_sheet_was_shown_and_comes_back_with_new_keys(
    practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("ada@example.com")
    assert BANNER in browser.get("/settings").text
    assert BANNER in browser.get("/calendars").text

    show(browser)
    assert BANNER not in browser.get("/settings").text

    service.rotate_token(COMMAND)
    assert BANNER in browser.get("/settings").text
    show(browser)
    show(browser)
    assert BANNER not in browser.get("/settings").text
    db.session.rollback()
    shown = db.session.scalars(
        select(AuditEntry.actor).where(AuditEntry.action == "key.sheet_shown")
    ).all()
    assert list(shown) == [practice.ada.word] * 3


def test_only_administrators_are_asked_to_print_it(
    practice: Practice, browser_of: BrowserOf
) -> None:
    assert BANNER in browser_of("ada@example.com").get("/calendars").text


@pytest.mark.parametrize("email", ["sam@example.com", "unlu@example.com"])
def test_others_hear_nothing_of_it(practice: Practice, browser_of: BrowserOf, email: str) -> None:
    browser = browser_of(email)

    assert BANNER not in browser.get("/calendars").text
    assert browser.get("/settings/recovery").status_code == 403


@pytest.mark.bar("A9")
def test_the_password_is_asked_for_again(
    app: Flask, config: Config, practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    token = csrf_token(browser, "/settings/recovery")
    now.move(minutes=6)

    answer = browser.post("/settings/recovery", data={"csrf_token": token})

    assert answer.status_code == 403
    assert lines_of(answer.text) == []
    for name in keys.NAMES:
        [key] = keys.ring(config.data_dir, name)
        assert key.hex()[:4] + " " not in answer.text


def test_it_is_not_asked_for_where_nobody_is_signed_in(config: Config) -> None:
    assert BANNER not in create_app(config).test_client().get("/sign-in").text
