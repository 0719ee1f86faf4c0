"""To Google and back, and Google's calls: documented behaviour, not held against Google itself."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.gateways.google_sign_in import SignIn
from sync_ui.models import Connection, ConnectionState, Direction, db, transaction
from sync_ui.services import connections, providers, sync
from tests import google_account
from tests.emulator import PRODUCTS, Emulator
from tests.gateways.scripted_google import Calendar, ScriptedGoogle, refusal, signed_in
from tests.google_account import agree, way_out
from tests.practice import NOW, Book, Clock, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]
Headers = dict[str, str]

UNLU, ANNA = "unlu@example.com", "anna@example.com"


@pytest.fixture
def config(config: Config) -> Config:
    return google_account.with_client(config)


@pytest.fixture
def there(
    app: Flask, google_server: ScriptedGoogle, monkeypatch: pytest.MonkeyPatch
) -> ScriptedGoogle:
    google_account.use(app, google_server, monkeypatch)
    google_server.promises_until = NOW.replace(day=30)
    return google_server


def leave(browser: FlaskClient, **form: object) -> TestResponse:
    token = csrf_token(browser, "/account")
    return browser.post("/connections/google/start", data={**form, "csrf_token": token})


def two_way(practice: Practice) -> dict[str, object]:
    return {"calendar": practice.unlus_calendar, "direction": "two_way"}


def come_back(browser: FlaskClient, answer: dict[str, str]) -> TestResponse:
    return browser.get(f"/connections/google/callback?{urlencode(answer)}")


def the_connections() -> list[Connection]:
    db.session.rollback()
    return list(db.session.query(Connection).order_by(Connection.id))


def due() -> list[int]:
    db.session.rollback()
    return sync.due()


def test_dr_unlu_connects_google(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    """S2: the address to come back to is the one that is registered, to the letter."""
    browser = browser_of(UNLU)

    page = leave(browser, **two_way(practice))
    answer = come_back(browser, agree(way_out(page.text)))

    (made,) = the_connections()
    own = f"/calendars/{practice.unlus_calendar}/connections/{made.id}"
    assert (answer.status_code, answer.location) == (302, f"{own}/start")
    assert (made.state, made.direction) == (ConnectionState.NEW, Direction.TWO_WAY)
    assert [each.summary for each in there.calendars.values()] == ["Dr. Ünlü – Riverside"]
    assert browser.get(f"{own}/start").status_code == 200


def test_to_send_only_no_other_calendar_is_asked_for(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    """S1: the least permission that does."""
    browser = browser_of(UNLU)
    page = leave(browser, calendar=practice.unlus_calendar, direction="send_only")

    answer = agree(way_out(page.text))
    come_back(browser, answer)

    assert answer["scope"] == "https://www.googleapis.com/auth/calendar.app.created"
    assert [each.direction for each in the_connections()] == [Direction.SEND_ONLY]
    assert [asked.path for asked in there.asked if "calendarList" in asked.path] == []


def test_htmx_is_told_where_to_go(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    browser = browser_of(UNLU)
    form = {**two_way(practice), "csrf_token": csrf_token(browser, "/account")}

    answer = browser.post("/connections/google/start", data=form, headers={"HX-Request": "true"})

    assert answer.headers["HX-Redirect"].startswith(f"{there.app.at.authorize}?")


@pytest.mark.bar("S2")
def test_another_browser_brings_nothing_back(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    """S2: nobody's account ends up in the schedule of whoever opens a link with the answer."""
    attacker, victim = browser_of(ANNA), browser_of(UNLU)
    page = leave(attacker, calendar=practice.annas_calendar, direction="two_way")
    answer = agree(way_out(page.text))

    refused = come_back(victim, answer)
    assert "begun in another window" in victim.get(refused.location).text
    leave(victim, **two_way(practice))  # not even while a sign-in of their own is under way
    come_back(victim, answer)
    assert the_connections() == []

    come_back(attacker, answer)
    assert [str(each.calendar_id) for each in the_connections()] == [practice.annas_calendar]


