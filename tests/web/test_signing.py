"""Signing in, staying signed in, and being out."""

import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.models import Session, SignInFailure, db
from sync_ui.services import accounts
from tests.practice import PASSWORD, Clock, Practice, csrf_token
from tests.web.conftest import Browser

BrowserOf = Callable[[str], FlaskClient]

COOKIE = "__Host-session"
SAME_SENTENCE = "This e-mail address and password do not belong together. Try again."


def sign_in(
    browser: FlaskClient, email: str, password: str = PASSWORD, *, query: str = ""
) -> TestResponse:
    form = {"email": email, "password": password, "csrf_token": csrf_token(browser, "/sign-in")}
    return browser.post(f"/sign-in{query}", data=form)


def cookie_of(browser: FlaskClient) -> str:
    found = browser.get_cookie(COOKIE)
    assert found is not None
    return found.value


def status_with(app: Flask, cookie: str, page: str = "/calendar") -> int:
    """What someone else hears who has copied the cookie."""
    thief = app.test_client()
    thief.set_cookie(COOKIE, cookie)
    return thief.get(page).status_code


@pytest.mark.bar("A4")
@pytest.mark.usefixtures("practice")
def test_the_cookie_is_bound_to_this_host_and_to_https(app: Flask) -> None:
    browser = app.test_client()
    headers = sign_in(browser, "ada@example.com").headers.getlist("Set-Cookie")
    cookies = {
        name: {flag: value for flag, value in cookie.items() if value and flag != "expires"}
        for header in headers
        for name, cookie in SimpleCookie(header).items()
    }

    flags = {"path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
    assert cookies == {COOKIE: flags, "__Host-device": flags | {"max-age": "34560000"}}


@pytest.mark.usefixtures("now")
def test_without_https_the_cookie_says_nothing_of_it(data_dir: Path) -> None:
    app = create_app(Config(data_dir=data_dir, base_url="http://127.0.0.1:8000"))
    app.test_client_class = Browser
    answer = app.test_client().get("/setup")
    with app.app_context():
        db.engine.dispose()
    [header] = answer.headers.getlist("Set-Cookie")

    assert {n: v for n, v in SimpleCookie(header)["session"].items() if v} == {
        "path": "/",
        "httponly": True,
        "samesite": "Lax",
    }
    assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.bar("A4")
def test_a_sign_in_opens_a_new_session(app: Flask, practice: Practice) -> None:
    victim = app.test_client()
    planted = _planted(app)
    victim.set_cookie(COOKIE, planted)

    assert sign_in(victim, "ada@example.com").status_code == 302

    assert cookie_of(victim) != planted
    assert (victim.get("/people").status_code, status_with(app, planted, "/people")) == (200, 302)


def _planted(app: Flask) -> str:
    """A session that an attacker has begun and planted in the victim's browser."""
    attacker = app.test_client()
    attacker.get("/sign-in")
    return cookie_of(attacker)


def test_a_second_sign_in_does_not_bring_the_first_back(app: Flask, practice: Practice) -> None:
    browser = app.test_client()
    sign_in(browser, "unlu@example.com")
    first = cookie_of(browser)
    _post(browser, "/sign-out")
    sign_in(browser, "unlu@example.com")

    assert status_with(app, first) == 302
    assert status_with(app, cookie_of(browser)) == 200


def _post(browser: FlaskClient, path: str, **form: str) -> TestResponse:
    return browser.post(path, data=form | {"csrf_token": csrf_token(browser, "/account")})


def _signs_out(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    assert _post(browser, "/sign-out").status_code == 302


def _is_disabled(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    assert practice.unlu.user_id is not None
    accounts.disable_user(practice.ada, practice.unlu.user_id)


def _changes_the_password(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    new = "another quite long password"
    assert _post(browser, "/account", old=PASSWORD, new=new, again=new).status_code == 302


def _is_given_a_password(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    assert practice.unlu.user_id is not None
    accounts.set_password(practice.ada, practice.unlu.user_id, "another quite long password")


def _is_idle_for_15_minutes(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    now.move(minutes=15, seconds=1)


def _works_for_12_hours(browser: FlaskClient, practice: Practice, now: Clock) -> None:
    for _ in range(72):
        now.move(minutes=10)
        assert browser.get("/calendar").status_code == 200
    now.move(seconds=1)


@pytest.mark.bar("A2")
@pytest.mark.parametrize(
    "happens",
    [
        _signs_out,
        _is_disabled,
        _changes_the_password,
        _is_given_a_password,
        _is_idle_for_15_minutes,
        _works_for_12_hours,
    ],
    ids=lambda happens: happens.__name__.strip("_"),
)
def test_a_copied_cookie_is_dead_once_the_user(
    app: Flask,
    practice: Practice,
    browser_of: BrowserOf,
    now: Clock,
    happens: Callable[[FlaskClient, Practice, Clock], None],
) -> None:
    browser = browser_of("unlu@example.com")
    copied = cookie_of(browser)
    assert status_with(app, copied) == 200

    happens(browser, practice, now)

    assert status_with(app, copied) == 302


def test_whoever_changes_the_password_stays_signed_in_here(
    app: Flask, browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    here, elsewhere = browser_of("unlu@example.com"), browser_of("unlu@example.com")

    _changes_the_password(here, practice, now)

    assert (here.get("/calendar").status_code, elsewhere.get("/calendar").status_code) == (200, 302)


def test_a_session_that_is_used_stays_awake(browser_of: BrowserOf, now: Clock) -> None:
    browser = browser_of("unlu@example.com")
    statuses = []
    for _ in range(4):
        now.move(minutes=14)
        statuses.append(browser.get("/calendar").status_code)

    assert statuses == [200, 200, 200, 200]


@pytest.mark.bar("A3")
def test_a_page_that_refreshes_itself_keeps_no_session_awake(
    browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("unlu@example.com")
    statuses = []
    for _ in range(4):
        now.move(minutes=5)
        answer = browser.get("/calendar", headers={"X-Background": "true"})
        statuses.append(answer.status_code)

    assert statuses == [200, 200, 200, 302]


OWN_PATHS = {
    "/people": "/people",
    "/calendar?from=2026-11-24&clinician=1": "/calendar?from=2026-11-24&clinician=1",
    "/clients?q=a@b": "/clients?q=a@b",
    "/@evil.example": "/@evil.example",
}

ELSEWHERE = [
    "",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "evil.example",
    "@evil.example",
    "http:///evil.example",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\r\nLocation: https://evil.example",
    "/calendar\r\nSet-Cookie: a=b",
    "/\x00/evil.example",
    "https://calendar.example.com@evil.example",
    "https://calendar.example.com.evil.example",
    "/%0d%0a\nhttps://evil.example",
    "／／evil.example",
]


@pytest.mark.bar("A10")
@pytest.mark.parametrize(
    ("target", "leads_to"),
    [*OWN_PATHS.items(), *((target, "/") for target in ELSEWHERE)],
)
def test_signing_in_leads_to_a_page_of_ours_alone(
    browser_of: BrowserOf, target: str, leads_to: str
) -> None:
    answer = sign_in(browser_of(""), "ada@example.com", query=f"?{urlencode({'next': target})}")

    assert (answer.status_code, answer.headers["Location"]) == (302, leads_to)
    assert "a=b" not in str(answer.headers.getlist("Set-Cookie"))


def test_a_page_is_returned_to_after_signing_in(browser_of: BrowserOf) -> None:
    stranger = browser_of("")

    asked = stranger.get("/people?x=1").headers["Location"]
    answer = sign_in(stranger, "ada@example.com", query=asked.removeprefix("/sign-in"))

    assert (asked, answer.headers["Location"]) == (
        "/sign-in?next=/people?x%3D1",
        "/people?x=1",
    )


def test_a_part_of_a_page_whose_session_is_lost_sends_the_whole_page_to_sign_in(
    browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    browser = browser_of("unlu@example.com")
    part = f"/calendars/{practice.unlus_calendar}/sync/preview?mode=busy"
    headers = {"HX-Request": "true"}
    assert browser.get(part, headers=headers).status_code == 200

    now.move(minutes=16)
    answer = browser.get(part, headers=headers)

    assert (answer.status_code, answer.headers["HX-Redirect"], answer.data) == (
        401,
        "/sign-in",
        b"",
    )


@pytest.mark.bar("A6")
def test_who_cannot_sign_in_is_not_told_why(app: Flask, practice: Practice) -> None:
    assert practice.anna.user_id is not None
    accounts.disable_user(practice.ada, practice.anna.user_id)
    tried = [
        ("nobody@example.com", PASSWORD),
        ("unlu@example.com", "a wrong but long password"),
        ("anna@example.com", PASSWORD),
        ("anna@example.com", "a wrong but long password"),
        ("' OR 1=1 --@example.com", PASSWORD),
    ]

    answers = [sign_in(app.test_client(), email, password) for email, password in tried]

    assert [answer.status_code for answer in answers] == [422] * len(tried)
    pages = [
        answer.text.replace(escape(email), "EMAIL")
        for answer, (email, _) in zip(answers, tried, strict=True)
    ]
    assert all(page.count(SAME_SENTENCE) == 1 for page in pages)
    assert len({_without_tokens(page) for page in pages}) == 1


def _without_tokens(page: str) -> str:
    return re.sub(r'(?<="X-CSRFToken": ")[^"]+|(?<=name="csrf_token" value=")[^"]+', "", page)


@pytest.mark.bar("A6")
def test_who_fails_too_often_waits(app: Flask, practice: Practice, now: Clock) -> None:
    browser = app.test_client()
    wrong = [sign_in(browser, "unlu@example.com", "wrong" * 4).status_code for _ in range(6)]

    right = sign_in(browser, "unlu@example.com")
    another = sign_in(app.test_client(), "anna@example.com")
    now.move(minutes=15, seconds=1)

    assert wrong == [422] * 5 + [429]
    assert (right.status_code, another.status_code) == (429, 302)
    assert "Wait a few minutes" in right.text
    assert sign_in(browser, "unlu@example.com").status_code == 302


@pytest.mark.bar("A6")
def test_a_throttled_user_is_throttled_for_one_network_only(app: Flask, practice: Practice) -> None:
    for _ in range(6):
        sign_in(app.test_client(), "unlu@example.com", "wrong" * 4)
    elsewhere = app.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "203.0.113.7"

    assert sign_in(app.test_client(), "unlu@example.com").status_code == 429
    assert sign_in(elsewhere, "unlu@example.com").status_code == 302


@pytest.mark.bar("A6", "N1")
def test_a_visitor_cannot_choose_the_network_that_is_throttled(
    app: Flask, practice: Practice
) -> None:
    statuses = []
    for number in range(7):
        browser = app.test_client()
        browser.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        statuses.append(sign_in(browser, "unlu@example.com", "wrong" * 4).status_code)

    assert statuses == [422] * 5 + [429] * 2


@pytest.mark.bar("A1")
def test_a_password_of_a_megabyte_is_refused_as_any_other(app: Flask, practice: Practice) -> None:
    huge = sign_in(app.test_client(), "unlu@example.com", "x" * 1_000_000)

    assert (huge.status_code, SAME_SENTENCE in huge.text) == (422, True)


@pytest.mark.bar("I9", "N5")
def test_a_form_larger_than_any_file_is_refused_unread(app: Flask, practice: Practice) -> None:
    huge = sign_in(app.test_client(), "unlu@example.com", "x" * 6 * 1024 * 1024)

    assert huge.status_code == 413
    db.session.rollback()
    assert list(db.session.scalars(select(SignInFailure.count))) == []


@pytest.mark.bar("A3", "M5")
def test_signing_out_clears_what_the_browser_keeps(browser_of: BrowserOf) -> None:
    answer = _post(browser_of("unlu@example.com"), "/sign-out")

    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    db.session.rollback()
    assert list(db.session.scalars(select(Session))) == []


@pytest.mark.bar("A4")
def test_the_cookie_and_the_table_of_sessions_hold_no_secret_in_common(
    browser_of: BrowserOf,
) -> None:
    browser = browser_of("unlu@example.com")
    with browser.session_transaction() as kept:
        secret = kept["_user_id"]
    db.session.rollback()

    assert len(secret) == 26
    assert [session.digest == secret for session in db.session.scalars(select(Session))] == [False]


SECRET = "Jane Smith's secret"


def _raises() -> str:
    raise RuntimeError(SECRET)


def _bad_sql() -> str:
    db.session.execute(text("SELECT secret FROM no_table WHERE name = :name"), {"name": SECRET})
    return ""


@pytest.mark.bar("O5")
@pytest.mark.parametrize(
    ("view", "status"), [(_raises, 500), (_bad_sql, 503)], ids=["error", "database"]
)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "part"])
def test_an_error_shows_nothing_of_the_inside(
    app: Flask,
    practice: Practice,
    view: Callable[[], str],
    status: int,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app.add_url_rule("/fails", "pages.fails", view_func=view)
    browser = app.test_client()
    sign_in(browser, "ada@example.com")

    answer = browser.get("/fails", headers=headers)

    assert answer.status_code == status
    assert "Nothing was changed" in answer.text
    for inside in (SECRET, "RuntimeError", "Traceback", "SELECT", "no_table", "sync_ui", ".py"):
        assert inside not in answer.text
    assert SECRET not in caplog.text


@pytest.mark.bar("O5")
@pytest.mark.parametrize("path", ["/none", "/calendar/99999", "/people/users/99999", "/import/99"])
def test_what_is_not_there_is_said_in_one_sentence(browser_of: BrowserOf, path: str) -> None:
    answer = browser_of("ada@example.com").get(path)

    assert answer.status_code == 404
    assert answer.text.count("data-message") == 2  # the sentence, and the template for scripts
    assert "Werkzeug" not in answer.text
