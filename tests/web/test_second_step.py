"""The second step on the pages: what opens half signed in, and what does not."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui.domain.roles import Role
from sync_ui.gateways.memory import Memory
from sync_ui.models import AuditEntry, ProviderName, db
from sync_ui.services import accounts, enrolment, factors
from sync_ui.services.audit import Action
from sync_ui.web.factors import OPEN
from tests.practice import PASSWORD, Book, Clock, Practice, csrf_token
from tests.second_factors import number_of, with_app, with_passkey
from tests.security_key import SecurityKey, app_code
from tests.web.test_access import EXPECTED, Asker
from tests.web.test_signing import cookie_of, sign_in, status_with

BrowserOf = Callable[[str], FlaskClient]

SECOND = "/sign-in/second"


@pytest.fixture
def app(app: Flask) -> Flask:
    """Every account outside is one in memory."""
    app.extensions["providers"][ProviderName.CALDAV] = lambda login: Memory()
    return app


def half_signed_in(app: Flask, email: str = "unlu@example.com", query: str = "") -> FlaskClient:
    browser = app.test_client()
    answer = sign_in(browser, email, query=query)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, SECOND)
    return browser


def send_code(
    browser: FlaskClient, code: str, *, kind: str = "app", query: str = ""
) -> TestResponse:
    form = {f"{kind}-code": code, "csrf_token": csrf_token(browser, SECOND)}
    return browser.post(f"{SECOND}{query}", data=form)


def ask(browser: FlaskClient, path: str, page: str) -> str:
    """What a script asks for the browser's passkeys."""
    answer = browser.post(path, headers={"X-CSRFToken": csrf_token(browser, page)})
    assert answer.status_code == HTTPStatus.OK, answer.text
    return answer.text


def send_passkey(browser: FlaskClient, path: str, page: str, answer: str) -> TestResponse:
    return browser.post(path, data={"answer": answer, "csrf_token": csrf_token(browser, page)})


def by_passkey_alone(browser: FlaskClient, key: SecurityKey) -> TestResponse:
    options = ask(browser, "/sign-in/passkey/options", "/sign-in")
    return send_passkey(browser, "/sign-in/passkey", "/sign-in", key.use(options))


@pytest.mark.bar("A7")
def test_the_password_leads_to_the_second_step_and_that_to_the_page_asked_for(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app, query="?next=/clients?q%3Da")
    assert browser.get("/clients").headers["Location"] == f"{SECOND}?next=/clients"

    answer = send_code(browser, app_code(secret, now()), query="?next=/clients?q%3Da")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/clients?q=a")
    assert browser.get("/clients").status_code == 200


@pytest.mark.bar("A7", "A10")
def test_the_second_step_leads_to_a_page_of_ours_alone(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app, query="?next=//evil.example")

    answer = send_code(browser, app_code(secret, now()), query="?next=//evil.example")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


@pytest.mark.bar("A4", "A7")
def test_a_cookie_planted_or_copied_at_the_second_step_opens_nothing_afterwards(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app)
    copied = cookie_of(browser)

    send_code(browser, app_code(secret, now()))

    assert status_with(app, cookie_of(browser)) == 200
    assert status_with(app, copied) == 302
    thief = app.test_client()
    thief.set_cookie("__Host-session", copied)
    assert thief.get(SECOND).headers["Location"] == "/"


# What somebody who is half signed in is there for.
THE_STEP = {route for route in EXPECTED if route[0].startswith("second_step.")}


def _as_left(app: Flask) -> FlaskClient:
    return half_signed_in(app, "anna@example.com")


def _as_if_whole(app: Flask) -> FlaskClient:
    """With the half session's secret where that of a whole one is kept."""
    browser = half_signed_in(app, "anna@example.com")
    with browser.session_transaction() as kept:
        kept["_user_id"] = kept["half"]
        kept["_fresh"] = True
    return browser


@pytest.mark.bar("A7")
@pytest.mark.parametrize("browser", [_as_left, _as_if_whole])
def test_half_signed_in_is_a_stranger_on_every_route(
    app: Flask,
    practice: Practice,
    book: Book,
    now: Clock,
    browser: Callable[[Flask], FlaskClient],
) -> None:
    with_app(practice.anna, now)
    asking = Asker(app, practice, book, "stranger", lambda _: browser(app))
    asked = [route for route in EXPECTED if route not in THE_STEP]

    answers = {route: asking.ask(route) for route in asked}

    assert {route: answer.status_code for route, answer in answers.items()} == {
        route: EXPECTED[route]["stranger"] for route in asked
    }
    assert len(asked) > 100