@pytest.mark.bar("S2")
def test_a_ticket_of_another_session_is_worth_nothing(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    """S2: what a browser keeps meanwhile is bound to the session that began."""
    first, second = browser_of(UNLU), browser_of(UNLU)
    answer = agree(way_out(leave(first, **two_way(practice)).text))
    with first.session_transaction(base_url="https://localhost") as kept:
        ticket = kept["google"]
    with second.session_transaction(base_url="https://localhost") as kept:
        kept["google"] = ticket

    come_back(second, answer)

    assert the_connections() == []
    assert answer["state"].encode() not in b64encode(ticket.encode())


@pytest.mark.bar("S2")
def test_an_answer_is_good_once_and_for_ten_minutes(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle, now: Clock
) -> None:
    """S2: neither a code nor a ticket is used twice, or late."""
    browser = browser_of(UNLU)
    answer = agree(way_out(leave(browser, **two_way(practice)).text))
    now.move(minutes=10)
    come_back(browser, answer)
    assert the_connections() == []

    answer = agree(way_out(leave(browser, **two_way(practice)).text))
    now.move(minutes=9)
    come_back(browser, answer)
    again = come_back(browser, answer)
    assert len(the_connections()) == 1
    assert "begun in another window" in browser.get(again.location).text


@pytest.mark.bar("S2")
def test_a_code_of_another_sign_in_is_refused(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    """S2: a stolen code is worth nothing without the verifier that its sign-in keeps."""
    attacker, victim = browser_of(ANNA), browser_of(UNLU)
    stolen = agree(way_out(leave(victim, **two_way(practice)).text))
    page = leave(attacker, calendar=practice.annas_calendar, direction="two_way")
    own = agree(way_out(page.text))

    refused = come_back(attacker, own | {"code": stolen["code"]})

    assert the_connections() == []
    assert "did not accept" in attacker.get(refused.location).text


def test_whoever_says_no_is_told_on_the_page(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    browser = browser_of(UNLU)
    state = agree(way_out(leave(browser, **two_way(practice)).text))["state"]

    answer = come_back(browser, {"state": state, "error": "access_denied"})

    assert answer.location == f"/calendars/{practice.unlus_calendar}/sync"
    assert "Nothing was connected." in browser.get(answer.location).text


def test_a_practice_without_a_client_is_told(
    app: Flask, practice: Practice, browser_of: BrowserOf
) -> None:
    found = app.extensions["installation"]
    bare = replace(found.config, google_client_id=None, google_client_secret=None)
    app.extensions["installation"] = replace(found, config=bare)
    browser = browser_of(UNLU)

    answer = leave(browser, **two_way(practice))

    assert "has no client at Google yet" in browser.get(answer.location).text


@pytest.mark.bar("S2")
def test_whoever_was_signed_out_meanwhile_leaves_no_code_in_an_address(
    practice: Practice, browser_of: BrowserOf, there: ScriptedGoogle
) -> None:
    answer = agree(way_out(leave(browser_of(UNLU), **two_way(practice)).text))

    assert come_back(browser_of(""), answer).location == "/sign-in"


def test_on_an_emulator_that_others_wrote(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf, google_emulator: Emulator
) -> None:
    """As far as it goes: it makes no calendars, and takes no ids of ours."""
    app.extensions["google"] = google_emulator.app.at
    found = app.extensions["installation"]
    secret = google_emulator.app.client_secret
    known = replace(found.config, google_client_secret=secret)
    app.extensions["installation"] = replace(found, config=known)
    sign_in = SignIn(google_emulator.app, PRODUCTS, two_way=True)
    begun = sign_in.begin()
    tokens = sign_in.finish(google_emulator.consent(begun.url), begun.state, begun.verifier)
    account = providers.look_around(providers.google_login(tokens))
    key, initials = practice.unlus_calendar, DisplayMode.INITIALS
    made = connections.connect(
        practice.unlu, key, account, Direction.TWO_WAY, initials, outside_id="primary"
    )
    connections.start(practice.unlu, made.id)
    book(practice.jane)
    sync.run(made.id)
    with signed_in(google_emulator.app, tokens) as google:
        (there,) = google.changes("primary", None).entries
        google.remove("primary", there.id, None)
    assert there.told is not None
    assert (there.told.summary, there.told.when) == ("J.S.", "20261124T150000Z/20261124T155000Z")

    with transaction() as session:
        session.get_one(Connection, made.id).state = ConnectionState.SIGNED_OUT
    browser = browser_of(UNLU)
    page = leave(browser, connection=made.id)
    come_back(browser, google_emulator.consent(way_out(page.text)))

    assert [each.state for each in the_connections()] == [ConnectionState.WORKING]


# Google's calls


@pytest.fixture
def connection(practice: Practice, there: ScriptedGoogle) -> Connection:
    """Begun, read once, and not due before a while."""
    made = google_account.connect(practice.unlu, practice.unlus_calendar)
    connections.start(practice.unlu, made.id)
    sync.run_until_done(made.id)
    assert due() == []
    return made


@pytest.fixture
def headers(connection: Connection, there: ScriptedGoogle) -> Headers:
    """What Google sends."""
    ((channel, asked),) = there.channels.items()
    assert asked["address"] == "https://calendar.example.com/google/notify"
    return {
        "X-Goog-Channel-ID": channel,
        "X-Goog-Channel-Token": asked["token"],
        "X-Goog-Resource-ID": asked["resourceId"],
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "1",
    }


@pytest.mark.parametrize("state", ["sync", "exists", "not_exists", "nonsense"])
def test_a_call_makes_the_connection_due_within_moments(
    app: Flask, connection: Connection, headers: Headers, now: Clock, state: str
) -> None:
    """Whatever the state: the calendar is asked, the message is not believed."""
    called = app.test_client().post(
        "/google/notify", headers=headers | {"X-Goog-Resource-State": state}, data=b"a body"
    )

    assert (called.status_code, called.data) == (204, b"")
    assert "Set-Cookie" not in called.headers
    now.move(seconds=2)
    assert due() == [connection.id]


@pytest.mark.bar("S7")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Goog-Channel-Token", "wrong"),
        ("X-Goog-Channel-Token", ""),
        ("X-Goog-Channel-Token", "é"),
        ("X-Goog-Channel-ID", "0" * 32 + "-1"),
        ("X-Goog-Channel-ID", ""),
        ("X-Goog-Resource-ID", "of another"),
        ("X-Goog-Resource-ID", ""),
    ],
)
def test_a_forged_call_is_not_found(
    app: Flask, headers: Headers, now: Clock, name: str, value: str
) -> None:
    """S2: whoever does not know the channel's secret reaches nothing."""
    forged = app.test_client().post("/google/notify", headers=headers | {name: value})

    now.move(minutes=1)
    assert (forged.status_code, due()) == (404, [])


def test_calls_that_come_again_wake_the_worker_once(
    app: Flask, connection: Connection, headers: Headers, now: Clock
) -> None:
    huey = app.extensions["huey"]
    huey.flush()

    for _ in range(5):
        assert app.test_client().post("/google/notify", headers=headers).status_code == 204

    assert huey.pending_count() == 1
    now.move(seconds=2)
    sync.run_until_done(connection.id)
    assert due() == []


def test_a_call_during_a_pass_is_not_lost(
    app: Flask, connection: Connection, headers: Headers, there: ScriptedGoogle, now: Clock
) -> None:
    """What was changed after the pass had read it is read by the next one."""
    usual = there.answer

    def meanwhile(asked: object) -> object:
        there.answer = usual  # type: ignore[method-assign]
        answer = usual(asked)  # type: ignore[arg-type]
        app.test_client().post("/google/notify", headers=headers)
        return answer

    now.move(minutes=10)
    there.answer = meanwhile  # type: ignore[method-assign, assignment]
    sync.run(connection.id)

    assert there.answer == usual
    now.move(seconds=2)
    assert due() == [connection.id]


@pytest.mark.bar("S6")
def test_a_call_does_not_shorten_a_wait_that_google_asked_for(
    app: Flask, connection: Connection, headers: Headers, there: ScriptedGoogle, now: Clock
) -> None:
    """S6."""
    now.move(minutes=10)
    wait = refusal(429, "rateLimitExceeded", {"Retry-After": "600"})
    there.will_answer("GET", "/events", wait)
    sync.run(connection.id)

    assert app.test_client().post("/google/notify", headers=headers).status_code == 204

    now.move(seconds=599)
    assert due() == []
    now.move(seconds=1)
    assert due() == [connection.id]


def test_a_call_for_what_is_over_changes_nothing(
    app: Flask, practice: Practice, connection: Connection, headers: Headers
) -> None:
    with transaction() as session:
        session.get_one(Connection, connection.id).state = ConnectionState.STOPPED
    assert app.test_client().post("/google/notify", headers=headers).status_code == 204
    assert due() == []

    connections.disconnect(practice.unlu, connection.id, remove=False)
    assert app.test_client().post("/google/notify", headers=headers).status_code == 404


def test_the_calendar_that_somebody_removes_is_lost_at_the_next_call(
    app: Flask, connection: Connection, headers: Headers, there: ScriptedGoogle, now: Clock
) -> None:
    there.calendars.clear()
    app.test_client().post("/google/notify", headers=headers)
    now.move(seconds=2)

    for connection_id in due():
        sync.run(connection_id)

    assert [each.state for each in the_connections()] == [ConnectionState.LOST]


def test_after_another_sign_in_the_connection_goes_on(
    practice: Practice, browser_of: BrowserOf, connection: Connection, there: ScriptedGoogle
) -> None:
    browser = browser_of(UNLU)
    with transaction() as session:
        session.get_one(Connection, connection.id).state = ConnectionState.SIGNED_OUT

    page = leave(browser, connection=connection.id)
    answer = come_back(browser, agree(way_out(page.text)))

    assert answer.location == (f"/calendars/{practice.unlus_calendar}/connections/{connection.id}")
    assert [each.state for each in the_connections()] == [ConnectionState.WORKING]
    assert isinstance(next(iter(there.calendars.values())), Calendar)


@pytest.mark.bar("S2")
def test_nobody_signs_in_to_anothers_connection(
    browser_of: BrowserOf, connection: Connection
) -> None:
    assert leave(browser_of(ANNA), connection=connection.id).status_code == 404
