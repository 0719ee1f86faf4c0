"""Who read a link, and when: written afterwards, by a thread of its own."""

import logging
import threading

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from sync_ui import clock
from sync_ui.models import AuditEntry, Link, db
from sync_ui.services import links, visits
from sync_ui.services.audit import Action
from sync_ui.services.visits import Recorder
from tests.practice import NOW, Clock, Practice

IPHONE = "iOS/26.5 (23F77) dataaccessd/1.0"
GOOGLE = "Google-Calendar-Importer"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"


@pytest.fixture
def recorder(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Writes when the test says so."""
    still = Recorder(app)
    monkeypatch.setattr(still, "_run", lambda: None)
    app.extensions["visits"] = still
    return still


@pytest.fixture
def link(practice: Practice) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


def read(link: Link) -> tuple[object, str | None]:
    db.session.rollback()
    found = db.session.get_one(Link, link.id)
    return found.read_at, found.read_by


def first_reads() -> int:
    db.session.rollback()
    of_first = AuditEntry.action == Action.LINK_FIRST_READ.value
    return db.session.scalar(select(func.count()).where(of_first)) or 0


def test_the_latest_reading_counts(link: Link, recorder: Recorder, now: Clock) -> None:
    assert read(link) == (None, None)
    visits.note(link.id, IPHONE)
    now.move(seconds=5)
    visits.note(link.id, GOOGLE)

    recorder.write()

    assert read(link) == (clock.now(), "Google Calendar")
    assert first_reads() == 1


def test_only_the_first_reading_is_in_the_audit(link: Link, recorder: Recorder) -> None:
    for agent in (IPHONE, GOOGLE, IPHONE):
        visits.note(link.id, agent)
        recorder.write()

    assert first_reads() == 1


@pytest.mark.parametrize("agent", ["", SAFARI, "curl/8.5.0", "WhatsApp/2.23"])
def test_who_stores_no_calendar_does_not_count(link: Link, recorder: Recorder, agent: str) -> None:
    visits.note(link.id, IPHONE)
    recorder.write()
    before = read(link)
    assert before == (NOW, "Apple Calendar on iPhone or iPad")

    if agent:
        visits.note(link.id, agent)
    visits.note(None, GOOGLE)
    recorder.write()

    assert read(link) == before


def test_a_reset_forgets_who_read_the_old_address(
    link: Link, practice: Practice, recorder: Recorder
) -> None:
    visits.note(link.id, IPHONE)
    recorder.write()

    links.reset(practice.unlu, link.id)

    assert read(link) == (None, None)


def test_a_name_that_says_more_than_an_app_is_not_kept(link: Link, recorder: Recorder) -> None:
    visits.note(link.id, "Evil\x1b[31m<script>/1.0 " + "x" * 5000)
    recorder.write()

    assert read(link) == (NOW, "another calendar app (Evil)")


def test_a_database_out_of_order_loses_a_visit_and_nothing_else(
    link: Link,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("UPDATE link", {}, Exception("disk I/O error"))

    visits.note(link.id, IPHONE)
    caplog.set_level(logging.DEBUG)
    with monkeypatch.context() as broken:
        broken.setattr(visits, "_store", fail)
        recorder.write()
    assert caplog.messages == ["Visits could not be written: OperationalError"]

    visits.note(link.id, GOOGLE)
    recorder.write()

    assert read(link) == (NOW, "Google Calendar")


def test_the_thread_writes_by_itself(
    link: Link, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    store = visits._store

    def store_and_tell(latest: dict[int, tuple[str, object]]) -> None:
        store(latest)  # type: ignore[arg-type]
        written.set()

    monkeypatch.setattr(visits, "BATCH_SECONDS", 0.0, raising=False)
    monkeypatch.setattr(visits, "_store", store_and_tell)
    visits.note(link.id, IPHONE)

    assert written.wait(30)
    assert read(link) == (NOW, "Apple Calendar on iPhone or iPad")