@pytest.mark.bar("A7")
def test_a_part_of_a_page_leads_the_whole_page_to_the_second_step(
    app: Flask, practice: Practice, now: Clock
) -> None:
    with_app(practice.unlu, now)

    answer = half_signed_in(app).get("/clients", headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, SECOND)


@pytest.mark.bar("A7")
def test_wrong_codes_say_what_to_do(app: Flask, practice: Practice, now: Clock) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app)
    code = app_code(secret, now())
    assert send_code(browser, code).status_code == 302
    browser = half_signed_in(app)

    replayed, unknown = send_code(browser, code), send_code(browser, "nonsense", kind="recovery")
    empty = send_code(browser, "")

    assert [each.status_code for each in (replayed, unknown, empty)] == [422] * 3
    assert "Wait for the app’s next one" in replayed.text
    assert "no recovery code of yours" in unknown.text
    assert "Enter the code." in empty.text
    for _ in range(5):
        throttled = send_code(browser, "000000")
    assert (throttled.status_code, "Too many failed tries" in throttled.text) == (429, True)


@pytest.mark.bar("A7")
def test_a_recovery_code_signs_in_once(app: Flask, practice: Practice, now: Clock) -> None:
    _, codes = with_app(practice.unlu, now)

    first = send_code(half_signed_in(app), codes[0], kind="recovery")
    again = send_code(half_signed_in(app), codes[0], kind="recovery")

    assert (first.status_code, again.status_code) == (302, 422)


@pytest.mark.bar("A7")
def test_signing_out_half_way_ends_the_half_session(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app)
    copied = cookie_of(browser)

    browser.post("/sign-out", data={"csrf_token": csrf_token(browser, SECOND)})

    thief = app.test_client()
    thief.set_cookie("__Host-session", copied)
    assert thief.get(SECOND).status_code == 302
    token = csrf_token(thief, "/sign-in")
    code = app_code(secret, now())
    thief.post(SECOND, data={"app-code": code, "csrf_token": token})
    assert thief.get("/calendar").status_code == 302


@pytest.mark.bar("A7")
def test_a_passkey_signs_in_without_a_password(app: Flask, practice: Practice) -> None:
    key = with_passkey(practice.unlu)
    browser = app.test_client()
    planted = _cookie_before(browser)

    answer = by_passkey_alone(browser, key)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert browser.get("/calendar").status_code == 200
    assert status_with(app, planted) == 302


@pytest.mark.bar("A6")
def test_passkeys_of_a_network_that_asks_too_often_wait(app: Flask, practice: Practice) -> None:
    browser = app.test_client()
    headers = {"X-CSRFToken": csrf_token(browser, "/sign-in")}
    asked = [
        browser.post("/sign-in/passkey/options", headers=headers).status_code for _ in range(31)
    ]

    answered = send_passkey(browser, "/sign-in/passkey", "/sign-in", "{}")

    assert asked == [200] * 30 + [429]
    assert answered.status_code == 429
    assert "Wait a few minutes and try again." in answered.text


def _cookie_before(browser: FlaskClient) -> str:
    browser.get("/sign-in")
    return cookie_of(browser)


@pytest.mark.bar("A7")
def test_a_passkey_completes_the_second_step(app: Flask, practice: Practice) -> None:
    key = with_passkey(practice.unlu)
    browser = half_signed_in(app)

    options = ask(browser, f"{SECOND}/passkey/options", SECOND)
    answer = send_passkey(browser, f"{SECOND}/passkey", SECOND, key.use(options))

    assert (answer.status_code, browser.get("/calendar").status_code) == (302, 200)


