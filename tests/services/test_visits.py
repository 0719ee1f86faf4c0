"""Who read a link, and when: written afterwards, by a thread of its own."""

import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection, event, select

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain.apps import Reader
from sync_ui.models import AuditEntry, FeedFigures, Link, Token, Visit, db
from sync_ui.services import links, upkeep, visits
from sync_ui.services.audit import Action
from sync_ui.services.visits import Recorder, Seen
from tests.practice import NOW, Book, Clock, Practice, token_of

IPHONE = "iOS/26.5 (23F77) dataaccessd/1.0"
GOOGLE = "Google-Calendar-Importer"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"
APPLE = "Apple Calendar on iPhone or iPad"

HOME = "203.0.113.7"
AT_HOME = "the internet, 203.0.113.0/24"


@pytest.fixture
def recorder(app: Flask) -> Recorder:
    """Writes when the test says so."""
    recorder: Recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()
    return recorder


@pytest.fixture
def link(practice: Practice) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


def seen(link: Link, agent: str, **more: Any) -> Seen:
    [token] = [token for token in link.tokens if token.retired_at is None]
    now = clock.now()
    known: dict[str, Any] = {"peer": HOME, "forwarded": "", "seen_until": now, "at": now}
    return Seen(token.id, link.id, agent, **(known | more))


def read(link: Link) -> tuple[datetime | None, str | None]:
    db.session.rollback()
    found = db.session.get_one(Link, link.id)
    return found.read_at, found.read_by


def stored(link: Link) -> list[tuple[Reader, str, str, int]]:
    db.session.rollback()
    rows = db.session.scalars(select(Visit).where(Visit.link_id == link.id).order_by(Visit.id))
    return [(row.reader, row.name, row.network, row.count) for row in rows]


def only(link: Link) -> Visit:
    db.session.rollback()
    return db.session.scalars(select(Visit).where(Visit.link_id == link.id)).one()


def audited(*actions: Action) -> list[str]:
    db.session.rollback()
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [entry.action for entry in entries if entry.action in actions]


@pytest.mark.bar("L12")
def test_the_latest_reading_by_an_app_counts(link: Link, recorder: Recorder, now: Clock) -> None:
    assert read(link) == (None, None)
    recorder.note(seen(link, IPHONE))
    now.move(seconds=5)
    recorder.note(seen(link, GOOGLE))
    now.move(seconds=5)
    recorder.note(seen(link, SAFARI))

    recorder.write()

    assert read(link) == (NOW + timedelta(seconds=5), "Google Calendar")
    assert stored(link) == [
        (Reader.APP, APPLE, AT_HOME, 1),
        (Reader.APP, "Google Calendar", AT_HOME, 1),
        (Reader.BROWSER, "Safari", AT_HOME, 1),
    ]


def test_readings_by_the_same_reader_add_up(link: Link, recorder: Recorder, now: Clock) -> None:
    given = NOW - timedelta(hours=1)
    for _ in range(3):
        recorder.note(seen(link, IPHONE, seen_until=given))
        now.move(hours=1)
    recorder.write()
    found = only(link)
    assert (found.first_at, found.last_at, found.count, found.days, found.seen_until) == (
        NOW,
        NOW + timedelta(hours=2),
        3,
        1,
        given,
    )

    now.move(days=1)
    recorder.note(seen(link, IPHONE, seen_until=given + timedelta(minutes=1)))
    recorder.write()
    recorder.note(seen(link, IPHONE, seen_until=given + timedelta(minutes=2)))
    recorder.write()

    found = only(link)
    assert (found.first_at, found.last_at, found.count, found.days, found.seen_until) == (
        NOW,
        NOW + timedelta(days=1, hours=3),
        5,
        2,
        given + timedelta(minutes=2),
    )


def test_a_reading_written_late_takes_nothing_back(
    link: Link, recorder: Recorder, now: Clock
) -> None:
    early = seen(link, IPHONE, seen_until=NOW - timedelta(days=1))
    now.move(hours=1)
    recorder.note(seen(link, IPHONE))
    recorder.write()

    recorder.note(early)
    recorder.write()

    found = only(link)
    assert (found.first_at, found.last_at, found.seen_until, found.count) == (
        NOW,
        clock.now(),
        clock.now(),
        2,
    )
    assert read(link) == (clock.now(), APPLE)


