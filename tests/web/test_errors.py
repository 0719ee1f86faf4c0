"""Every error looks alike, tells nothing of the inside, and has a number that the log knows."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from jinja2 import DictLoader
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from sync_ui import logs
from sync_ui.domain.event import DisplayMode
from sync_ui.models import db
from sync_ui.services import links
from sync_ui.web.bodies import MOST_FORMS, Bodies
from tests.practice import Practice, token_of

BrowserOf = Callable[[str], FlaskClient]

pytestmark = pytest.mark.bar("O5")

SECRET = "Xaverine Yolkowski"
STATUSES = (400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 414, 415, 422, 429, 431, 500, 503)

INSIDE = (
    *(SECRET, "Traceback", "RuntimeError", "OperationalError", "SELECT", "no_table", "sync_ui"),
    *(".py", "Werkzeug", "werkzeug", "Python", "Flask", "SQLAlchemy", "/tmp", "/home"),
)

HTMX = {"HX-Request": "true"}
JSON = {"Accept": "application/json"}


def is_silent(answer: TestResponse) -> bool:
    told = f"{answer.text}\n{answer.headers}"
    return not any(word in told for word in INSIDE)


def number_of(answer: TestResponse) -> str:
    number = answer.headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{8}", number)
    return str(number)


def fail(app: Flask, how: Callable[[], str], path: str = "/fails") -> None:
    app.add_url_rule(path, "pages.fails", view_func=how, methods=["GET", "POST"])


def _raises() -> str:
    raise RuntimeError(SECRET)


def _bad_sql() -> str:
    db.session.execute(text("SELECT secret FROM no_table WHERE name = :name"), {"name": SECRET})
    return ""


def _abort(status: int) -> str:
    abort(status)


@pytest.fixture
def aborting(app: Flask) -> Flask:
    app.add_url_rule("/fails/<int:status>", "pages.fails", view_func=_abort)
    return app


@pytest.mark.parametrize("status", [s for s in STATUSES if s != 405])
@pytest.mark.parametrize("email", ["", "ada@example.com"], ids=["stranger", "Ada"])
def test_the_page_of_every_status_says_its_number(
    aborting: Flask, browser_of: BrowserOf, email: str, status: int
) -> None:
    answer = browser_of(email).get(f"/fails/{status}")

    number = number_of(answer)
    assert answer.status_code == status
    assert f"name this number: <code>{number}</code>" in answer.text
    assert answer.text.count("<h1") == 1
    assert is_silent(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.get("Retry-After") == ("60" if status == 503 else None)


@pytest.mark.parametrize("how", [_raises, _bad_sql])
@pytest.mark.parametrize("headers", [{}, HTMX, JSON], ids=["page", "part", "JSON"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_goes_wrong_inside_stays_inside(
    app: Flask,
    browser_of: BrowserOf,
    how: Callable[[], str],
    headers: dict[str, str],
    method: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail(app, how)

    answer = browser_of("ada@example.com").open("/fails", method=method, headers=headers)

    assert answer.status_code == (500 if how is _raises else 503)
    assert is_silent(answer)
    assert (number_of(answer) in answer.text) == (method == "GET")
    assert len(caplog.messages) == 1
    assert SECRET not in caplog.text


def test_json_is_for_those_who_ask_for_it(app: Flask, browser_of: BrowserOf) -> None:
    browser = browser_of("ada@example.com")

    asked = browser.get("/none", headers=JSON)
    page = browser.get("/none", headers={"Accept": "*/*"})

    assert asked.json == {
        "error": "There is nothing at this address.",
        "request": number_of(asked),
    }
    assert (asked.status_code, page.status_code) == (404, 404)
    assert (asked.mimetype, page.mimetype) == ("application/json", "text/html")


def test_a_number_is_ours_and_new_each_time(app: Flask, browser_of: BrowserOf) -> None:
    browser = browser_of("ada@example.com")
    theirs = {"X-Request-ID": "0badcafe"}

    numbers = {number_of(browser.get(path, headers=theirs)) for path in ("/none", "/account")}
    numbers |= {number_of(app.test_client().get("/health", headers=theirs))}

    assert len(numbers) == 3
    assert "0badcafe" not in numbers


def test_the_log_knows_the_number(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(app, _raises)
    lines: list[str] = []
    monkeypatch.setattr(
        caplog.handler, "emit", lambda record: lines.append(logs.Line("web").format(record))
    )

    answer = app.test_client().get("/fails")

    assert [number_of(answer) in line for line in lines] == [True]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "POST"])
def test_another_method_is_refused_like_everything_else(browser_of: BrowserOf, method: str) -> None:
    answer = browser_of("ada@example.com").open("/health", method=method)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert number_of(answer) in answer.text


def test_too_much_is_refused_like_everything_else(browser_of: BrowserOf) -> None:
    answer = browser_of("ada@example.com").post("/sign-in", data={"email": "x" * (7 * 1024 * 1024)})

    assert answer.status_code == 413
    assert number_of(answer) in answer.text
    assert is_silent(answer)


def test_before_set_up_errors_are_the_same(app: Flask) -> None:
    fail(app, _raises)
    browser = app.test_client()

    answers = [browser.get(path) for path in ("/none", "/fails", "/people/users/1")]

    assert [each.status_code for each in answers] == [404, 500, 302]
    assert all(map(is_silent, answers))
    assert [number_of(each) in each.text for each in answers] == [True, True, False]


@pytest.fixture
def broken_database(app: Flask, practice: Practice) -> Iterator[Callable[[], None]]:
    """From the call on, every statement fails as if the file were gone."""

    def fails(*_: Any) -> None:
        raise OperationalError("SELECT secret", {"name": SECRET}, Exception(SECRET))

    def break_it() -> None:
        event.listen(db.engine, "before_cursor_execute", fails)

    yield break_it
    if event.contains(db.engine, "before_cursor_execute", fails):
        event.remove(db.engine, "before_cursor_execute", fails)


@pytest.mark.parametrize("headers", [{}, HTMX, JSON], ids=["page", "part", "JSON"])
@pytest.mark.parametrize("path", ["/account", "/none", "/calendar", "/sign-in"])
def test_with_the_database_away_everything_says_so(
    browser_of: BrowserOf,
    broken_database: Callable[[], None],
    path: str,
    headers: dict[str, str],
) -> None:
    browser = browser_of("ada@example.com")
    assert browser.get(path, headers=headers).status_code < 500

    broken_database()
    answer = browser.get(path, headers=headers)

    assert answer.status_code in ({503, 404} if path == "/none" else {503})
    assert is_silent(answer)
    assert number_of(answer) in answer.text or headers == HTMX


@pytest.mark.parametrize("headers", [{}, HTMX, JSON], ids=["page", "part", "JSON"])
@pytest.mark.parametrize(
    "templates",
    [{}, {"error.html": "{{ 1 / 0 }}", "_error.html": "{% broken"}],
    ids=["missing", "broken"],
)
def test_with_broken_templates_there_is_a_plain_page(
    app: Flask, browser_of: BrowserOf, templates: dict[str, str], headers: dict[str, str]
) -> None:
    fail(app, _raises)
    browser = browser_of("ada@example.com")
    assert "topbar" in browser.get("/none").text

    app.jinja_env.loader = DictLoader(templates)
    if app.jinja_env.cache is not None:
        app.jinja_env.cache.clear()
    answers = [browser.get(path, headers=headers) for path in ("/none", "/fails", "/account")]

    assert [each.status_code for each in answers] == [404, 500, 500]
    assert all(map(is_silent, answers))
    assert "There is nothing at this address." in answers[0].text
    assert all("Nothing was changed" in each.text for each in answers[1:])


def test_what_escapes_from_flask_is_answered_all_the_same(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.error_handler_spec.clear()
    fail(app, _raises)

    answer = app.test_client().get("/fails")

    assert answer.status_code == 500
    assert number_of(answer) in answer.text
    assert is_silent(answer)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert caplog.messages[-1].startswith("Nothing answered: RuntimeError at sync_ui/web/")


def test_the_feed_answers_a_fault_of_its_own(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(app.extensions["feeds"], "read", fails)

    answer = app.test_client().get("/cal/2222222222/dr.ics")

    assert answer.status_code == 500
    assert number_of(answer)
    assert is_silent(answer)
    assert SECRET not in caplog.text


def test_a_feeds_errors_have_numbers_and_its_answers_have_none(
    app: Flask, practice: Practice
) -> None:
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    feed_path = f"/cal/{token_of(link)}/dr.ics"
    browser = app.test_client()
    there = browser.get(feed_path)
    same = browser.get(feed_path, headers={"If-None-Match": there.headers["ETag"]})

    assert (there.status_code, same.status_code) == (200, 304)
    assert ["X-Request-ID" in each.headers for each in (there, same)] == [False, False]
    assert number_of(browser.get("/cal/2222")) != number_of(browser.put(feed_path))


def test_too_many_who_send_at_once_hear_it_on_a_page(app: Flask) -> None:
    bodies = app.wsgi_app._others._others  # type: ignore[attr-defined]
    assert isinstance(bodies, Bodies)
    for _ in range(MOST_FORMS):
        assert bodies._forms.acquire(blocking=False)

    answer = app.test_client().post("/sign-in", data={"email": SECRET})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert f"name this number: <code>{number_of(answer)}</code>" in answer.text
    assert is_silent(answer)
