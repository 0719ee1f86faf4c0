"""What holds for every route there is, generated from the table of routes."""

import logging
import re
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf import FlaskForm
from sqlalchemy import event, select
from werkzeug.routing import IntegerConverter
from wtforms.fields.core import UnboundField

from sync_ui.config import ROOT
from sync_ui.models import Appointment, Link, Row, User, db
from sync_ui.services import links
from tests.outside import keep_in_memory
from tests.practice import Book, Practice
from tests.web.test_access import EXPECTED, POSTS, Asker, every_row

BrowserOf = Callable[[str], FlaskClient]

CANARY = "Quixotic-77431"

# No field that anybody fills in, in any table.
COLUMNS = sorted({column.name for table in Row.metadata.sorted_tables for column in table.columns})


@pytest.fixture
def app(app: Flask) -> Flask:
    keep_in_memory(app)
    return app


class Forger(Asker):
    """Sends with every form what it does not ask for."""

    def __init__(self, *given: object, more: dict[str, object]) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self._more = more

    def _renew(self) -> None:
        super()._renew()
        things = self._things
        assert things is not None
        asked_for = things.form

        def form(endpoint: str) -> dict[str, object]:
            return self._more | asked_for(endpoint)

        things.form = form  # type: ignore[method-assign]


@pytest.fixture
def forger(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf
) -> Callable[[str, dict[str, object]], Forger]:
    return lambda column, more: Forger(app, practice, book, column, browser_of, more=more)


@pytest.fixture
def asker(
    app: Flask, practice: Practice, book: Book, browser_of: BrowserOf
) -> Callable[[str], Asker]:
    return lambda column: Asker(app, practice, book, column, browser_of)


READ = re.compile(r'(?:form\.get(?:list)?\(|text\()"(\w+)"|"(\w+)" in request\.form')


def asked_for() -> set[str]:
    """The name of every field that some form has."""
    named = {"mode", "telehealth", "add_client"}
    kinds = [FlaskForm]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        named |= {name for name in dir(kind) if isinstance(getattr(kind, name), UnboundField)}
    for file in (ROOT / "sync_ui" / "web").glob("*.py"):
        named |= {word for words in READ.findall(file.read_text("utf-8")) for word in words}
    return named


@pytest.mark.bar("Z2")
def test_no_form_stores_what_it_does_not_ask_for(
    forger: Callable[[str, dict[str, object]], Forger],
) -> None:
    """Every column of every table that no form has, sent with every form."""
    more: dict[str, object] = {name: CANARY for name in COLUMNS if name not in asked_for()}
    assert {"id", "user_id", "calendar_id", "disabled_at", "password_hash"} <= set(more)
    forging = forger("administrator", more)

    found = {route: forging.ask(route).status_code for route in POSTS}

    assert found == {route: EXPECTED[route]["administrator"] for route in POSTS}
    assert CANARY not in str(every_row())


@pytest.mark.bar("Z2", "Z1")
def test_no_form_makes_anybody_more_than_they_are_or_touches_what_is_anothers(
    practice: Practice,
    book: Book,
    forger: Callable[[str, dict[str, object]], Forger],
) -> None:
    """Dr. Ünlü sends Anna's and Ada's numbers with each of his own forms."""
    book(practice.zoe, actor=practice.anna)
    more: dict[str, object] = {
        "role": "administrator",
        "id": practice.ada.user_id,
        "user": practice.ada.user_id,
        "user_id": practice.ada.user_id,
        "owner": practice.anna.user_id,
        "clinician_id": practice.anna.clinician_id,
        "calendar_id": practice.annas_calendar,
        "key": practice.annas_calendar,
        "email": "ada@example.com",
        "practice": "2",
        "practice_id": "2",
        "is_admin": "1",
        "second_factor": "off",
    }
    forging = forger("own", more)
    before = users(), annas(practice)

    for route in POSTS:
        forging.ask(route)

    assert (users()[: len(before[0])], annas(practice)) == before


