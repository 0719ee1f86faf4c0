"""Who may come in: the networks of the practice, and the names that the server answers to."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui.models import AuditEntry, db
from sync_ui.models import Practice as PracticeRow
from sync_ui.models.installation import Installation
from sync_ui.services import codes, doors, links
from tests.practice import PASSWORD, Clock, Practice, csrf_token, token_of

BrowserOf = Callable[[str], FlaskClient]

OFFICE = "203.0.113.7"
HOME = "198.51.100.20"

PAGE = "/settings/network"
REFUSED = "Sync Calendar can be used only from the networks"


def restrict(practice: Practice, text: str = OFFICE) -> None:
    doors.save(practice.ada, text, ip_address(OFFICE))


def behind(app: Flask, *proxies: str) -> None:
    installed: Installation = app.extensions["installation"]
    trusted = tuple(ip_network(proxy) for proxy in proxies)
    config = replace(installed.config, trusted_proxies=trusted)
    app.extensions["installation"] = replace(installed, config=config)


def get(app: Flask, path: str, peer: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(path, environ_base={"REMOTE_ADDR": peer}, headers=named)


def stored(practice: Practice) -> str:
    db.session.rollback()
    return db.session.get_one(PracticeRow, 1).allowed_networks


def audited() -> list[tuple[str, str, dict[str, object]]]:
    db.session.rollback()
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [(e.actor, e.action, e.detail) for e in entries if e.action.startswith("network.")]


@pytest.mark.bar("N1")
def test_without_a_list_everybody_comes_in(app: Flask, practice: Practice) -> None:
    assert get(app, "/sign-in", HOME).status_code == 200


@pytest.mark.bar("N1")
@pytest.mark.parametrize("path", ["/", "/sign-in", "/setup", "/calendar", "/settings", "/nothing"])
def test_with_a_list_only_who_is_in_it(app: Flask, practice: Practice, path: str) -> None:
    inside = get(app, path, OFFICE).status_code
    restrict(practice, f"{OFFICE} # the office\n192.0.2.0/24")

    assert get(app, path, OFFICE).status_code == inside != 403
    refused = get(app, path, HOME)
    assert (refused.status_code, REFUSED in refused.text) == (403, True)
    told = [word for word in (OFFICE, "192.0.2", "Riverside", HOME) if word in refused.text]
    assert told == []
    assert refused.headers["Cache-Control"] == "no-store"


@pytest.mark.bar("N1", "O5")
def test_a_program_that_is_refused_hears_so_in_the_form_of_every_error(
    app: Flask, practice: Practice
) -> None:
    restrict(practice)

    refused = get(app, "/session", HOME, Accept="application/json", HX_Request="true")

    assert (refused.status_code, refused.content_type) == (403, "application/json")
    told = refused.get_json()
    assert told.keys() == {"error", "request"}
    assert told["error"].startswith(REFUSED)
    assert told["request"] == refused.headers["X-Request-ID"]


@pytest.mark.bar("N1")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_no_verb_opens_a_page(app: Flask, practice: Practice, method: str) -> None:
    restrict(practice)

    for path in ("/sign-in", "/health/", "/add/x/y", "/settings"):
        environ = {"REMOTE_ADDR": HOME}
        answer = app.test_client().open(path, method=method, environ_base=environ)
        assert answer.status_code == 403, path


OPEN_TO_ALL = {
    "GET /health": 200,
    "GET /robots.txt": 200,
    "GET /static/css/base.css": 200,
    "GET /static/nothing.css": 404,
    "GET /add/nonsense": 410,
    "POST /google/notify": 404,
}


@pytest.mark.bar("N1")
@pytest.mark.parametrize("what", OPEN_TO_ALL)
def test_what_phones_and_machines_need_stays_open(
    app: Flask, practice: Practice, what: str
) -> None:
    restrict(practice)
    method, path = what.split()

    answer = app.test_client().open(path, method=method, environ_base={"REMOTE_ADDR": HOME})

    assert answer.status_code == OPEN_TO_ALL[what]


@pytest.mark.bar("N1")
def test_feeds_and_the_phones_page_work_from_everywhere(app: Flask, practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    code, _ = codes.make(practice.unlu, link.id)
    restrict(practice)
    phone = app.test_client()
    from_home = {"REMOTE_ADDR": HOME}

    assert phone.get(f"/cal/{token_of(link)}/x.ics", environ_base=from_home).status_code == 200
    page = phone.get(f"/add/{code}", environ_base=from_home)
    form = {"csrf_token": page.text.split('name="csrf_token" value="')[1].split('"')[0]}
    pressed = phone.post(f"/add/{code}", data=form, environ_base=from_home)
    assert (page.status_code, pressed.status_code) == (200, 200)
    assert token_of(link) in pressed.text


@pytest.mark.bar("N1")
@pytest.mark.parametrize(
    "path",
    [
        "/cal/../settings",
        "/cal/%2e%2e/settings",
        "/cal//../settings",
        "/cal/..;/settings",
        "/cal/x/../../settings",
        "/CAL/../settings",
        "//settings",
        "//cal/../settings",
        "/./settings",
        "/settings/.",
        "/settings/",
        "/settings;/cal/",
        "/settings%00",
        "/settings%2f",
        "/settings?/cal/",
        "/settings#/cal/",
        "/SETTINGS",
        "/settings..",
        "/add/x/../../settings",
        "/add/..%2fsettings",
        "/add%2f..%2fsettings",
        "/health/../settings",
        "/health;/../settings",
        "/static/../settings",
        "/static/..%2f..%2fsettings",
        "/static/%2e%2e/settings",
        "/robots.txt/../settings",
        "/google/notify/../../settings",
        "/%73ettings",
        "/settings%20",
        "\\settings",
        "/cal\\..\\settings",
    ],
)
def test_no_spelling_of_an_address_opens_a_page(
    app: Flask, browser_of: BrowserOf, practice: Practice, path: str
) -> None:
    ada = browser_of("ada@example.com")
    assert "Account Settings" in ada.get("/settings").text
    restrict(practice)

    answer = ada.get(path, environ_base={"REMOTE_ADDR": HOME})

    assert "Account Settings" not in answer.text
    assert answer.status_code in {400, 403, 404, 410}
    assert "Location" not in answer.headers


# Peer, what it says, and how many it passed through: 0, 1 or 2 proxies.
P1, P2 = "192.0.2.1", "192.0.2.2"

HEADERS: list[tuple[tuple[str, ...], str, dict[str, str], bool]] = [
    ((), OFFICE, {}, True),
    ((), HOME, {}, False),
    ((), HOME, {"X_Forwarded_For": OFFICE}, False),
    ((), OFFICE, {"X_Forwarded_For": HOME}, True),
    ((), HOME, {"Forwarded": f"for={OFFICE}"}, False),
    ((), HOME, {"X_Real_IP": OFFICE}, False),
    ((), HOME, {"CF_Connecting_IP": OFFICE, "True_Client_IP": OFFICE}, False),
    ((), HOME, {"X_Client_IP": OFFICE, "X_Cluster_Client_IP": OFFICE}, False),
    ((), HOME, {"X_Original_Forwarded_For": OFFICE, "Via": OFFICE}, False),
    ((), "::ffff:203.0.113.7", {}, True),
    ((), "::ffff:198.51.100.20", {}, False),
    ((), "", {}, False),
    ((P1,), P1, {"X_Forwarded_For": OFFICE}, True),
    ((P1,), P1, {"X_Forwarded_For": HOME}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, {HOME}"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE},{HOME}"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{HOME}, {OFFICE}"}, True),
    ((P1,), P1, {"X_Forwarded_For": f"  {OFFICE}  "}, True),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}:52100"}, True),
    ((P1,), P1, {"X_Forwarded_For": f"{HOME}:52100"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"[::ffff:{OFFICE}]:443"}, True),
    ((P1,), P1, {"X_Forwarded_For": f"::ffff:{HOME}"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, unknown"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, _hidden"}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, "}, False),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, {P1}"}, True),
    ((P1,), P1, {"X_Forwarded_For": f"{OFFICE}, {P2}"}, False),
    ((P1,), P1, {}, False),
    ((P1,), P1, {"Forwarded": f"for={OFFICE}"}, False),
    ((P1,), P1, {"X_Forwarded_For": HOME, "X_Real_IP": OFFICE}, False),
    ((P1,), P1, {"X_Forwarded_For": HOME, "Forwarded": f"for={OFFICE}"}, False),
    ((P1,), HOME, {"X_Forwarded_For": OFFICE}, False),
    ((P1,), f"::ffff:{P1}", {"X_Forwarded_For": OFFICE}, True),
    ((P1, P2), P1, {"X_Forwarded_For": f"{OFFICE}, {P2}"}, True),
    ((P1, P2), P1, {"X_Forwarded_For": f"{HOME}, {P2}"}, False),
    ((P1, P2), P1, {"X_Forwarded_For": f"{OFFICE}, {HOME}, {P2}"}, False),
    ((P1, P2), P1, {"X_Forwarded_For": f"{HOME}, {OFFICE}, {P2}"}, True),
    ((P1, P2), P1, {"X_Forwarded_For": f"{OFFICE}, nonsense, {P2}"}, False),
    ((P1, P2), P1, {"X_Forwarded_For": P2}, False),
    ((P1, P2), P2, {"X_Forwarded_For": f"{OFFICE}, {P1}"}, True),
    ((P1, P2), HOME, {"X_Forwarded_For": f"{OFFICE}, {P2}"}, False),
]


@pytest.mark.bar("N1", "N2")
@pytest.mark.parametrize(("trusted", "peer", "headers", "admitted"), HEADERS)
def test_no_header_lies_its_way_in(
    app: Flask,
    practice: Practice,
    trusted: tuple[str, ...],
    peer: str,
    headers: dict[str, str],
    admitted: bool,
) -> None:
    restrict(practice)
    behind(app, *trusted)

    status = get(app, "/sign-in", peer, **headers).status_code

    assert status == (200 if admitted else 403)


@pytest.mark.bar("N2")
def test_past_the_proxy_the_own_address_counts(app: Flask, practice: Practice) -> None:
    """Whoever reaches the port itself is who calls it, whatever they say."""
    restrict(practice)
    behind(app, P1)
    assert get(app, "/sign-in", P1, X_Forwarded_For=OFFICE).status_code == 200

    assert get(app, "/sign-in", HOME, X_Forwarded_For=OFFICE).status_code == 403
    assert get(app, "/sign-in", OFFICE).status_code == 200


@pytest.mark.bar("N1")
def test_it_holds_for_a_session_that_there_is_from_the_next_request_on(
    browser_of: BrowserOf, practice: Practice
) -> None:
    sam = browser_of("sam@example.com")
    assert sam.get("/calendar", environ_base={"REMOTE_ADDR": HOME}).status_code == 200

    restrict(practice)

    refused = sam.get("/calendar", environ_base={"REMOTE_ADDR": HOME})
    assert (refused.status_code, "Sam Rivera" in refused.text) == (403, False)
    assert sam.get("/calendar", environ_base={"REMOTE_ADDR": OFFICE}).status_code == 200
    htmx = {"HX-Request": "true"}
    part = sam.get("/search?q=a", environ_base={"REMOTE_ADDR": HOME}, headers=htmx)
    assert (part.status_code, part.text, part.headers["HX-Refresh"]) == (403, "", "true")


def test_a_refusal_is_told_to_the_log_once_an_hour_and_never_to_the_audit(
    app: Flask, practice: Practice, now: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    restrict(practice)
    before = audited()
    for _ in range(3):
        get(app, "/sign-in", HOME)
    now.move(hours=1)
    get(app, "/sign-in", HOME)

    assert caplog.messages == ["Refused somebody from the internet, 198.51.100.0/24."] * 2
    assert audited() == before


# the page


def save(browser: FlaskClient, text: str, peer: str = OFFICE, **more: str) -> TestResponse:
    token = csrf_token(browser, PAGE)
    form = {"text": text, "csrf_token": token, **more}
    answer: TestResponse = browser.post(PAGE, data=form, environ_base={"REMOTE_ADDR": peer})
    return answer


@pytest.mark.bar("O1")
def test_the_list_is_saved_in_its_usual_form_and_audited_without_it(
    browser_of: BrowserOf, practice: Practice
) -> None:
    ada = browser_of("ada@example.com")

    answer = save(ada, f"{OFFICE}  # Office\n198.51.100.0/28")

    assert answer.status_code == 302
    assert stored(practice) == f"{OFFICE} # Office\n198.51.100.0/28"
    assert audited() == [(practice.ada.word, "network.changed", {"networks": 2})]


@pytest.mark.bar("N3")
def test_a_list_that_shuts_out_whoever_saves_it_is_refused(
    browser_of: BrowserOf, practice: Practice
) -> None:
    ada = browser_of("ada@example.com")

    answer = save(ada, OFFICE, peer=HOME)

    assert (answer.status_code, stored(practice)) == (422, "")
    assert "This list would shut you out: your own address is not in it." in answer.text
    assert f">{OFFICE}</textarea>" in answer.text.replace("\r\n", "")
    assert audited() == []
    assert save(ada, OFFICE, peer=OFFICE).status_code == 302


@pytest.mark.bar("N3")
def test_the_own_address_is_shown_and_added_with_one_press(
    browser_of: BrowserOf, practice: Practice
) -> None:
    ada = browser_of("ada@example.com")
    assert f"<strong>{HOME}</strong>" in ada.get(PAGE, environ_base={"REMOTE_ADDR": HOME}).text

    answer = save(ada, f"{OFFICE} # Office", peer=HOME, add="own")

    assert (answer.status_code, stored(practice)) == (200, "")
    assert f"{OFFICE} # Office\n{HOME}</textarea>" in answer.text
    assert "Not saved yet" in answer.text


@pytest.mark.parametrize(
    ("list_", "who"),
    [(OFFICE, "Only the addresses in the list"), ("", "Everybody"), ("# closed", "Everybody")],
)
def test_whoever_saves_hears_who_may_come_in(
    browser_of: BrowserOf, practice: Practice, list_: str, who: str
) -> None:
    ada = browser_of("ada@example.com")

    assert save(ada, list_, peer=OFFICE).status_code == 302

    page = ada.get(PAGE, environ_base={"REMOTE_ADDR": OFFICE}).text
    assert f"Saved. {who} may come in, from the next press on." in page


def test_a_wrong_line_is_named_and_nothing_is_saved(
    browser_of: BrowserOf, practice: Practice
) -> None:
    answer = save(browser_of("ada@example.com"), f"{OFFICE}\nthe office")

    assert (answer.status_code, stored(practice)) == (422, "")
    assert "Line 2 is neither an address nor a network." in answer.text


@pytest.mark.bar("A9")
def test_after_five_minutes_the_password_is_asked_for(
    browser_of: BrowserOf, practice: Practice, now: Clock
) -> None:
    ada = browser_of("ada@example.com")
    now.move(minutes=6)

    assert save(ada, OFFICE).status_code == 403
    assert stored(practice) == ""


def test_a_proxy_that_nobody_named_is_told_of(
    app: Flask, browser_of: BrowserOf, practice: Practice
) -> None:
    ada = browser_of("ada@example.com")
    proxied = {"environ_base": {"REMOTE_ADDR": P1}, "headers": {"X-Forwarded-For": HOME}}
    assert "SYNC_TRUSTED_PROXIES" in ada.get(PAGE, **proxied).text

    behind(app, P1)

    assert "SYNC_TRUSTED_PROXIES" not in ada.get(PAGE, **proxied).text


# emergencies

WARNING = "Emergency access was used"


@pytest.mark.bar("N4")
def test_a_command_lifts_the_list_and_every_administrator_hears_of_it(
    app: Flask, browser_of: BrowserOf, practice: Practice, command: Callable[..., str]
) -> None:
    ada, sam = browser_of("ada@example.com"), browser_of("sam@example.com")
    restrict(practice, f"{OFFICE} # Office")
    assert command("network", "show") == f"{OFFICE} # Office"
    assert get(app, "/sign-in", HOME).status_code == 403
    assert WARNING not in ada.get("/calendar", environ_base={"REMOTE_ADDR": OFFICE}).text

    said = command("network", "lift")

    assert said == "everybody may come in again; 1 lines stay in the list as remarks"
    assert get(app, "/sign-in", HOME).status_code == 200
    assert command("network", "show") == f"# {OFFICE} # Office"
    assert [WARNING in ada.get(page).text for page in ("/calendar", "/people")] == [True, True]
    assert WARNING not in sam.get("/calendar").text

    form = {"csrf_token": csrf_token(ada, PAGE)}
    assert ada.post(f"{PAGE}/warning", data=form).status_code == 302
    ada.post(f"{PAGE}/warning", data=form)

    assert WARNING not in ada.get("/calendar").text
    assert audited() == [
        (practice.ada.word, "network.changed", {"networks": 1}),
        ("command", "network.lifted", {"networks": 1}),
        (practice.ada.word, "network.emergency_seen", {}),
    ]


@pytest.mark.bar("N4")
@pytest.mark.parametrize(
    ("words", "given", "warned"),
    [
        ("user create eve@example.com --role administrator --password-stdin", True, True),
        ("user create eve@example.com --role clinician --password-stdin", True, False),
        ("user code sam@example.com", False, True),
        ("user forget-factors ada@example.com", False, True),
        ("user list", False, False),
        ("audit verify", False, False),
    ],
)
def test_what_a_command_opens_every_administrator_hears_of(
    practice: Practice,
    browser_of: BrowserOf,
    command: Callable[..., str],
    words: str,
    given: bool,
    warned: bool,
) -> None:
    command(*words.split(), input=f"{PASSWORD}\n" if given else None)

    assert (WARNING in browser_of("ada@example.com").get("/people").text) is warned


@pytest.mark.bar("N4")
def test_the_first_administrator_is_no_emergency(app: Flask, command: Callable[..., str]) -> None:
    words = "user create ada@example.com --role administrator --password-stdin"
    command(*words.split(), input=f"{PASSWORD}\n")

    assert db.session.get_one(PracticeRow, 1).emergency_at is None


@pytest.mark.bar("N4")
def test_where_nothing_is_restricted_nothing_is_lifted(
    practice: Practice, command: Callable[..., str]
) -> None:
    assert command("network", "show") == "everybody may come in"
    assert command("network", "lift") == "everybody may come in already"
    assert audited() == []


# names of the server


@pytest.mark.bar("N5")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("calendar.example.com", 200),
        ("calendar.example.com:443", 200),
        ("CALENDAR.example.COM", 200),
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("192.168.1.20", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("calendar.example.com.evil.example", 400),
        ("evil.calendar.example.com", 400),
        ("calendar.example.com.", 400),
        ("calendar.example.com@evil.example", 400),
        ("evil.example:calendar.example.com", 400),
        ("calendar.example.com, evil.example", 400),
        ("calendar.example.com/", 400),
        ("127.0.0.1.evil.example", 400),
        ("2130706433", 400),
        ("[::1", 400),
        (" ", 400),
        ("", 400),
    ],
)
def test_pages_answer_to_their_own_name_and_to_addresses(
    app: Flask, practice: Practice, host: str, status: int
) -> None:
    answer = app.test_client().get("/sign-in", headers={"Host": host})

    assert answer.status_code == status
    assert "evil" not in answer.text


@pytest.mark.bar("N5")
def test_feeds_and_monitors_may_use_any_name(app: Flask, practice: Practice) -> None:
    link = links.allow(practice.unlu, practice.unlus_calendar)
    evil = {"Host": "evil.example"}

    assert app.test_client().get("/health", headers=evil).status_code == 200
    assert app.test_client().get(f"/cal/{token_of(link)}", headers=evil).status_code == 200
