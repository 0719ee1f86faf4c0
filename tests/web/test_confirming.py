"""What is far-reaching asks for the password or a passkey again, once five minutes have passed."""

import inspect
import re
from collections.abc import Callable
from html import unescape
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from sync_ui.models import AuditEntry, Link, Session, SignInFailure, User, db
from sync_ui.services import accounts
from sync_ui.web import confirming
from tests.outside import keep_in_memory
from tests.practice import PASSWORD, Book, Clock, Practice, csrf_token
from tests.second_factors import latest_entry, with_passkey
from tests.security_key import SecurityKey
from tests.web.test_access import EXPECTED, Asker, Things, every_row
from tests.web.test_second_step import ask, by_passkey_alone

pytestmark = pytest.mark.bar("A9")

FREE_FAILURES = 5

BrowserOf = Callable[[str], FlaskClient]

ASKED = "Confirm that it is you"

# What of another person's link, and of people, needs it again.
FAR_REACHING = [
    (endpoint, "POST")
    for endpoint in (
        "connection.answer connection.change connection.choose_busy connection.disconnect "
        "connection.make_anew connection.sign_in connection.start connections.connect "
        "google.start exports.clients exports.schedule factor_rules.forget factor_rules.policy "
        "factors.begin_app factors.offer_passkey link.change link.disable link.renew link.reset "
        "leaks.stop links.allow links.change_mode links.create links.disable links.disallow "
        "links.draw links.reset links.reset_all links.send people.archive people.disable "
        "people.enable people.new people.password people.reset_known practice.policy "
        "practice.reset_links"
    ).split()
] + [("factors.app", "GET")]

OWN = {"connection", "connections", "google", "leaks", "link", "links"}

LINKS = [route for route in FAR_REACHING if route[0].split(".")[0] in OWN]


@pytest.fixture
def app(app: Flask) -> Flask:
    keep_in_memory(app)
    return app


@pytest.fixture
def asker(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf
) -> Callable[[str], Asker]:
    return lambda column: Asker(app, practice, book, column, browser_of)


def later(asking: Asker, now: Clock, route: tuple[str, str]) -> TestResponse:
    """The request by a browser that was signed in six minutes before."""
    send = asking.prepared(route)
    now.move(minutes=6)
    return send()


@pytest.mark.parametrize("route", FAR_REACHING, ids=lambda route: route[0])
def test_an_old_session_is_asked_for_the_password_and_changes_nothing(
    asker: Callable[[str], Asker], now: Clock, route: tuple[str, str]
) -> None:
    asking = asker("administrator")
    assert asking.ask(route).status_code == EXPECTED[route]["administrator"]

    send = asker("administrator").prepared(route)
    now.move(minutes=6)
    before = _without_sessions()
    answer = send()

    assert (answer.status_code, ASKED in answer.text) == (403, True)
    assert f"<p>You are about to {confirming.ABOUT[route[0]]}.</p>" in answer.text
    assert _without_sessions() == before


def test_every_call_that_asks_says_what_it_is_about_to_do(app: Flask) -> None:
    asking = {
        endpoint
        for endpoint, view in app.view_functions.items()
        if "confirming.require_fresh" in inspect.getsource(inspect.unwrap(view))
    }

    assert asking == set(confirming.ABOUT)


@pytest.mark.parametrize("endpoint", ["connection.sign_in", "connections.connect"])
def test_the_password_of_an_account_is_asked_for_again_and_never_sent_back(
    asker: Callable[[str], Asker], now: Clock, endpoint: str
) -> None:
    page = later(asker("administrator"), now, (endpoint, "POST")).text

    assert 'type="password" id="confirming-password" name="password"' in page
    assert "password" not in sent_again(page)


def test_a_code_that_is_missing_shows_no_secret_to_an_old_session(
    asker: Callable[[str], Asker], now: Clock
) -> None:
    asking = asker("administrator")
    send = asking.prepared(("factors.confirm_app", "POST"))
    now.move(minutes=6)

    answer = send()

    assert (answer.status_code, ASKED in answer.text) == (403, True)