def users() -> list[tuple[object, ...]]:
    db.session.rollback()
    columns = User.id, User.email, User.name, User.role, User.disabled_at
    return [tuple(row) for row in db.session.execute(select(*columns).order_by(User.id))]


def annas(practice: Practice) -> list[tuple[object, ...]]:
    """Her appointments and her calendar's links, whole."""
    db.session.rollback()
    calendar = int(practice.annas_calendar)
    mine = Appointment.clinician_id == practice.anna.clinician_id
    found = [
        *db.session.execute(select(Appointment.__table__).where(mine)),
        *db.session.execute(select(Link.__table__).where(Link.calendar_id == calendar)),
    ]
    return [tuple(row) for row in found]


class Keeper(Asker):
    """Remembers the secrets of the things that it asks for."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.secrets: list[str] = []

    def _renew(self) -> None:
        super()._renew()
        assert self._things is not None
        self.secrets += [self._things.token, self._things.code]


def held_by_this_thread() -> set[object]:
    """The database's connections that are in use now; the thread of the visits has its own."""
    held: set[object] = set()
    here = threading.get_ident()

    @event.listens_for(db.engine, "checkout")
    def take(_: object, connection: object, __: object) -> None:
        if threading.get_ident() == here:
            held.add(connection)

    @event.listens_for(db.engine, "checkin")
    def give_back(_: object, connection: object) -> None:
        held.discard(connection)

    return held


@pytest.mark.bar("L7", "O3", "D6", "O9")
@pytest.mark.parametrize("column", ["stranger", "administrator"])
def test_no_route_logs_the_beginning_of_a_token_or_keeps_a_connection(
    app: Flask,
    practice: Practice,
    book: Book,
    browser_of: BrowserOf,
    caplog: pytest.LogCaptureFixture,
    column: str,
) -> None:
    caplog.set_level(logging.DEBUG)

    def fails(token: str) -> str:
        raise RuntimeError(f"There is no page for {token}")

    app.add_url_rule("/fails/<token>", "pages.fails", view_func=fails)
    held = held_by_this_thread()
    asking = Keeper(app, practice, book, column, browser_of)

    probed: list[str] = []
    in_use = {}

    for route in EXPECTED:
        send = asking.prepared(route)
        db.session.rollback()
        send()
        in_use[route] = len(held)
        for secret in asking.secrets[len(probed) :]:
            probed.append(secret)
            for path in (f"/cal/{secret}/x.ics", f"/add/{secret}", f"/{secret}", f"/cal{secret}"):
                referer = {"Referer": f"https://calendar.example.com{path}"}
                app.test_client().get(path, headers=referer)
    assert app.test_client().get(f"/fails/{asking.secrets[0]}").status_code == 500

    logged = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert "RuntimeError" in logged
    assert len(asking.secrets) > 1
    assert [secret for secret in asking.secrets if secret[:8] in logged] == []
    assert in_use == dict.fromkeys(EXPECTED, 0)


@pytest.mark.bar("L1")
def test_no_route_but_the_feeds_takes_a_token(
    app: Flask, practice: Practice, book: Book, asker: Callable[[str], Asker]
) -> None:
    """In the place of every word of an address, and in the usual questions."""
    book(practice.jane)
    address = links.address(links.allow(practice.unlu, practice.unlus_calendar)) or ""
    token = address.split("/")[4]
    browser = app.test_client()
    assert b"J.S." in browser.get(f"/cal/{token}/dr-unlu.ics").data
    adapter = app.url_map.bind("localhost")
    tried = 0

    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        numbers = {n for n, c in rule._converters.items() if isinstance(c, IntegerConverter)}
        values = {name: 1 if name in numbers else token for name in rule.arguments}
        path = adapter.build(rule.endpoint, values)
        for query in ("", f"?link={token}&clinician={token}&calendar={token}&token={token}"):
            answer = browser.get(path + query, headers={"Authorization": f"Bearer {token}"})
            assert b"J.S." not in answer.data
            assert b"BEGIN:VCALENDAR" not in answer.data
            tried += 1
    assert tried > 100
