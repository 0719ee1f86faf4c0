"""The pages of tickets, and browsers that are known."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sync_ui.config import Config
from sync_ui.domain.roles import Role
from sync_ui.models import db
from sync_ui.services import accounts, own_email, tickets
from sync_ui.services.access import COMMAND
from tests.practice import PASSWORD, Clock, Practice, csrf_token
from tests.web.test_access import every_row
from tests.web.test_signing import cookie_of, sign_in, status_with

BrowserOf = Callable[[str], FlaskClient]

NEW = "heron copper lattice"


def ticket_of(practice: Practice) -> str:
    text, _ = tickets.make(COMMAND, practice.unlu.user_id or 0)
    return text


@pytest.mark.bar("A8")
def test_a_scanners_look_spends_nothing_and_a_persons_press_does(
    app: Flask, practice: Practice, browser_of: BrowserOf
) -> None:
    signed_in = cookie_of(browser_of("unlu@example.com"))
    page = f"/enter/{ticket_of(practice)}"
    scanner, person = app.test_client(), app.test_client()
    before = every_row()
    looked = [scanner.get(page).status_code, scanner.head(page).status_code]
    looked.append(scanner.post(page).status_code)  # some send every form they find
    assert (looked, every_row() == before) == ([200, 200, 400], True)

    form = {"new": NEW, "again": NEW, "csrf_token": csrf_token(person, page)}
    pressed = person.post(page, data=form)

    assert (pressed.status_code, pressed.headers["Location"]) == (302, "/sign-in")
    assert person.get(page).status_code == 410
    assert status_with(app, signed_in) == 302
    assert sign_in(app.test_client(), "unlu@example.com", NEW).status_code == 302


@pytest.mark.bar("A8")
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"])
def test_no_header_says_where_a_ticket_leads(
    browser_of: BrowserOf, practice: Practice, header: str
) -> None:
    browser = browser_of("ada@example.com")
    form = {"csrf_token": csrf_token(browser, "/account")}
    address = f"/people/users/{practice.unlu.user_id}/code"

    answer = browser.post(address, data=form, headers={header: "evil.example"})

    assert "evil.example" not in answer.text
    assert ("https://calendar.example.com/enter" in answer.text) == (answer.status_code == 200)


@pytest.mark.bar("A8")
def test_a_code_on_paper_is_typed_as_it_stands_there(app: Flask, practice: Practice) -> None:
    code = ticket_of(practice)
    browser = app.test_client()

    def typed(text: str) -> tuple[int, str | None]:
        form = {"code": text, "csrf_token": csrf_token(browser, "/enter")}
        answer = browser.post("/enter", data=form)
        return answer.status_code, answer.headers.get("Location")

    as_printed = f" {code[:5].upper()} {code[5:10]}-{code[10:]}\n"
    assert typed(as_printed) == (302, f"/enter/{code}")
    assert [typed(text)[0] for text in ("", "nonsense", "//evil.example")] == [422] * 3


@pytest.mark.bar("A8")
def test_the_command_prints_an_address(command: Callable[..., str], practice: Practice) -> None:
    printed = command("user", "code", "unlu@example.com")

    assert printed.startswith("https://calendar.example.com/enter/")
    tickets.spend(printed.rpartition("/")[2], NEW)
    assert "no user" in command("user", "code", "nobody@example.com", fails=True)


@pytest.mark.bar("A6")
@pytest.mark.parametrize("email", ["unlu@example.com", "nobody@example.com"])
def test_without_a_mail_server_an_administrator_is_asked(
    app: Flask, practice: Practice, email: str
) -> None:
    browser = app.test_client()

    page = browser.post(
        "/forgotten", data={"email": email, "csrf_token": csrf_token(browser, "/sign-in")}
    ).text

    assert "Ask an administrator of your practice" in page
    assert email not in page


@pytest.mark.bar("A6")
def test_a_browser_that_was_signed_in_before_is_not_locked_out(
    app: Flask, practice: Practice, browser_of: BrowserOf
) -> None:
    owners = browser_of("unlu@example.com")
    owners.post("/sign-out", data={"csrf_token": csrf_token(owners, "/account")})
    for _ in range(6):
        sign_in(app.test_client(), "unlu@example.com", "wrong" * 4)
    assert sign_in(app.test_client(), "unlu@example.com").status_code == 429

    assert sign_in(owners, "unlu@example.com").status_code == 302


@pytest.mark.bar("A4", "A6")
@pytest.mark.parametrize("forged", ["", "nonsense", '{"3":"a"}', "eyIzIjoiYSJ9.c2lnbmVk"])
def test_the_word_for_a_browser_cannot_be_forged_and_opens_nothing(
    app: Flask, practice: Practice, browser_of: BrowserOf, forged: str
) -> None:
    known = browser_of("unlu@example.com").get_cookie("__Host-device")
    assert known is not None
    for _ in range(6):
        sign_in(app.test_client(), "unlu@example.com", "wrong" * 4)

    thief, forger = app.test_client(), app.test_client()
    thief.set_cookie("__Host-device", known.value)
    forger.set_cookie("__Host-device", forged)

    assert thief.get("/calendar").status_code == 302
    assert sign_in(forger, "unlu@example.com").status_code == 429
    thief.set_cookie("__Host-session", known.value)
    assert thief.get("/calendar").status_code == 302


@pytest.mark.bar("A3")
def test_asking_how_long_a_session_lives_keeps_it_no_longer(
    browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("unlu@example.com")
    statuses = []
    for _ in range(4):
        now.move(minutes=5)
        statuses.append(browser.get("/session").status_code)

    assert statuses == [200, 200, 200, 401]


@pytest.mark.bar("A9")
def test_an_e_mail_address_is_changed_with_the_password_alone(
    browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    browser = browser_of("unlu@example.com")
    now.move(minutes=6)
    form = {"email": "dr.unlu@example.com", "csrf_token": csrf_token(browser, "/account")}

    asked = browser.post("/account/email", data=form)
    assert (asked.status_code, accounts.user(practice.unlu.user_id or 0).email) == (
        403,
        "unlu@example.com",
    )
    done = browser.post("/account/email", data=form | {"confirm_password": PASSWORD})

    assert (done.status_code, browser.get("/account").status_code) == (302, 200)
    db.session.rollback()
    assert accounts.by_email("dr.unlu@example.com").id == practice.unlu.user_id


@pytest.fixture
def mailing(app: Flask) -> None:
    """There is a mail server, which nobody asks here."""
    found = app.extensions["installation"]
    config: Config = replace(
        found.config, smtp_url="smtp://127.0.0.1:1", mail_from="calendar@practice.example"
    )
    app.extensions["installation"] = replace(found, config=config)


@pytest.mark.bar("A8", "A9")
def test_a_new_address_is_asked_for_and_proved_on_pages(
    app: Flask, practice: Practice, browser_of: BrowserOf, mailing: None
) -> None:
    browser, stranger = browser_of("unlu@example.com"), app.test_client()
    form = {"email": "dr.unlu@example.com", "csrf_token": csrf_token(browser, "/account")}
    browser.post("/account/email", data=form)
    waiting = browser.get("/account").text
    assert "A letter is on its way to dr.unlu@example.com" in waiting
    db.session.rollback()
    code = tickets.make_proof(practice.unlu.user_id or 0, "dr.unlu@example.com")
    page, before = f"/enter/{code}", every_row()

    looked = stranger.get(page)
    refused = stranger.post(page, data={"csrf_token": csrf_token(stranger, "/sign-in")})
    also = browser_of("anna@example.com")
    refused_too = also.post(page, data={"csrf_token": csrf_token(also, "/account"), "new": NEW})

    assert (looked.status_code, refused.status_code, refused_too.status_code) == (200, 403, 403)
    assert f'href="/sign-in?next=/enter/{code}"' in looked.text
    assert [name for name in ("nlü", "unlu@example.com") if name in cut(looked.text)] == []
    changed = {table for table, rows in every_row().items() if rows != before[table]}
    assert changed <= {"session", "audit_entry"}  # Anna has signed in
    assert "Use this address" in browser.get(page).text
    pressed = browser.post(page, data={"csrf_token": csrf_token(browser, page)})
    assert (pressed.status_code, pressed.headers["Location"]) == (302, "/account")
    assert "<dd>dr.unlu@example.com</dd>" in browser.get("/account").text
    assert browser.get(page).status_code == 410


def cut(page: str) -> str:
    """Without the address that the letter went to."""
    return page.replace("dr.unlu@example.com", "")


def asked(practice: Practice, browser: FlaskClient) -> tuple[dict[str, str], str]:
    """For another address: what every form of Dr. Ünlü's carries, and what his letter opens."""
    token = {"csrf_token": csrf_token(browser, "/account")}
    browser.post("/account/email", data=token | {"email": "dr.unlu@example.com"})
    db.session.rollback()
    return token, tickets.make_proof(practice.unlu.user_id or 0, "dr.unlu@example.com")


