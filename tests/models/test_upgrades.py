"""Every earlier shape of the database, full of data, comes to this version's without a loss."""

import multiprocessing
import os
import re
import shutil
import signal
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, MetaData, Table, event, func, select

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import CannotStart
from sync_ui.models import (
    Calendar,
    copying,
    database,
    db,
    installation,
    keys,
    migrations,
    moving,
)
from sync_ui.services import demo, feeds, links
from sync_ui.services.access import COMMAND
from tests.practice import Clock, running, token_of

EARLIER = ["0001", "0002", "0003", "0004", "0005", "0006"]

# Whoever was signed in signs in once more: the shape of sessions changed.
ENDED = {"session"}

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Full:
    """A demo practice with something in every table, and what one of its links serves."""

    data_dir: Path
    rows: Rows
    token: str
    feed: list[str]


def config_of(data_dir: Path) -> Config:
    return Config(data_dir=data_dir, base_url="https://calendar.example.com")


def served(config: Config, token: str) -> list[str]:
    """The lines of the feed, without the stamps that say when something was made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", Clock())
        for _ in running(config):
            text = feeds.read(token).body.decode()
    stamps = re.compile(r"DTSTAMP|LAST-MODIFIED|X-PUBLISHED")
    return [line for line in text.split("\r\n") if not stamps.match(line)]


@pytest.fixture(scope="session")
def full(empty_installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Full:
    data_dir = tmp_path_factory.mktemp("full") / "instance"
    shutil.copytree(empty_installation, data_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", Clock())
        for _ in running(config_of(data_dir)):
            demo.fill(password="a long enough password", clinicians=2, weeks=6)
            clinicians = select(Calendar).where(Calendar.clinician_id.is_not(None))
            calendar = db.session.scalars(clinicians.order_by(Calendar.id)).first()
            assert calendar is not None
            link = links.create(COMMAND, links.key(calendar), "Phone", DisplayMode.INITIALS)
            token = token_of(link)
    config = config_of(data_dir)
    feed = served(config, token)
    engine = engine_of(config)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        fill_the_rest(connection)
    found = rows_of(engine)
    engine.dispose()
    assert len([line for line in feed if line == "BEGIN:VEVENT"]) > 20
    assert [name for name, rows in found.items() if not rows] == []
    return Full(data_dir, found, token, feed)


def engine_of(config: Config) -> Engine:
    key = keys.load(config.data_dir).database
    return database.make_engine(config.data_dir, config.database_url, key)


def tables_of(connection: Connection) -> list[Table]:
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def rows_of(engine: Engine) -> Rows:
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in tables_of(connection)
        }


def fill_the_rest(connection: Connection) -> None:
    """Three plausible rows in each table that the demo leaves empty."""
    for table in tables_of(connection):
        if connection.scalar(select(func.count()).select_from(table)):
            continue
        for number in (1, 2, 3):
            connection.execute(
                table.insert(),
                {column.name: value_of(connection, column, number) for column in table.columns},
            )


def value_of(connection: Connection, column: Any, number: int) -> Any:
    if column.foreign_keys:
        [key] = column.foreign_keys
        wanted = select(key.column).order_by(key.column).offset(number - 1).limit(1)
        return connection.scalar(wanted) or connection.scalar(select(func.min(key.column)))
    if isinstance(column.type, sa.JSON):
        return {"of": f"{column.table.name} {number}"}
    if isinstance(column.type, sa.LargeBinary):
        return bytes(range(number, 40))
    if isinstance(column.type, sa.DateTime):
        return datetime(2026, 11, number, 9, 30)
    if isinstance(column.type, sa.Date):
        return date(2026, 12, number)
    if isinstance(column.type, sa.Boolean):
        return number % 2 == 0
    if isinstance(column.type, sa.Integer):
        return number
    return f"{column.table.name} {column.name} Zoë {number}"


@pytest.fixture
def data_dir(full: Full, tmp_path: Path) -> Path:
    """Another data directory with the same keys, and no database yet."""
    made = tmp_path / "instance"
    made.mkdir()
    for name in keys.NAMES:
        shutil.copy(keys.path_of(full.data_dir, name), made)
    return made


@pytest.fixture(params=["sqlcipher", "postgresql"])
def config(request: pytest.FixtureRequest, data_dir: Path) -> Config:
    if request.param == "sqlcipher":
        return config_of(data_dir)
    url: str = request.getfixturevalue("empty_postgresql_url")
    return replace(config_of(data_dir), database_url=url.replace(":", "+psycopg:", 1))


def make_earlier(full: Full, config: Config, revision: str) -> Rows:
    """A database of the earlier shape, with as much of the data as fits in."""
    engine = engine_of(config)
    migrations.upgrade(engine, revision)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        tables = tables_of(connection)
        for table in reversed(tables):
            connection.execute(table.delete())
        for table in tables:
            rows = [as_stored(table, row) for row in full.rows[table.name]]
            connection.execute(table.insert(), rows)
            if engine.dialect.name == "postgresql":
                moving._go_on_counting(connection, table)
    found = rows_of(engine)
    engine.dispose()
    assert min(len(rows) for rows in found.values()) > 0
    return found


def as_stored(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """The row's values for the table's columns; PostgreSQL says of a moment that it is in UTC."""
    values = {column.name: row[column.name] for column in table.columns}
    return values | {
        column.name: values[column.name].replace(tzinfo=UTC)
        for column in table.columns
        if getattr(column.type, "timezone", False) and values[column.name]
    }


def check_references(connection: Connection) -> None:
    """SQLite has them unchecked during an upgrade; PostgreSQL has to go on counting."""
    if connection.dialect.name == "sqlite":
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        return
    for table in tables_of(connection):
        [key, *more] = table.primary_key
        sequence = func.pg_get_serial_sequence(f'"{table.name}"', key.name)
        if not more and connection.scalar(select(sequence)):
            latest = select(func.coalesce(func.max(key), 0)).scalar_subquery()
            assert connection.scalar(select(func.nextval(sequence) > latest)), table.name


def projected(after: Rows, before: Rows) -> Rows:
    """Of what there is now, the tables and columns that there were."""
    return {
        name: [{key: row[key] for key in rows[0]} for row in after[name]]
        for name, rows in before.items()
        if name not in ENDED
    }


@pytest.mark.bar("B4")
@pytest.mark.parametrize("revision", EARLIER)
def test_every_row_every_reference_and_every_feed_is_kept(
    full: Full, config: Config, revision: str
) -> None:
    before = make_earlier(full, config, revision)

    installation.prepare(config)

    engine = engine_of(config)
    after = rows_of(engine)
    with engine.connect().execution_options(writing=True) as connection:
        check_references(connection)
    engine.dispose()
    kept = {name: rows for name, rows in before.items() if name not in ENDED}
    found = projected(after, before)
    for rows in (found, kept):
        rows["key_check"] = [row for row in rows["key_check"] if row["name"] in keys.NAMES]
    assert {name: len(rows) for name, rows in found.items()} == {
        name: len(rows) for name, rows in kept.items()
    }
    assert found == kept
    assert served(config, full.token) == full.feed


@pytest.mark.bar("B4")
def test_a_backup_comes_before_an_upgrade_and_can_be_put_back(
    full: Full, config: Config, data_dir: Path
) -> None:
    before = make_earlier(full, config, "0005")
    key = keys.load(data_dir).database

    installation.prepare(config)
    installation.prepare(config)  # which upgrades nothing

    [path] = config.backups.iterdir()
    assert path.name.startswith("before-0005-")
    note = copying.check(path, key)
    assert (note.revision, note.audit) == ("0005", "")
    assert {name: len(rows) for name, rows in before.items()} == {
        name: count for name, count in note.rows.items() if name != "alembic_version"
    }
    copying.unpack(path, key, data_dir / "back.db", key)
    engine = database.file_engine(data_dir / "back.db", key)
    assert migrations.revision_of(engine) == migrations.head()
    assert len(rows_of(engine)["appointment"]) == len(before["appointment"])
    engine.dispose()


@pytest.mark.bar("B4")
def test_without_room_for_its_backup_there_is_no_upgrade(full: Full, data_dir: Path) -> None:
    before = make_earlier(full, config_of(data_dir), "0006")
    config = replace(config_of(data_dir), backup_dir=data_dir / "sync.db" / "nowhere")

    with pytest.raises(CannotStart, match="backup that comes before an upgrade"):
        installation.prepare(config)

    engine = engine_of(config)
    assert migrations.revision_of(engine) == "0006"
    assert rows_of(engine) == before
    engine.dispose()


def upgrade_and_die(data_dir: Path, at: int) -> None:
    """Killed before its so-many-th statement; ends well if there are fewer."""
    left = at

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_: object) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    migrations.upgrade(engine_of(config_of(data_dir)))
    os._exit(max(0, min(left, 1)))


@pytest.mark.bar("B4")
def test_an_upgrade_that_is_killed_leaves_the_old_shape_whole(full: Full, data_dir: Path) -> None:
    """At every seventeenth of its statements."""
    before = make_earlier(full, config_of(data_dir), "0001")
    path = database.sqlite_path(data_dir)
    key = keys.load(data_dir).database
    forked = multiprocessing.get_context("fork")
    deaths = 0

    for at in range(1, 10_000, 17):
        child = forked.Process(target=upgrade_and_die, args=(data_dir, at))
        child.start()
        child.join()
        if child.exitcode != -signal.SIGKILL:
            break
        deaths += 1
        engine = database.file_engine(path, key)
        assert migrations.revision_of(engine) == "0001"
        assert rows_of(engine) == before
        engine.dispose()

    assert deaths > 10
    assert child.exitcode in {0, 1}
    engine = engine_of(config_of(data_dir))
    assert migrations.revision_of(engine) == migrations.head()
    engine.dispose()