def _without_sessions() -> dict[str, list[tuple[object, ...]]]:
    """What is stored, but for when a session was last seen."""
    return {name: rows for name, rows in every_row().items() if name != "session"}


@pytest.mark.parametrize("route", LINKS, ids=lambda route: route[0])
def test_ones_own_link_never_asks(
    asker: Callable[[str], Asker], now: Clock, route: tuple[str, str]
) -> None:
    answer = later(asker("own"), now, route)

    assert answer.status_code == EXPECTED[route]["own"]


@pytest.mark.parametrize("minutes", [0, 4, 5])
def test_whoever_has_just_signed_in_is_not_asked(
    browser_of: BrowserOf, now: Clock, minutes: int
) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=minutes)

    assert post(browser, "/export/clients").status_code == 200


def test_the_password_lets_it_through_and_counts_for_five_minutes(
    browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=6)

    answers = [
        post(browser, "/export/clients"),
        post(browser, "/export/clients", confirm_password=PASSWORD),
        post(browser, "/export/clients"),
    ]
    now.move(minutes=5, seconds=1)
    answers.append(post(browser, "/export/clients"))

    assert [answer.status_code for answer in answers] == [403, 200, 200, 403]
    db.session.rollback()
    confirmed = select(AuditEntry.actor).where(AuditEntry.action == "session.confirmed")
    assert list(db.session.scalars(confirmed)) == [practice.ada.word]


def test_a_clock_that_is_set_back_keeps_nothing_fresh_for_longer(
    browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=4)
    assert post(browser, "/export/clients").status_code == 200

    now.move(hours=-1)
    statuses = [post(browser, "/export/clients").status_code]
    now.move(minutes=2)
    statuses.append(post(browser, "/export/clients").status_code)

    assert statuses == [200, 403]


def post(browser: FlaskClient, path: str, **form: object) -> TestResponse:
    return browser.post(path, data=form | {"csrf_token": csrf_token(browser, "/account")})


FIELD = re.compile(r'<textarea name="([^"]+)" hidden>\n(.*?)</textarea>', re.DOTALL)


def sent_again(page: str) -> MultiDict[str, str]:
    """The fields as a browser would send them, the new token among them."""
    found = MultiDict([(unescape(name), unescape(value)) for name, value in FIELD.findall(page)])
    [token] = set(re.findall(r'<form.*?name="csrf_token" value="([^"]+)"', page, re.DOTALL)[-1:])
    found.add("csrf_token", token)
    return found


def test_what_was_typed_comes_back_as_it_was_but_for_passwords(
    app: Flask, practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=6)
    typed = MultiDict(
        [
            ("name", " </textarea><b>Nora & \"Co\" 'Ünlü'\r\nsecond line "),
            ("name", ""),
            ("tick", "1"),
            ("tick", "2"),
            ("email", "nora@example.com"),
            ("role", "scheduler"),
            ("password", "nobody may read this again"),
            ("confirm_password", "a wrong but long password"),
            ("csrf_token", csrf_token(browser, "/account")),
        ]
    )

    page = browser.post("/people/new", data=typed).text

    again = sent_again(page)
    del again["csrf_token"]
    for name in ("password", "confirm_password", "csrf_token"):
        del typed[name]
    assert list(again.items(multi=True)) == list(typed.items(multi=True))
    assert "nobody may read" not in page
    assert "a wrong but long" not in page
    assert 'type="password" id="confirming-password" name="password"' in page


