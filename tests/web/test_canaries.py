"""What is written in a client's record shows where it must, and nowhere else.

Each field holds a word that occurs nowhere else; wherever the word appears, the
field has been shown.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from sync_ui.domain.event import DisplayMode, Kind
from sync_ui.models import AuditEntry, Client, Link, db
from sync_ui.services import access, clients, codes, links
from sync_ui.services import practice as practices
from sync_ui.services.access import Actor
from tests.practice import PASSWORD, Book, Practice, csrf_token

BrowserOf = Callable[[str], FlaskClient]

CANARIES = {
    "first": "Xaverine",
    "last": "Yolkowski",
    "preferred": "Zuzuline",
    "internal_id": "Q-77431",
    "topic": "Tessellation",
    "title": "Vexillology",
    "note": "Wistfulness",
    "email": "anna@example.com",
}


@dataclass(frozen=True)
class Aviary:
    """Anna sees a client whose every field is a canary, and once has a titled meeting."""

    anna: Actor
    calendar: str
    client: int
    appointment: int
    meeting: int


@pytest.fixture
def aviary(practice: Practice, book: Book) -> Aviary:
    client = clients.create(
        practice.sam,
        first_name=CANARIES["first"],
        last_name=CANARIES["last"],
        preferred_name=CANARIES["preferred"],
        internal_id=CANARIES["internal_id"],
    ).id
    practices.show_internal_ids(practice.ada, shown=True)
    more = {"actor": practice.anna, "note": CANARIES["note"]}
    appointment = book(client, title=CANARIES["topic"], **more).id
    meeting = book(at="2026-11-25 12:00", kind=Kind.MEETING, title=CANARIES["title"], **more).id
    return Aviary(practice.anna, practice.annas_calendar, client, appointment, meeting)


def seen_in(text: str) -> set[str]:
    return {field for field, canary in CANARIES.items() if canary.lower() in text.lower()}


def test_a_canary_is_seen_wherever_it_sits() -> None:
    assert seen_in("Dear xaverine YOLKOWSKI,") == {"first", "last"}


def link_in(mode: DisplayMode, aviary: Aviary) -> Link:
    return links.create(aviary.anna, aviary.calendar, "Phone", mode, confirmed=True)


def path_of(link: Link) -> str:
    address = links.address(link)
    assert address is not None
    return address.removeprefix("https://calendar.example.com")


SHOWN = {
    DisplayMode.BUSY: set[str](),
    DisplayMode.INTERNAL_ID: {"internal_id"},
    DisplayMode.INITIALS: set(),
    DisplayMode.FIRST_NAME: {"preferred"},
    DisplayMode.FULL_NAME: {"first", "last", "title"},
}


@pytest.mark.bar("F1")
@pytest.mark.parametrize("mode", DisplayMode)
def test_a_feed_shows_what_its_mode_says_and_no_more(
    app: Flask, aviary: Aviary, mode: DisplayMode
) -> None:
    """SECURITY F1."""
    answer = app.test_client().get(path_of(link_in(mode, aviary)))
    text = answer.text.replace("\r\n ", "")

    assert (seen_in(text), text.count("BEGIN:VEVENT")) == (SHOWN[mode], 2)
    assert seen_in(str(answer.headers)) == set()


@pytest.mark.bar("F1")
@pytest.mark.parametrize("mode", DisplayMode)
def test_the_practices_feed_shows_no_more_than_the_clinicians(
    app: Flask, practice: Practice, aviary: Aviary, mode: DisplayMode
) -> None:
    link = links.create(practice.ada, access.PRACTICE, "Front desk", mode, confirmed=True)

    text = app.test_client().get(path_of(link)).text.replace("\r\n ", "")

    assert seen_in(text) <= SHOWN[mode]
    assert text.count("BEGIN:VEVENT") == 2


@pytest.mark.bar("F3")
@pytest.mark.parametrize("mode", DisplayMode)
def test_the_clients_own_ceiling_holds_whatever_the_mode(
    app: Flask, practice: Practice, aviary: Aviary, mode: DisplayMode
) -> None:
    names = {"first_name": CANARIES["first"], "last_name": CANARIES["last"]}
    clients.change(
        practice.sam,
        aviary.client,
        **names,
        preferred_name=CANARIES["preferred"],
        internal_id=CANARIES["internal_id"],
        ceiling=DisplayMode.BUSY,
    )

    text = app.test_client().get(path_of(link_in(mode, aviary))).text.replace("\r\n ", "")

    assert seen_in(text) & {"first", "last", "preferred", "internal_id"} == set()


@pytest.mark.bar("L15")
def test_a_dead_links_notice_shows_nothing(app: Flask, aviary: Aviary) -> None:
    link = link_in(DisplayMode.FULL_NAME, aviary)
    path = path_of(link)
    assert seen_in(app.test_client().get(path).text.replace("\r\n ", "")) == SHOWN[link.mode]

    links.disable(aviary.anna, link.id)

    assert seen_in(app.test_client().get(path).text) == set()


def pages_of(aviary: Aviary) -> list[str]:
    """Where Anna herself finds her client, and the lists in which it could stand."""
    return [
        "/calendar?from=2026-11-23",
        f"/calendar/{aviary.appointment}",
        f"/calendar/{aviary.meeting}",
        "/calendar/new",
        "/clients",
        f"/clients/{aviary.client}",
        f"/clients?q={CANARIES['first']}",
        f"/clients?q={CANARIES['internal_id']}",
        "/calendars",
        f"/calendars/{aviary.calendar}/sync",
        f"/calendars/{aviary.calendar}/sync/preview?mode=full_name",
        "/account",
        "/people",
        "/settings",
        "/settings/audit",
        "/import",
    ]


@pytest.mark.bar("Z5")
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "part"])
def test_no_page_shows_another_clinicians_client(
    browser_of: BrowserOf, aviary: Aviary, headers: dict[str, str]
) -> None:
    link_in(DisplayMode.FULL_NAME, aviary)
    anna, unlu = browser_of("anna@example.com"), browser_of("unlu@example.com")
    pages = pages_of(aviary)
    hers = set[str]().union(*(seen_in(anna.get(page, headers=headers).text) for page in pages))
    assert hers == set(CANARIES)

    his = {page: seen_in(unlu.get(page, headers=headers).text) for page in pages}

    # What he has searched for himself stands in the field he typed it into.
    own_words = {"/clients?q=Xaverine": {"first"}, "/clients?q=Q-77431": {"internal_id"}}
    assert his == {page: own_words.get(page, set()) for page in pages}


@pytest.mark.bar("O3")
def test_the_audit_shows_no_clients_data_to_the_administrator(
    browser_of: BrowserOf, aviary: Aviary
) -> None:
    text = browser_of("ada@example.com").get("/settings/audit").text

    assert "Appointment created" in text
    assert seen_in(text) == set()


def everything(app: Flask, aviary: Aviary, browser_of: BrowserOf) -> Iterator[str]:
    """A day's work with the canaries; yields each secret as it arises."""
    anna = browser_of("anna@example.com")
    sam = browser_of("sam@example.com")
    with anna.session_transaction() as kept:
        yield kept["_user_id"]
    for page in pages_of(aviary):
        anna.get(page)
        sam.get(page)
    for mode in DisplayMode:
        link = link_in(mode, aviary)
        path = path_of(link)
        yield path.split("/")[2]
        app.test_client().get(path, headers={"User-Agent": "Google-Calendar-Importer"})
        app.test_client().get(f"{path}?x={CANARIES['first']}")
        app.test_client().put(path, data=CANARIES["note"])
        code, _ = codes.make(aviary.anna, link.id)
        yield code
        phone = app.test_client()
        phone.get(f"/add/{code}")
        token = csrf_token(phone, "/sign-in")
        phone.post(f"/add/{code}", data={"csrf_token": token})
        app.test_client().get(f"/add/{code}")
        sync = f"/calendars/{aviary.calendar}/links/{link.id}"
        for action in ("qr", "email", "mode", "reset", "disable"):
            anna.post(f"{sync}/{action}", data=_form(anna) | {"mode": "initials"})
    client = {
        "first_name": CANARIES["first"],
        "last_name": CANARIES["last"],
        "internal_id": CANARIES["internal_id"],
        "ceiling": "",
    }
    sam.post(f"/clients/{aviary.client}", data=client | _form(sam))
    sam.post("/clients/new", data=client | _form(sam))  # the ID is taken
    sam.post("/clients/new", data=client)  # without a token
    file = f"Subject,Start Date,Start Time\n{CANARIES['title']},never,{CANARIES['note']}\n".encode()
    upload = {"clinician": aviary.anna.clinician_id, "file": (BytesIO(file), "calendar.csv")}
    sam.post("/import", data=upload | _form(sam))
    stranger = app.test_client()
    wrong = {"email": CANARIES["email"], "password": "Wistfulness is no password"}
    stranger.post("/sign-in", data=wrong | {"csrf_token": csrf_token(stranger, "/sign-in")})
    anna.post("/sign-out", data=_form(anna))


