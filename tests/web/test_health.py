"""What a monitor hears at /health while one thing after another is broken."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from sync_ui import worker
from sync_ui.gateways.memory import Memory
from sync_ui.models import Backup, BackupKind, db, transaction
from sync_ui.models.installation import Installation
from sync_ui.services import access, audit, host, sync, trail
from sync_ui.services.audit import Action
from tests.outside import connect
from tests.practice import Clock, Practice

BrowserOf = Callable[[str], FlaskClient]

pytestmark = pytest.mark.bar("O8")

WELL = {
    "status": "ok",
    "database": "ok",
    "disk": "ok",
    "worker": "ok",
    "clock": "ok",
    "backup": "ok",
    "sync": "ok",
    "audit": "ok",
}


@pytest.fixture(autouse=True)
def _alive(app: Flask, now: Clock) -> None:
    host.beat()


def asked(app: Flask) -> TestResponse:
    db.session.rollback()
    return app.test_client().get("/health")


def heard(app: Flask) -> tuple[int, dict[str, str]]:
    """The status and what is not well; first by anyone, without a session or a cookie."""
    answer = asked(app)
    assert answer.json is not None
    assert answer.json.keys() <= WELL.keys()
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, {name: word for name, word in answer.json.items() if word != "ok"}


def test_before_set_up_all_is_well(app: Flask) -> None:
    answer = asked(app)

    assert (answer.status_code, answer.json) == (200, WELL)
    assert app.test_client().head("/health").status_code == 200


def test_a_practice_at_work_is_well(app: Flask, practice: Practice) -> None:
    answer = asked(app)

    assert (answer.status_code, answer.json) == (200, WELL)


def test_a_database_that_does_not_answer_is_an_error(app: Flask, practice: Practice) -> None:
    with transaction() as session:
        session.execute(text("ALTER TABLE practice RENAME TO gone"))

    told = 503, {"status": "error", "database": "out of order"}

    assert heard(app) == told


def test_a_full_disk_is_an_error(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=host.NOTHING, total=host.LEAST_FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert heard(app) == (200, {"status": "degraded", "disk": "nearly full"})

    usage.free -= 1

    assert heard(app) == (503, {"status": "error", "disk": "full"})


@pytest.mark.parametrize(
    ("free", "total", "word"),
    [
        (host.LEAST_FREE, 2 * host.LEAST_FREE, None),
        (host.LEAST_FREE - 1, 2 * host.LEAST_FREE, "nearly full"),
        (49 * host.LEAST_FREE, 1000 * host.LEAST_FREE, "nearly full"),
        (50 * host.LEAST_FREE, 1000 * host.LEAST_FREE, None),
    ],
)
def test_a_disk_that_fills_up_is_told_before_it_is_full(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    total: int,
    word: str | None,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free, total=total))

    assert heard(app) == (200, {"status": "degraded", "disk": word} if word else {})


def test_a_disk_that_takes_nothing_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert heard(app) == (200, {"status": "degraded", "disk": "read-only"})


def test_a_data_directory_that_is_gone_is_an_error(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(shutil, "disk_usage", gone)

    assert heard(app) == (503, {"status": "error", "disk": "gone"})


def test_a_worker_that_has_fallen_silent_is_told(app: Flask, now: Clock) -> None:
    now.move(minutes=5)
    assert heard(app) == (200, {})

    now.move(seconds=1)
    assert heard(app) == (200, {"status": "degraded", "worker": "silent"})

    worker.take_up(app)
    assert heard(app) == (200, {})


def test_a_worker_that_never_spoke_is_told(app: Flask) -> None:
    host._pulse().unlink()

    assert heard(app) == (200, {"status": "degraded", "worker": "silent"})


def test_a_worker_on_another_machine_is_not_missed(app: Flask) -> None:
    host._pulse().unlink()
    here: Installation = app.extensions["installation"]
    elsewhere = replace(here.config, database_url="postgresql+psycopg://db.example/sync")
    app.extensions["installation"] = replace(here, config=elsewhere)

    assert heard(app) == (200, {})


def record() -> None:
    with transaction() as session:
        audit.record(session, access.WORKER, Action.CLEANED_UP, count=1)


def test_without_a_backup_the_first_days_are_well(app: Flask, now: Clock) -> None:
    record()
    now.move(days=2, seconds=-1)
    host.beat()
    assert heard(app) == (200, {})

    now.move(seconds=2)
    assert heard(app) == (200, {"status": "degraded", "backup": "none"})


def test_a_backup_counts_once_it_was_read_back_and_until_it_is_old(app: Flask, now: Clock) -> None:
    record()
    now.move(days=30)
    host.beat()
    with transaction() as session:
        made = Backup(at=now(), kind=BackupKind.DAILY, name="a.backup", size=1)
        session.add(made)
    assert heard(app) == (200, {"status": "degraded", "backup": "none"})

    with transaction() as session:
        session.get_one(Backup, 1).verified_at = now()
    assert heard(app) == (200, {})

    now.move(days=2, seconds=1)
    host.beat()
    assert heard(app) == (200, {"status": "degraded", "backup": "old"})


def test_a_connection_that_nobody_sees_to_is_told(
    app: Flask, practice: Practice, now: Clock
) -> None:
    outside = connect(practice, Memory())
    outside.pass_()
    assert heard(app) == (200, {})

    now.move(hours=3)
    host.beat()
    assert heard(app) == (200, {"status": "degraded", "sync": "late"})

    sync.run(outside.id)
    assert heard(app) == (200, {})


def test_a_clock_that_was_set_back_is_told(app: Flask, now: Clock) -> None:
    record()
    now.move(minutes=-1)
    assert heard(app) == (200, {})

    now.move(seconds=-1)
    assert heard(app) == (200, {"status": "degraded", "clock": "behind"})


def test_an_audit_that_was_written_over_is_told(app: Flask, now: Clock) -> None:
    record()
    trail.verify_daily()
    assert heard(app) == (200, {})
    with transaction() as session:
        session.execute(text("UPDATE audit_entry SET actor = 'somebody' WHERE id = 1"))
    now.move(days=1)
    host.beat()

    trail.verify_daily()

    assert heard(app) == (200, {"status": "degraded", "audit": "not as written"})


def test_nobody_learns_how_large_the_practice_is(
    app: Flask, practice: Practice, browser_of: BrowserOf
) -> None:
    text_of_all = " ".join(asked(app).json or {})

    assert not any(sign.isdigit() for sign in asked(app).text + text_of_all)
    assert browser_of("ada@example.com").get("/health").json == asked(app).json