def test_a_user_is_added_by_the_repeated_form(
    app: Flask, practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=6)
    typed = {"name": "Nora Quist", "email": "nora@example.com", "role": "scheduler"}
    password = "an unusual first password"
    asked = post(browser, "/people/new", **typed, password=password)
    assert _names(User.name).count("Nora Quist") == 0

    form = sent_again(asked.text)
    form.update({"password": password, "confirm_password": PASSWORD})
    answer = browser.post("/people/new", data=form)

    assert (asked.status_code, answer.status_code) == (403, 302)
    assert _names(User.name).count("Nora Quist") == 1


def _names(column: object) -> list[object]:
    db.session.rollback()
    return list(db.session.scalars(select(column)))  # type: ignore[call-overload]


def test_a_wrong_password_is_slowed_down_as_at_sign_in(browser_of: BrowserOf, now: Clock) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=6)
    wrong = [
        post(browser, "/export/clients", confirm_password="wrong" * 4)
        for _ in range(FREE_FAILURES + 1)
    ]

    right = post(browser, "/export/clients", confirm_password=PASSWORD)

    assert [answer.status_code for answer in wrong] == [422] * FREE_FAILURES + [429]
    assert "This is not your password." in wrong[0].text
    assert (right.status_code, "Wait a few minutes" in right.text) == (429, True)
    assert _names(SignInFailure.count) != []


@pytest.fixture
def key(practice: Practice) -> SecurityKey:
    return with_passkey(practice.ada)


@pytest.fixture
def by_key(app: Flask, key: SecurityKey, now: Clock) -> FlaskClient:
    """Ada's browser, signed in by her passkey alone six minutes ago."""
    browser = app.test_client()
    assert by_passkey_alone(browser, key).status_code == 302
    now.move(minutes=6)
    return browser


def asked_for_a_passkey(browser: FlaskClient) -> str:
    return ask(browser, "/confirm/passkey/options", "/account")


def test_a_user_is_added_by_whoever_shows_a_passkey_instead(
    by_key: FlaskClient, key: SecurityKey, now: Clock
) -> None:
    typed = {"name": "Nora Quist", "email": "nora@example.com", "role": "scheduler"}
    asked = post(by_key, "/people/new", **typed, password="an unusual first password")
    assert (asked.status_code, "Use a passkey" in asked.text) == (403, True)
    assert _names(User.name).count("Nora Quist") == 0

    form = sent_again(asked.text)
    shown = key.use(asked_for_a_passkey(by_key))
    form.update({"password": "an unusual first password", "confirm_passkey": shown})
    form["confirm_password"] = ""
    answer = by_key.post("/people/new", data=form)

    assert (answer.status_code, _names(User.name).count("Nora Quist")) == (302, 1)
    confirmed = select(AuditEntry.detail).where(AuditEntry.action == "session.confirmed")
    assert list(db.session.scalars(confirmed)) == [{"second_factor": "passkey"}]

    now.move(minutes=6)
    again = post(by_key, "/export/clients", confirm_passkey=shown)
    assert (again.status_code, "no longer open" in again.text) == (422, True)
    assert "clientDataJSON" not in again.text


def test_a_page_that_was_asked_for_is_returned_to_by_a_passkey(
    by_key: FlaskClient, key: SecurityKey
) -> None:
    form = sent_again(by_key.get("/account/factors/passkey").text)
    form["confirm_passkey"] = key.use(asked_for_a_passkey(by_key))

    answer = by_key.post("/confirm", data=form)

    assert answer.headers["Location"] == "/account/factors/passkey"
    assert by_key.get("/account/factors/passkey").status_code == 200


def _of_anna(app: Flask, practice: Practice, browser: FlaskClient, key: SecurityKey) -> str:
    return with_passkey(practice.anna).use(asked_for_a_passkey(browser))


def _of_nobody_in_front(
    app: Flask, practice: Practice, browser: FlaskClient, key: SecurityKey
) -> str:
    key.verifies = False
    return key.use(asked_for_a_passkey(browser))