def _form(browser: FlaskClient) -> dict[str, object]:
    return {"csrf_token": csrf_token(browser, "/account")}


@pytest.mark.bar("L7", "O3")
def test_no_log_record_holds_clients_data_or_a_secret(
    app: Flask, aviary: Aviary, browser_of: BrowserOf, caplog: pytest.LogCaptureFixture
) -> None:
    """SECURITY L7."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("tests").debug("Dear %s", CANARIES["first"])
    assert seen_in(_logged(caplog)) == {"first"}
    caplog.clear()

    fail_with_a_name(app, aviary.client)
    secrets = list(everything(app, aviary, browser_of))
    failed = browser_of("sam@example.com").get("/fails")
    assert (failed.status_code, seen_in(failed.text)) == (500, set())

    logged = _logged(caplog)
    assert "RuntimeError" in logged
    assert seen_in(logged) == set()
    assert [secret for secret in [*secrets, PASSWORD] if secret in logged] == []


def fail_with_a_name(app: Flask, client_id: int) -> None:
    def fails() -> str:
        client = db.session.get_one(Client, client_id)
        raise RuntimeError(f"No page for {client.first_name} {client.last_name}")

    app.add_url_rule("/fails", "pages.fails", view_func=fails)


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    """Every record, with its arguments and whatever else would be written with it."""
    plain = logging.Formatter("%(name)s %(message)s")
    return "\n".join(f"{plain.format(record)} {record.args}" for record in caplog.records)


@pytest.mark.bar("O3")
def test_no_audit_entry_holds_clients_data_or_a_secret(
    app: Flask, aviary: Aviary, browser_of: BrowserOf
) -> None:
    secrets = list(everything(app, aviary, browser_of))
    db.session.rollback()

    entries = list(db.session.scalars(select(AuditEntry)))
    written = "\n".join(f"{e.actor} {e.action} {e.subject} {e.detail}" for e in entries)

    assert {"code.spent", "link.reset", "client.changed"} <= {entry.action for entry in entries}
    assert seen_in(written) == set()
    assert [secret for secret in [*secrets, PASSWORD] if secret in written] == []


@pytest.mark.bar("Z5", "O5")
def test_no_error_repeats_what_was_sent(app: Flask, aviary: Aviary, browser_of: BrowserOf) -> None:
    unlu = browser_of("unlu@example.com")
    canary = CANARIES["first"]
    form = {"first_name": canary}
    answers = [
        unlu.get(f"/{canary}"),
        unlu.get(f"/clients/{canary}"),
        unlu.get(f"/calendars/{canary}/sync"),
        unlu.get(f"/cal/{canary}"),
        unlu.get(f"/add/{canary}"),
        unlu.post("/clients/new", data=form),
        unlu.post("/clients/new", data=form | _form(unlu)),
        unlu.post(f"/clients/{aviary.client}", data=form | _form(unlu)),
        unlu.post(f"/calendar/{aviary.appointment}", data=form | _form(unlu)),
    ]

    assert [a.status_code for a in answers] == [404, 404, 404, 404, 410, 400, 403, 403, 404]
    assert [seen_in(answer.text) for answer in answers] == [set()] * 9
