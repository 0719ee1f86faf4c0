"""A damaged database: found, told of, changed no more, and trusted again once it is whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import CannotStart, Unavailable
from sync_ui.models import Appointment, AuditEntry, Client, Row, db, installation, transaction
from sync_ui.services import check, damage, links, upkeep
from sync_ui.services import practice as practices
from tests.practice import Book, Clock, Practice, running, token_of

BrowserOf = Callable[[str], FlaskClient]

PAGE = 4096


@pytest.fixture
def config(data_dir: Path) -> Config:
    """PostgreSQL looks after its own files."""
    return Config(data_dir=data_dir, base_url="https://calendar.example.com")


def flip(config: Config, page: int) -> None:
    """One byte of a page, by a cosmic ray or a dying disk."""
    path = config.data_dir / "sync.db"
    at = page * PAGE + 100
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def pages(config: Config) -> int:
    return (config.data_dir / "sync.db").stat().st_size // PAGE


@pytest.fixture
def damaged(app: Flask, config: Config, practice: Practice, book: Book) -> str:
    """The last page is broken: an empty table's, so that much can still be read. A link's path."""
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    path = f"/cal/{token_of(link)}/x.ics"
    db.session.remove()
    db.engine.dispose()
    shutil.copytree(config.data_dir, config.data_dir.parent / "backup")
    assert app.test_client().get(path).status_code == 200
    db.session.remove()
    db.engine.dispose()
    flip(config, _page_of_an_unused_table(config))
    return path


def _page_of_an_unused_table(config: Config) -> int:
    with transaction() as session:
        found = session.connection().exec_driver_sql(
            "SELECT rootpage FROM sqlite_master WHERE name = 'proposal'"
        )
        page: int = found.scalar_one()
    db.session.remove()
    db.engine.dispose()
    return page - 1


@pytest.mark.bar("D5", "O8")
def test_damage_stops_changes_in_every_process_and_is_told(
    config: Config, practice: Practice, damaged: str
) -> None:
    assert not damage.is_known()

    assert not damage.look()

    for app in running(config):  # another process, after a restart
        with pytest.raises(Unavailable, match="The database is damaged"):
            practices.add_location(practice.ada, "Attic")
        assert app.test_client().get(damaged).status_code == 200
        answer = app.test_client().get("/health")
        assert (answer.status_code, answer.get_json()["database"]) == (503, "damaged")
        [finding] = [found for found in check.findings() if found.subject == "database"]
        assert (finding.ok, "flask restore FILE" in finding.words) == (False, True)
        upkeep.sweep()  # which would fail at every part


@pytest.mark.bar("D5")
def test_a_database_that_is_put_back_is_trusted_again(
    config: Config, practice: Practice, damaged: str
) -> None:
    damage.look()
    assert damage.is_known()
    db.session.remove()
    db.engine.dispose()
    shutil.copy(config.data_dir.parent / "backup" / "sync.db", config.data_dir / "sync.db")

    assert damage.look()

    practices.add_location(practice.ada, "Attic")
    assert "Attic" in practices.location_names()


@pytest.mark.bar("D5")
def test_the_worker_looks_at_its_start_and_once_a_day(
    practice: Practice, damaged: str, now: Clock
) -> None:
    upkeep.look_daily()
    assert damage.is_known()

    installation.current().damage.forget()
    now.move(hours=23)
    upkeep.look_daily()
    assert not damage.is_known()

    now.move(hours=1)
    upkeep.look_daily()
    assert damage.is_known()


@pytest.mark.bar("D5")
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_one_wrong_bit_in_any_page_is_found(
    config: Config, practice: Practice, share: float
) -> None:
    assert damage.look()
    db.session.remove()
    db.engine.dispose()

    flip(config, int(pages(config) * share))

    assert not damage.look()


@pytest.mark.bar("D5")
def test_a_damaged_first_page_refuses_to_start(config: Config, practice: Practice) -> None:
    db.session.remove()
    db.engine.dispose()
    flip(config, 0)

    with pytest.raises(CannotStart, match=r"does not open with the key in database\.key"):
        installation.prepare(config)


@pytest.mark.bar("D5")
def test_damage_met_while_writing_is_remembered(
    config: Config, practice: Practice, damaged: str, book: Book
) -> None:
    flip(config, _root_of(Appointment) - 1)
    assert not damage.is_known()

    with pytest.raises(Unavailable, match="The database is damaged"):
        book(practice.mark, at="2026-11-25 10:00")

    assert damage.is_known()


@pytest.mark.bar("D5", "O8")
def test_damage_met_while_reading_is_told_as_damage(
    config: Config, practice: Practice, damaged: str, app: Flask, browser_of: BrowserOf
) -> None:
    browser = browser_of("ada@example.com")
    assert browser.get("/clients").status_code == 200
    flip(config, _root_of(Client) - 1)
    db.session.remove()
    db.engine.dispose()
    assert not damage.is_known()

    answer = browser.get("/clients")

    assert answer.status_code == 503
    assert "The database is damaged" in answer.text
    assert damage.is_known()
    health = app.test_client().get("/health")
    assert (health.status_code, health.get_json()["database"]) == (503, "damaged")


@pytest.mark.bar("D5", "O8")
def test_whatever_of_a_badly_damaged_database_cannot_be_looked_at_is_told_beside_the_rest(
    config: Config, practice: Practice
) -> None:
    """Every seventh page from the thirtieth on."""
    subjects = [found.subject for found in check.findings()]
    db.session.remove()
    db.engine.dispose()
    for page in range(30, pages(config), 7):
        flip(config, page)
    flip(config, _root_of(AuditEntry) - 1)

    found = {finding.subject: finding for finding in check.findings()}

    assert set(subjects) >= set(found) >= {"database", "disk", "database.key", "worker"}
    assert (found["database"].ok, "flask restore FILE" in found["database"].words) == (False, True)
    assert found["clock"].words == "could not be looked at."
    assert found["disk"].ok


def _root_of(table: type[Row]) -> int:
    with db.engine.connect() as connection:
        page: int = connection.exec_driver_sql(
            f"SELECT rootpage FROM sqlite_master WHERE name = '{table.__tablename__}'"
        ).scalar_one()
    db.engine.dispose()
    return page