@pytest.mark.bar("A7")
def test_a_question_put_to_one_browser_is_not_answered_by_another(
    app: Flask, practice: Practice
) -> None:
    key = with_passkey(practice.unlu)
    asked, thief = app.test_client(), app.test_client()
    options = ask(asked, "/sign-in/passkey/options", "/sign-in")
    answer = key.use(options)

    stolen = send_passkey(thief, "/sign-in/passkey", "/sign-in", answer)
    own = send_passkey(asked, "/sign-in/passkey", "/sign-in", answer)

    assert (stolen.status_code, thief.get("/calendar").status_code) == (422, 302)
    assert "Try again" in stolen.text
    assert (own.status_code, asked.get("/calendar").status_code) == (302, 200)


def test_the_page_names_the_practice_after_a_passkey_that_failed_too(
    app: Flask, practice: Practice
) -> None:
    browser = app.test_client()
    named = '<p class="lead">Riverside</p>'
    assert named in browser.get("/sign-in").text

    failed = send_passkey(browser, "/sign-in/passkey", "/sign-in", "{}")

    assert (failed.status_code, named in failed.text) == (422, True)


def test_an_app_on_the_same_phone_is_opened_by_a_link(
    practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("unlu@example.com")
    token = {"csrf_token": csrf_token(browser, "/account/factors")}
    browser.post("/account/factors/app", data=token)

    page = browser.get("/account/factors/app").text

    secret = enrolment.waiting_app(practice.unlu) or ""
    address = factors.address(secret, "unlu@example.com", "Riverside")
    assert address.startswith("otpauth://totp/")
    assert f'href="{escape(address)}">' in page


@pytest.mark.bar("A4")
def test_ones_sessions_are_told_apart_by_their_beginning_and_their_second_factor(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    half_signed_in(app)
    now.move(minutes=2)
    browser = half_signed_in(app)
    send_code(browser, app_code(secret, now()))

    page = " ".join(browser.get("/account").text.split())

    rows = re.findall(r"since ([^<]*), last used", page)
    assert rows == [
        "Nov 23, 2026, 12:03 PM, with a second factor",
        "Nov 23, 2026, 12:01 PM, second factor not shown yet",
    ]


@pytest.mark.bar("A7", "A8")
def test_the_host_that_is_asked_for_does_not_matter_to_passkeys(
    app: Flask, practice: Practice
) -> None:
    with_passkey(practice.unlu)
    browser = app.test_client()
    headers = {
        "X-CSRFToken": csrf_token(browser, "/sign-in"),
        "X-Forwarded-Host": "evil.example",
    }

    answer = browser.post("/sign-in/passkey/options", headers=headers)

    assert json.loads(answer.text)["rpId"] == "calendar.example.com"


@pytest.mark.bar("A7")
def test_whoever_changes_the_password_stays_in_here_and_shows_the_second_factor_elsewhere(
    app: Flask, practice: Practice, now: Clock
) -> None:
    secret, _ = with_app(practice.unlu, now)
    browser = half_signed_in(app)
    send_code(browser, app_code(secret, now()))
    new = "another quite long password"
    form = {"old": PASSWORD, "new": new, "again": new}

    former = cookie_of(browser)

    browser.post("/account", data=form | {"csrf_token": csrf_token(browser, "/account")})

    assert (browser.get("/calendar").status_code, status_with(app, former)) == (200, 302)
    assert factors.has_any(number_of(practice.unlu))
    answer = sign_in(app.test_client(), "unlu@example.com", new)
    assert answer.headers["Location"] == SECOND


def must_have_one(practice: Practice, *roles: Role) -> None:
    factors.change_policy(practice.ada, roles=frozenset(roles), idle_minutes=15)


@pytest.mark.bar("A7")
def test_who_must_have_a_factor_and_has_none_is_led_to_set_one_up_and_to_nothing_else(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    must_have_one(practice, Role.ADMINISTRATOR)
    asking = Asker(app, practice, book, "administrator", _led(app))
    asked = [
        route for route in EXPECTED if route[0] not in OPEN and not route[0].startswith("factors.")
    ]
    assert ("schedule.show", "GET") in asked

    found = {route: _where(asking.ask(route)) for route in asked}

    assert found == dict.fromkeys(asked, (302, "/account/factors"))
    assert browser_of("unlu@example.com").get("/calendar").status_code == 200


def _led(app: Flask) -> BrowserOf:
    def browser_of(email: str) -> FlaskClient:
        browser = app.test_client()
        assert sign_in(browser, email).status_code == 302
        # The page that most forms take their token from is closed, too.
        token = csrf_token(browser, "/account/factors")
        take = browser.get
        browser.get = (  # type: ignore[method-assign]
            lambda path, **more: take("/account/factors" if path == "/account" else path, **more)
        )
        assert token
        return browser

    return browser_of


def _where(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("Location", "")


@pytest.mark.bar("A7")
def test_who_has_set_one_up_goes_on(app: Flask, practice: Practice, now: Clock) -> None:
    must_have_one(practice, Role.CLINICIAN)
    browser = app.test_client()
    sign_in(browser, "unlu@example.com")
    assert browser.get("/calendar").headers["Location"] == "/account/factors"
    part = browser.get("/calendar", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (403, "/account/factors")

    token = {"csrf_token": csrf_token(browser, "/account/factors")}
    assert browser.post("/account/factors/app", data=token).status_code == 302
    shown = browser.get("/account/factors/app")
    secret = enrolment.waiting_app(practice.unlu) or ""
    form = token | {"code": app_code(secret, now())}
    codes = browser.post("/account/factors/app/confirm", data=form)

    assert " ".join(secret[i : i + 4] for i in range(0, 32, 4)) in shown.text
    assert "<svg" in shown.text
    assert (codes.status_code, codes.text.count("<code>")) == (200, 10)
    assert browser.get("/calendar").status_code == 200


@pytest.mark.bar("A7")
def test_an_administrator_who_has_none_is_told_before_asking_administrators_for_one(
    practice: Practice, browser_of: BrowserOf
) -> None:
    ada = browser_of("ada@example.com")
    page = "/settings/sign-in"
    form = {
        "roles": ["administrator", "clinician"],
        "idle_minutes": "20",
        "csrf_token": csrf_token(ada, page),
    }

    asked = ada.post(page, data=form)
    assert (asked.status_code, "This holds for you, too" in asked.text) == (409, True)
    assert factors.roles_that_must() == frozenset()
    saved = ada.post(page, data=form | {"confirmed": "y"})

    assert saved.status_code == 302
    db.session.rollback()
    assert factors.roles_that_must() == {Role.ADMINISTRATOR, Role.CLINICIAN}
    assert ada.get(page).headers["Location"] == "/account/factors"


def test_nobody_must_have_one_at_first_and_administrators_are_told_that_it_is_better(
    browser_of: BrowserOf, practice: Practice
) -> None:
    page = browser_of("ada@example.com").get("/settings/sign-in").text

    assert "With a second factor, a stolen password opens nothing" in page
    assert "checked" not in page


@pytest.mark.bar("A7")
def test_an_administrator_helps_who_has_lost_the_phone(
    app: Flask, practice: Practice, now: Clock, browser_of: BrowserOf
) -> None:
    with_app(practice.unlu, now)
    ada = browser_of("ada@example.com")
    page = f"/people/users/{practice.unlu.user_id}"
    assert "Take away second factors" in ada.get(page).text

    ada.post(f"{page}/forget-factors", data={"csrf_token": csrf_token(ada, page)})

    assert "Take away second factors" not in ada.get(page).text
    assert browser_of("unlu@example.com").get("/calendar").status_code == 200
    db.session.rollback()
    actions = db.session.scalars(select(AuditEntry.action)).all()
    assert Action.FACTORS_FORGOTTEN in actions


@pytest.mark.bar("A7")
def test_anothers_passkey_cannot_be_removed(practice: Practice, browser_of: BrowserOf) -> None:
    with_passkey(practice.anna)
    (passkey,) = factors.held(number_of(practice.anna)).passkeys
    unlu = browser_of("unlu@example.com")
    token = {"csrf_token": csrf_token(unlu, "/account")}

    answer = unlu.post(f"/account/factors/passkey/{passkey.id}/remove", data=token)

    assert answer.status_code == 404
    assert factors.has_any(number_of(practice.anna))


@pytest.mark.bar("A6", "A7")
def test_a_wrong_password_tells_nothing_of_second_factors(
    app: Flask, practice: Practice, now: Clock
) -> None:
    with_app(practice.unlu, now)
    wrong = "a wrong but long password"

    with_one = sign_in(app.test_client(), "unlu@example.com", wrong)
    without = sign_in(app.test_client(), "anna@example.com", wrong)

    assert with_one.status_code == without.status_code == 422
    assert accounts.users()