def _to_the_question_at_signing_in(
    app: Flask, practice: Practice, browser: FlaskClient, key: SecurityKey
) -> str:
    """Whose challenge is put where that of this one would be."""
    stranger = app.test_client()
    options = ask(stranger, "/sign-in/passkey/options", "/sign-in")
    with stranger.session_transaction() as theirs:
        challenge = theirs["challenge"]
    with browser.session_transaction() as kept:
        kept["challenge"] = challenge
    return key.use(options)


def _to_an_earlier_question(
    app: Flask, practice: Practice, browser: FlaskClient, key: SecurityKey
) -> str:
    earlier = key.use(asked_for_a_passkey(browser))
    asked_for_a_passkey(browser)
    return earlier


def _nonsense(app: Flask, practice: Practice, browser: FlaskClient, key: SecurityKey) -> str:
    asked_for_a_passkey(browser)
    return "{}"


@pytest.mark.parametrize(
    "wrong",
    [
        _of_anna,
        _of_nobody_in_front,
        _to_the_question_at_signing_in,
        _to_an_earlier_question,
        _nonsense,
    ],
)
def test_another_answer_confirms_nothing_and_the_password_still_does(
    app: Flask,
    practice: Practice,
    by_key: FlaskClient,
    key: SecurityKey,
    wrong: Callable[[Flask, Practice, FlaskClient, SecurityKey], str],
) -> None:
    shown = wrong(app, practice, by_key, key)

    refused = post(by_key, "/export/clients", confirm_passkey=shown)

    assert (refused.status_code, ASKED in refused.text) == (422, True)
    assert 'class="notice notice-bad" role="alert">Th' in refused.text
    assert post(by_key, "/export/clients").status_code == 403
    assert post(by_key, "/export/clients", confirm_password=PASSWORD).status_code == 200


def test_wrong_passkeys_and_wrong_passwords_are_slowed_down_together(
    by_key: FlaskClient, key: SecurityKey, practice: Practice, now: Clock
) -> None:
    annas = with_passkey(practice.anna)
    for _ in range(FREE_FAILURES - 2):
        wrong = post(by_key, "/export/clients", confirm_password="wrong" * 4)
        assert wrong.status_code == 422
    for _ in range(2):
        shown = annas.use(asked_for_a_passkey(by_key))
        assert post(by_key, "/export/clients", confirm_passkey=shown).status_code == 422
    assert latest_entry().detail == {"kind": "passkey"}

    right = key.use(asked_for_a_passkey(by_key))
    waits = post(by_key, "/export/clients", confirm_passkey=right)

    assert (waits.status_code, "Wait a few minutes" in waits.text) == (429, True)
    now.move(minutes=15)
    post(by_key, "/account/notices")
    right = key.use(asked_for_a_passkey(by_key))
    assert post(by_key, "/export/clients", confirm_passkey=right).status_code == 200
    assert _names(SignInFailure.count) == [0]  # of the network, when she signed in


def test_whoever_confirms_all_day_by_passkey_never_waits(
    by_key: FlaskClient, key: SecurityKey, now: Clock
) -> None:
    statuses = set()
    for _ in range(12):
        shown = key.use(asked_for_a_passkey(by_key))
        statuses.add(post(by_key, "/export/clients", confirm_passkey=shown).status_code)
        now.move(minutes=6)

    assert statuses == {200}


def test_whoever_has_no_passkey_is_offered_none(browser_of: BrowserOf, now: Clock) -> None:
    browser = browser_of("ada@example.com")
    now.move(minutes=6)

    page = post(browser, "/export/clients").text

    assert (ASKED in page, "Use a passkey" in page, "data-passkey=" in page) == (True, False, False)