@pytest.mark.parametrize("agent", [SAFARI, "curl/8.5.0", "WhatsApp/2.23", "urlscan.io"])
def test_who_stores_no_calendar_is_listed_and_is_no_reading_by_an_app(
    link: Link, recorder: Recorder, agent: str
) -> None:
    """SECURITY L12."""
    recorder.note(seen(link, IPHONE))
    recorder.write()
    before = read(link)
    assert before == (NOW, APPLE)

    recorder.note(seen(link, agent))
    recorder.write()

    assert read(link) == before
    assert [reader is Reader.APP for reader, *_ in stored(link)] == [True, False]


@pytest.mark.bar("L12", "O1")
def test_the_first_reading_of_each_day_is_in_the_audit(
    link: Link, recorder: Recorder, now: Clock
) -> None:
    """SECURITY L12."""
    firsts = (Action.LINK_FIRST_READ, Action.LINK_OPENED)
    for agent in (IPHONE, GOOGLE, IPHONE, "curl/8.5.0", SAFARI):
        recorder.note(seen(link, agent))
        recorder.write()
    assert audited(*firsts) == ["link.first_read", "link.opened"]

    now.move(days=1)
    for agent in (IPHONE, "curl/8.5.0", GOOGLE):
        recorder.note(seen(link, agent))
    recorder.write()

    assert audited(*firsts) == ["link.first_read", "link.opened"] * 2


@pytest.mark.bar("O3")
def test_nothing_that_is_kept_holds_a_whole_address_or_a_users_words(
    link: Link, recorder: Recorder
) -> None:
    """SECURITY L7, L12."""
    address = "2001:db8:1234:5678:9abc:def0:1234:5678"
    recorder.note(seen(link, "Evil\x1b[31m<script>/1.0 " + "x" * 5000, peer=address))
    recorder.note(seen(link, IPHONE, peer=HOME))
    recorder.write()

    db.session.rollback()
    kept = str([tuple(row) for row in db.session.execute(select(Visit.__table__))])
    kept += str([entry.detail for entry in db.session.scalars(select(AuditEntry))])
    assert "another calendar app (Evil)" in kept
    assert [word for word in (address, HOME, "script", "xxx", "[31m") if word in kept] == []


@pytest.mark.bar("N1")
def test_who_stands_behind_a_trusted_proxy_is_known_by_its_word(
    app: Flask, config: Config, link: Link
) -> None:
    proxied = {"peer": "127.0.0.1", "forwarded": "198.51.100.9, 203.0.113.7"}
    trusting = replace(config, trusted_proxies=(ip_network("127.0.0.1"),))
    for agent, known in ((IPHONE, config), (GOOGLE, trusting)):
        found = app.extensions["installation"]
        app.extensions["installation"] = replace(found, config=known)
        recorder = Recorder(app)
        recorder._thread = threading.current_thread()
        recorder.note(seen(link, agent, **proxied))
        recorder.write()

    assert [network for *_, network, _ in stored(link)] == ["this computer", AT_HOME]


def test_a_reset_forgets_who_read_the_old_address(
    link: Link, practice: Practice, recorder: Recorder
) -> None:
    recorder.note(seen(link, IPHONE))
    recorder.write()
    late = seen(link, IPHONE)

    reset = links.reset(practice.unlu, link.id)
    assert read(link) == (None, None)
    recorder.note(late)
    recorder.write()
    assert read(link) == (None, None)

    recorder.note(seen(reset, GOOGLE))
    recorder.write()
    assert read(link) == (NOW, "Google Calendar")
    assert [count for *_, count in stored(link)] == [2, 1]


def test_a_token_that_is_not_there_is_no_visit(link: Link, recorder: Recorder) -> None:
    recorder.note(seen(link, IPHONE)._replace(token_id=4711))
    recorder.note(seen(link, GOOGLE))
    recorder.write()

    assert [name for _, name, *_ in stored(link)] == ["Google Calendar"]


def test_a_check_by_the_server_itself_is_no_visit(
    link: Link, recorder: Recorder, now: Clock
) -> None:
    header = visits.check_header()
    recorder.note(seen(link, GOOGLE, name_of_check=header))
    now.move(minutes=2)
    recorder.note(seen(link, GOOGLE, name_of_check=header))
    recorder.write()
    assert stored(link) == []

    now.move(minutes=1)
    recorder.note(seen(link, GOOGLE, name_of_check=header))
    recorder.note(seen(link, IPHONE, name_of_check="ünbekannt"))
    recorder.write()

    assert [name for _, name, *_ in stored(link)] == ["Google Calendar", APPLE]


