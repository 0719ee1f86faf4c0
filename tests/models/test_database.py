import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text

from sync_ui.config import Config
from sync_ui.domain import key_sheet
from sync_ui.errors import CannotStart, Unavailable
from sync_ui.models import Practice, db, keys, transaction
from sync_ui.models.database import OLDEST_SQLITE, refuse_old_sqlite
from sync_ui.models.installation import hold, hold_alone, lend, prepare
from sync_ui.services import backups
from sync_ui.services import keys as key_service
from sync_ui.services import practice as practices
from sync_ui.services import restore as restoring
from sync_ui.services.access import COMMAND
from tests.practice import Practice as People
from tests.practice import running


@pytest.mark.bar("D1")
def test_twelve_writers_at_once_lose_nothing(app: Flask) -> None:
    def count_up() -> None:
        with app.app_context():
            for _ in range(10):
                with transaction() as session:
                    session.get_one(Practice, 1).days_back += 1

    before = db.session.get_one(Practice, 1).days_back
    db.session.rollback()
    threads = [threading.Thread(target=count_up) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert db.session.get_one(Practice, 1).days_back == before + 120


@pytest.mark.bar("D1")
def test_what_was_read_before_is_read_again_inside_a_transaction(app: Flask) -> None:
    ours = db.session.get_one(Practice, 1)
    assert ours.name == "My practice"

    def rename() -> None:
        with app.app_context(), transaction() as session:
            session.get_one(Practice, 1).name = "Theirs"

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()

    assert ours.name == "My practice"
    with transaction():
        assert ours.name == "Theirs"


@pytest.mark.bar("D2")
def test_a_use_case_that_fails_leaves_nothing(app: Flask) -> None:
    def fail() -> None:
        with transaction() as session:
            session.get_one(Practice, 1).name = "Half done"
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert db.session.get_one(Practice, 1).name == "My practice"


def test_a_use_case_inside_another_is_a_mistake(app: Flask) -> None:
    with pytest.raises(RuntimeError), transaction(), transaction():
        pass


@pytest.mark.bar("L14")
def test_reading_transactions_cannot_write(app: Flask) -> None:
    db.session.scalar(select(Practice.id))
    with pytest.raises(RuntimeError, match="transaction"):
        db.session.execute(text("UPDATE practice SET name = 'Sneaked in'"))
    db.session.rollback()


@pytest.mark.bar("L5")
def test_nothing_in_the_file_can_be_read_without_its_key(app: Flask, data_dir: Path) -> None:
    with transaction() as session:
        session.get_one(Practice, 1).name = "Willow Lane"

    files = [path for path in data_dir.iterdir() if path.name.startswith("sync.db")]
    assert {"sync.db", "sync.db-wal"} <= {path.name for path in files}
    for path in files:
        assert b"Willow" not in path.read_bytes()
        assert not path.read_bytes().startswith(b"SQLite format")
        assert path.stat().st_mode & 0o077 == 0


def test_a_second_start_finds_everything_as_it_was(config: Config) -> None:
    keys = {path.name: path.read_text() for path in config.data_dir.glob("*.key")}

    again = prepare(config)

    assert {path.name: path.read_text() for path in config.data_dir.glob("*.key")} == keys
    assert again.keys.token.hex() == keys["token.key"].strip()
    for name in keys:
        assert (config.data_dir / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.bar("L6", "O6")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (name, content)
        for name in ("database.key", "token.key", "secret.key")
        for content in (None, "", "abc", "g" * 64, "ab" * 31)
        if (name, content) != ("secret.key", None)
    ],
)
def test_a_missing_short_or_damaged_key_refuses_to_start(
    config: Config, name: str, content: str | None
) -> None:
    """SECURITY L6."""
    path = config.data_dir / name
    path.unlink()
    if content is not None:
        path.write_text(content)

    with pytest.raises(CannotStart, match=name):
        prepare(config)

    assert path.exists() == (content is not None)


