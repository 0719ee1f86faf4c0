"""The worker: what a change owes is done, woken or not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from huey import PostgresHuey, RedisHuey, SqliteHuey
from huey.api import Huey
from sqlalchemy import select

from sync_ui import worker
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.models import Appointment, Link, db, transaction
from sync_ui.services import links, uploads
from tests.practice import NOW, Book, Clock, Practice


@pytest.fixture
def late_link(practice: Practice, now: Clock) -> int:
    """Its time is over, and nobody has noticed."""
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.BUSY,
        expires_at=NOW + timedelta(hours=1),
    )
    now.move(hours=2)
    return link.id


def ended(link_id: int) -> bool:
    db.session.rollback()
    disabled_at = db.session.scalar(select(Link.disabled_at).where(Link.id == link_id))
    return disabled_at is not None


def run_next(huey: Huey) -> bool:
    """As the worker's own process does."""
    task = huey.dequeue()
    if task is None:
        return False
    huey.execute(task)
    return True


def test_a_woken_worker_looks_at_once(app: Flask, late_link: int) -> None:
    huey: Any = app.extensions["huey"]

    worker.wake(app)
    assert ended(late_link) is False

    assert run_next(huey) is True
    assert ended(late_link) is True
    assert run_next(huey) is False


@pytest.mark.bar("D9")
def test_nobody_has_to_wake_it(app: Flask, late_link: int) -> None:
    huey: Any = app.extensions["huey"]
    [each_minute] = huey.read_periodic(NOW.replace(tzinfo=None))

    huey.execute(each_minute)

    assert ended(late_link) is True


@pytest.mark.bar("D9", "O3")
def test_a_task_carries_nothing_but_its_name(app: Flask, config: Config, late_link: int) -> None:
    worker.wake(app)

    huey: Any = app.extensions["huey"]
    [task] = huey.pending()
    assert (task.name, task.args, task.kwargs) == ("sweep_now", (), {})
    assert b"Phone" not in (config.data_dir / "tasks.db").read_bytes()


@pytest.mark.bar("D9")
def test_a_worker_that_cannot_be_woken_does_not_fail_the_change(
    app: Flask, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("no space left for anna@example.com")

    app.extensions["sweep_now"] = fail

    worker.wake(app)

    assert caplog.messages == ["The worker could not be woken: OSError"]


def test_its_queue_lives_where_the_settings_say(tmp_path: Path) -> None:
    here = Config(data_dir=tmp_path, base_url="http://127.0.0.1:8000")

    assert isinstance(worker.make_huey(here), SqliteHuey)
    assert (tmp_path / "tasks.db").exists()
    several = replace(here, redis_url="redis://127.0.0.1:1/0")
    assert isinstance(worker.make_huey(several), RedisHuey)


def test_with_postgresql_the_queue_lives_there(empty_postgresql_url: str, tmp_path: Path) -> None:
    url = empty_postgresql_url.replace("postgresql://", "postgresql+psycopg://", 1)
    there = Config(data_dir=tmp_path, base_url="http://127.0.0.1:8000", database_url=url)

    huey = worker.make_huey(there)

    assert isinstance(huey, PostgresHuey)
    assert not (tmp_path / "tasks.db").exists()


@pytest.mark.bar("D9")
def test_a_new_worker_looks_again_when_the_lease_of_one_that_died_is_over(app: Flask) -> None:
    huey: Any = app.extensions["huey"]
    before = datetime.now(UTC).replace(tzinfo=None)

    worker.take_up(app)

    laws, at_once, daily, later = huey.pending()
    assert (laws.name, at_once.name, daily.name) == ("repair_zones", "sweep_now", "look_daily")
    assert later.name == "sweep_now"
    assert (laws.eta, at_once.eta) == (None, None)
    assert uploads.LEASE < later.eta - before < uploads.LEASE + timedelta(minutes=1)


def test_new_laws_of_the_zones_are_looked_at_first(app: Flask, book: Book) -> None:
    huey: Any = app.extensions["huey"]
    appointment_id, starts_at = book().id, book(at="2026-12-01 10:00").starts_at
    with transaction() as session:
        session.get_one(Appointment, appointment_id).starts_local += timedelta(days=7)

    app.extensions["repair_zones"]()

    assert run_next(huey) is True
    db.session.rollback()
    assert db.session.get_one(Appointment, appointment_id).starts_at == starts_at