def test_what_comes_too_quickly_is_counted_and_not_kept(
    link: Link, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(visits, "MOST_WAITING", 3)
    for _ in range(5):
        recorder.note(seen(link, IPHONE))
    assert recorder.dropped == 2

    recorder.write()

    assert [count for *_, count in stored(link)] == [3]
    assert caplog.messages == ["2 readings came too quickly to be counted."]
    assert recorder.dropped == 0


@pytest.mark.bar("O9")
def test_what_waits_holds_no_more_than_is_looked_at(link: Link, recorder: Recorder) -> None:
    recorder.note(seen(link, IPHONE + "x" * 9000, forwarded="y" * 9000 + f", {HOME}"))

    [waiting] = recorder._waiting()

    assert (len(waiting.user_agent), len(waiting.forwarded)) == (300, 300)
    assert waiting.forwarded.endswith(HOME)


@pytest.mark.bar("O9")
def test_made_up_names_do_not_fill_the_table(
    link: Link, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "MOST_READERS", 3)
    for number in range(9):
        recorder.note(seen(link, f"Calendar{number}/1.0"))
    recorder.note(seen(link, "curl/8.5.0"))
    recorder.write()

    found = stored(link)
    assert [(name, count) for _, name, _, count in found[3:]] == [
        ("other apps", 6),
        ("other scripts", 1),
    ]
    recorder.note(seen(link, "Calendar1/2.0"))
    recorder.write()
    assert stored(link)[1][-1] == 2


@pytest.mark.bar("D1")
def test_several_processes_that_write_at_once_lose_nothing(app: Flask, link: Link) -> None:
    """Each web process has a recorder of its own; both databases."""
    recorders = [Recorder(app) for _ in range(3)]
    for recorder in recorders:
        recorder._thread = threading.current_thread()
    reading = seen(link, IPHONE)

    def work(recorder: Recorder) -> None:
        for _ in range(5):
            for _ in range(4):
                recorder.note(reading)
            recorder.write()

    threads = [threading.Thread(target=work, args=(recorder,)) for recorder in recorders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert stored(link) == [(Reader.APP, APPLE, AT_HOME, 60)]
    assert audited(Action.LINK_FIRST_READ) == ["link.first_read"]


@contextmanager
def killed_while_writing(app: Flask, times: int = 1) -> Iterator[list[str]]:
    """The connection dies under the transaction, after it has begun to write visits."""
    engine = db.engine
    deaths: list[str] = []

    def kill(connection: Connection, _: object, statement: str, *__: object) -> None:
        if not statement.startswith("INSERT INTO visit") or len(deaths) >= times:
            return
        deaths.append(statement)
        driver: Any = connection.connection.dbapi_connection
        if engine.dialect.name == "sqlite":
            driver.close()
            return
        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (driver.info.backend_pid,))

    event.listen(engine, "before_cursor_execute", kill)
    try:
        yield deaths
    finally:
        event.remove(engine, "before_cursor_execute", kill)


def test_a_database_that_dies_while_visits_are_written_costs_no_reading(
    app: Flask, link: Link, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"/cal/{token_of(link)}/dr-unlu.ics"
    for _ in range(3):
        recorder.note(seen(link, IPHONE))
    caplog.set_level(logging.DEBUG, logger="sync_ui")

    with killed_while_writing(app, times=2) as deaths:
        recorder.write()
        assert len(deaths) == 1
        assert app.test_client().get(address).status_code == 200
        assert stored(link) == []
        recorder.write()
        assert len(deaths) == 2
        assert stored(link) == []
        recorder.note(seen(link, IPHONE))
        recorder.write()

    counts = {name: count for _, name, _, count in stored(link)}
    assert counts[APPLE] == 4
    assert read(link)[1] is not None
    assert len(audited(Action.LINK_FIRST_READ)) == 1
    assert len(caplog.messages) == 2
    assert token_of(link) not in caplog.text


def test_the_thread_goes_on_trying_by_itself(
    app: Flask, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "BATCH_SECONDS", 0.0)
    written = threading.Event()
    write_batch = visits._store

    def store_and_tell(*batch: Any) -> None:
        write_batch(*batch)
        written.set()

    monkeypatch.setattr(visits, "_store", store_and_tell)
    with killed_while_writing(app, times=2) as deaths:
        visits.recorder().note(seen(link, IPHONE))
        assert written.wait(60)

    assert len(deaths) == 2
    assert stored(link) == [(Reader.APP, APPLE, AT_HOME, 1)]


def test_after_many_tries_readings_are_given_up(
    app: Flask,
    link: Link,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(visits, "MOST_TRIES", 2)
    recorder.note(seen(link, IPHONE))
    with killed_while_writing(app, times=2):
        recorder.write()
        recorder.write()
    assert caplog.messages[-1] == "Visits of 1 readers are given up."

    recorder.note(seen(link, GOOGLE))
    recorder.write()

    assert [name for _, name, *_ in stored(link)] == ["Google Calendar"]


def test_the_thread_writes_by_itself(
    link: Link, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    store = visits._store

    def store_and_tell(*batch: Any) -> None:
        store(*batch)
        written.set()

    monkeypatch.setattr(visits, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(visits, "_store", store_and_tell)
    visits.recorder().note(seen(link, IPHONE))

    assert written.wait(60)
    assert read(link) == (NOW, APPLE)


ENDS_AT_ONCE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.services import visits

app = create_app(Config(data_dir=Path(sys.argv[1]), base_url="https://calendar.example.com",
                        database_url=sys.argv[4] or None))
at = datetime.now(UTC)
with app.app_context():
    token_id, link_id = int(sys.argv[2]), int(sys.argv[3])
    seen = visits.Seen(token_id, link_id, "Google-Calendar-Importer", "", "", at, at)
    visits.recorder().note(seen)
"""


def test_what_the_last_seconds_brought_outlives_the_process(config: Config, link: Link) -> None:
    reading = seen(link, GOOGLE)
    db.session.rollback()

    subprocess.run(
        [
            sys.executable,
            "-c",
            ENDS_AT_ONCE,
            str(config.data_dir),
            str(reading.token_id),
            str(link.id),
            config.database_url or "",
        ],
        check=True,
    )

    assert [name for _, name, *_ in stored(link)] == ["Google Calendar"]


def test_nobody_holds_on_to_an_application_for_the_sake_of_its_last_visits(app: Flask) -> None:
    recorder = Recorder(app)
    gone = weakref.ref(recorder)
    visits._write_last(gone)
    del recorder

    visits._write_last(gone)

    assert gone() is None


@pytest.mark.bar("B6")
def test_visits_are_kept_for_ninety_days(link: Link, recorder: Recorder, now: Clock) -> None:
    recorder.note(seen(link, GOOGLE))
    now.move(days=1)
    recorder.note(seen(link, IPHONE))
    recorder.write()
    now.set(NOW + visits.KEPT)
    upkeep.clean_up()
    assert [name for _, name, *_ in stored(link)] == ["Google Calendar", APPLE]
    assert [visit.name for visit in visits.of_link(link.id)] == [APPLE]

    now.move(seconds=1)
    upkeep.clean_up()

    assert [name for _, name, *_ in stored(link)] == [APPLE]


def test_the_latest_reader_comes_first(link: Link, recorder: Recorder, now: Clock) -> None:
    for agent in (GOOGLE, IPHONE, SAFARI):
        recorder.note(seen(link, agent))
        now.move(minutes=1)
    recorder.note(seen(link, GOOGLE))
    recorder.write()

    db.session.rollback()
    found = visits.of_link(link.id)

    assert [visit.name for visit in found] == ["Google Calendar", "Safari", APPLE]
    assert [visits.rhythm(visit) for visit in found] == ["twice", "once", "once"]


def test_a_reading_is_that_of_the_address_it_came_by(
    link: Link, practice: Practice, recorder: Recorder
) -> None:
    recorder.note(seen(link, IPHONE))
    fresh = links.reset(practice.unlu, link.id)
    recorder.note(seen(fresh, IPHONE))
    recorder.write()

    db.session.rollback()
    retired = select(Token.retired_at.is_not(None)).join(Visit, Visit.token_id == Token.id)
    assert sorted(map(bool, db.session.scalars(retired))) == [False, True]


def test_how_readings_were_answered_is_counted_by_day(
    app: Flask, recorder: Recorder, practice: Practice, link: Link, book: Book, now: Clock
) -> None:
    reader = app.test_client()
    path = f"/cal/{token_of(link)}/dr-unlu.ics"
    first = reader.get(path)  # made
    reader.get(path)  # held
    reader.get(path, headers={"If-None-Match": first.headers["ETag"]})  # unchanged
    book(practice.mark, at="2026-11-25 10:00")
    reader.get(path)  # mended
    recorder.write()
    now.move(days=1)
    reader.get(path)  # the window has moved: mended
    recorder.write()

    found = db.session.scalars(select(FeedFigures).order_by(FeedFigures.day)).all()
    assert [(f.day.day, f.unchanged, f.held, f.mended, f.made) for f in found] == [
        (23, 1, 1, 1, 1),
        (24, 0, 0, 1, 0),
    ]