@pytest.mark.bar("L6", "O6")
def test_a_secret_that_is_lost_is_made_anew_since_nothing_is_sealed_with_it(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepare(config).keys
    path = config.data_dir / "secret.key"
    path.unlink()

    after = prepare(config).keys

    assert (after.database, after.token) == (before.database, before.token)
    assert after.secret != before.secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert "secret.key was missing" in caplog.text
    (config.data_dir / "token.key").unlink()
    path.unlink()
    with pytest.raises(CannotStart, match=r"token\.key is missing"):
        prepare(config)
    assert not path.exists()


def lose_database(config: Config, how: str) -> None:
    db.session.remove()
    db.engine.dispose()
    path = config.data_dir / "sync.db"
    path.unlink()
    if how == "empty":
        path.touch()


@pytest.mark.bar("B3", "D5", "O6")
@pytest.mark.parametrize("how", ["missing", "empty"])
@pytest.mark.parametrize("trace", ["audit.head", "revoked.log", "backups"])
def test_a_lost_database_is_never_taken_for_an_empty_practice(
    app: Flask, config: Config, how: str, trace: str
) -> None:
    lose_database(config, how)
    prepare(config)  # without a trace it is a first start
    lose_database(config, how)
    path = config.data_dir / trace
    if trace == "backups":
        path.mkdir()
        (path / "sync-20261123T170000Z.backup").write_bytes(b"SyncBkp1")
    else:
        path.write_text({"audit.head": f"7 {'ab' * 32}\n", "revoked.log": "dead\n"}[trace])

    with pytest.raises(CannotStart, match=f"the database is missing or empty.*{trace}.*restore"):
        prepare(config)

    assert (config.data_dir / "sync.db").exists() == (how == "empty")


@pytest.mark.bar("B3")
def test_a_lost_database_is_restored_with_the_keys_that_are_there(
    config: Config, practice: People, tmp_path: Path
) -> None:
    backups.write(COMMAND, tmp_path / "a.backup")
    sheet = [
        str(line)
        for name in keys.NAMES
        for line in key_sheet.lines(name, keys.ring(config.data_dir, name)[0])
    ]
    lose_database(config, "missing")
    (config.data_dir / "database.key").unlink()
    with pytest.raises(CannotStart):
        prepare(config)

    key_service.enter(config, sheet)
    with hold_alone(config):
        restoring.restore(lend(Flask("mending"), config), tmp_path / "a.backup")

    for _ in running(config):
        assert practices.is_set_up()


@pytest.mark.bar("L6", "D5")
@pytest.mark.parametrize("name", ["database.key", "token.key"])
def test_the_key_of_another_installation_refuses_to_start(config: Config, name: str) -> None:
    """SECURITY L6."""
    (config.data_dir / name).write_text("ab" * 32)

    with pytest.raises(CannotStart, match=name):
        prepare(config)


@pytest.mark.bar("D4")
def test_an_sqlite_that_can_corrupt_data_is_refused() -> None:
    refuse_old_sqlite(OLDEST_SQLITE)

    with pytest.raises(CannotStart, match=r"3\.51\.2"):
        refuse_old_sqlite((3, 51, 2))


@pytest.mark.bar("D8")
def test_a_second_server_on_the_same_directory_is_refused(config: Config) -> None:
    with hold(config.data_dir), pytest.raises(CannotStart), hold(config.data_dir):
        pass

    with hold(config.data_dir):
        pass


@pytest.mark.bar("D8", "O6")
def test_whoever_mends_is_told_to_stop_the_server_and_not_to_go_elsewhere(config: Config) -> None:
    with hold(config.data_dir), pytest.raises(CannotStart) as refused, hold_alone(config):
        pass

    assert "Stop it first" in str(refused.value)
    assert "SYNC_DATA_DIR" not in str(refused.value)


@pytest.mark.bar("B5")
def test_a_database_of_a_newer_version_is_refused(app: Flask, config: Config) -> None:
    with transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(CannotStart, match="newer version"):
        prepare(config)


@pytest.mark.bar("D5")
def test_a_damaged_file_is_refused(config: Config) -> None:
    path = config.data_dir / "sync.db"
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])

    with pytest.raises(CannotStart):
        prepare(config)


def test_an_empty_directory_becomes_an_installation(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "new" / "instance", base_url="http://127.0.0.1:8000")

    prepare(config)

    assert config.data_dir.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in config.data_dir.glob("*.key")) == [
        "database.key",
        "secret.key",
        "token.key",
    ]


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotStart, match="SYNC_DATA_DIR"):
        prepare(Config(data_dir=tmp_path / "file" / "instance", base_url="http://127.0.0.1"))


def test_a_database_server_that_does_not_answer_is_one_sentence(config: Config) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"

    with pytest.raises(CannotStart, match="SYNC_DATABASE_URL"):
        prepare(replace(config, database_url=url))


@pytest.mark.bar("L4")
def test_an_old_copy_of_the_database_revives_no_key(config: Config, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(config.data_dir, copy)
    (copy / "database.key").unlink()

    with pytest.raises(CannotStart, match="recovery copy"):
        prepare(replace(config, data_dir=copy))

    assert not (copy / "database.key").exists()


def test_a_key_with_wider_rights_is_its_owners_alone_again(config: Config) -> None:
    path = config.data_dir / "token.key"
    path.chmod(0o644)

    prepare(config)

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.bar("D3")
def test_a_directory_that_cannot_be_written_to_is_one_sentence(config: Config) -> None:
    lock = config.data_dir / "prepare.lock"
    lock.unlink()
    lock.mkdir()

    with pytest.raises(CannotStart, match="SYNC_DATA_DIR"):
        prepare(config)


@pytest.mark.bar("D3")
def test_a_full_disk_changes_nothing_and_says_so(app: Flask, practice: People) -> None:
    """D7: SQLite is allowed no page more than it has."""
    pages = db.session.scalar(text("PRAGMA page_count"))
    db.session.execute(text(f"PRAGMA max_page_count = {pages}"))

    def add_many() -> None:
        for number in range(1000):
            practices.add_location(practice.ada, f"Room {number:0>90}")

    with pytest.raises(Unavailable, match=r"The disk is full. Nothing was changed"):
        add_many()
    db.session.execute(text(f"PRAGMA max_page_count = {pages + 1000}"))

    practices.add_location(practice.ada, "Attic")

    assert "Attic" in practices.location_names()