@pytest.mark.bar("A9")
def test_a_new_address_is_taken_back(
    practice: Practice, browser_of: BrowserOf, mailing: None
) -> None:
    browser = browser_of("unlu@example.com")
    token, code = asked(practice, browser)
    assert browser.get(f"/enter/{code}").status_code == 200

    answer = browser.post("/account/email/keep", data=token, follow_redirects=True)

    assert "Your e-mail address stays as it is." in answer.text
    assert "A letter is on its way" not in answer.text
    assert browser.get(f"/enter/{code}").status_code == 410


def test_whoever_is_signed_in_as_somebody_else_is_led_out_first(
    practice: Practice, browser_of: BrowserOf, mailing: None
) -> None:
    """The page to sign in would only lead them back home."""
    own_email.change(practice.unlu, "dr.unlu@example.com")
    code = tickets.make_proof(practice.unlu.user_id or 0, "dr.unlu@example.com")
    anna = browser_of("anna@example.com")
    assert anna.get(f"/sign-in?next=/enter/{code}").headers["Location"] == "/"

    page = anna.get(f"/enter/{code}").text

    assert ("/sign-in?next=" in page, 'action="/sign-out"' in page) == (False, True)
    anna.post("/sign-out", data={"csrf_token": csrf_token(anna, f"/enter/{code}")})
    assert f'href="/sign-in?next=/enter/{code}"' in anna.get(f"/enter/{code}").text


def test_an_address_that_is_taken_meanwhile_is_said_to_be(
    practice: Practice, browser_of: BrowserOf, mailing: None
) -> None:
    browser = browser_of("unlu@example.com")
    token, code = asked(practice, browser)
    accounts.create_user(COMMAND, email="dr.unlu@example.com", name="Nora", role=Role.SCHEDULER)

    answer = browser.post(f"/enter/{code}", data=token)

    assert (answer.status_code, accounts.TAKEN in answer.text) == (409, True)