def test_htmx_gets_the_question_above_the_page(
    practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("sam@example.com")
    path = f"/calendars/{practice.annas_calendar}/sync"
    token = csrf_token(browser, "/account")
    now.move(minutes=6)

    answer = browser.post(
        path, data={"allowed": "y"}, headers={"HX-Request": "true", "X-CSRFToken": token}
    )

    assert answer.status_code == 403
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#flashes", "innerHTML")
    assert answer.headers["HX-Reselect"] == "#confirming"
    assert answer.text.lstrip().startswith('<form class="card form" id="confirming"')
    assert _names(Link.id) == []

    form = sent_again(answer.text)
    form["confirm_password"] = PASSWORD
    assert browser.post(path, data=form).headers["Location"] == path
    assert len(_names(Link.id)) == 1


def test_a_file_has_to_be_chosen_again(app: Flask, browser_of: BrowserOf, now: Clock) -> None:
    app.add_url_rule("/taken", "pages.taken", view_func=_takes_a_file, methods=["POST"])
    browser = browser_of("ada@example.com")
    now.move(minutes=6)

    page = post(browser, "/taken", file=(BytesIO(b"all of it"), "backup.bin"), note="kept").text

    assert 'enctype="multipart/form-data"' in page
    assert '<input class="input" type="file" id="confirming-file" name="file"' in page
    assert "backup.bin" not in page
    assert sent_again(page)["note"] == "kept"


def _takes_a_file() -> str:
    confirming.require_fresh()
    return "taken"


def test_a_page_that_was_asked_for_is_returned_to(
    practice: Practice, book: Book, browser_of: BrowserOf, now: Clock
) -> None:
    things = Things(practice, book, practice.anna, practice.sam)
    browser = browser_of("sam@example.com")
    address = f"/calendars/{things.key}/links/{things.link.id}?address="
    now.move(minutes=6)

    asked = browser.get(address)
    form = sent_again(asked.text)
    assert (asked.status_code, form["next"]) == (403, address)

    wrong = browser.post("/confirm", data=form | {"confirm_password": "wrong" * 4})
    form = sent_again(wrong.text)
    right = browser.post("/confirm", data=form | {"confirm_password": PASSWORD})

    about = "You are about to see the address of another person’s link."
    assert (about in asked.text, about in wrong.text) == (True, True)
    assert (wrong.status_code, right.status_code) == (422, 302)
    assert right.headers["Location"] == address
    assert things.token in browser.get(address).text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", ""]
)
def test_confirming_leads_to_a_page_of_ours_alone(browser_of: BrowserOf, target: str) -> None:
    answer = post(browser_of("ada@example.com"), "/confirm", next=target)

    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("page", ["/links/{link}", "/sync"])
def test_anothers_address_is_hidden_once_the_session_is_old(
    practice: Practice, book: Book, browser_of: BrowserOf, now: Clock, page: str
) -> None:
    things = Things(practice, book, practice.anna, practice.sam)
    address = f"/calendars/{things.key}{page.format(link=things.link.id)}"
    scheduler, anna = browser_of("sam@example.com"), browser_of("anna@example.com")
    assert things.token in scheduler.get(address).text

    now.move(minutes=6)
    hidden, own = scheduler.get(address), anna.get(address)

    assert (hidden.status_code, things.token in hidden.text) == (200, False)
    assert "Show the address" in hidden.text
    assert things.token in own.text


def test_a_name_can_be_mended_without_the_password_but_no_role(
    practice: Practice, browser_of: BrowserOf, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    path = f"/people/users/{practice.sam.user_id}"
    now.move(minutes=6)

    renamed = post(browser, path, name="Sam R. Rivera", role="scheduler")
    raised = post(browser, path, name="Sam Rivera", role="administrator")

    assert (renamed.status_code, raised.status_code) == (302, 403)
    found = accounts.user(practice.sam.user_id or 0)
    assert (found.name, found.role.value) == ("Sam R. Rivera", "scheduler")


def test_confirming_prolongs_no_session_beyond_its_end(
    browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    browser = browser_of("ada@example.com")
    began = _names(Session.created_at)
    now.move(minutes=6)
    assert post(browser, "/confirm", confirm_password=PASSWORD).status_code == 302

    assert _names(Session.created_at) == began
