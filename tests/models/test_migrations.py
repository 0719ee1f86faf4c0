from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, event, func, select

from sync_ui.models import database, migrations
from sync_ui.models.database import Row

KEY = bytes(range(32))


@pytest.fixture
def sqlcipher(tmp_path: Path) -> Iterator[Engine]:
    engine = database.make_engine(tmp_path, None, KEY)
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(empty_postgresql_url: str, tmp_path: Path) -> Iterator[Engine]:
    url = empty_postgresql_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = database.make_engine(tmp_path, url, b"")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlcipher", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    assert migrations.exists(engine) is False

    migrations.upgrade(engine)

    assert migrations.exists(engine) is True
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Row.metadata) == []


def test_the_second_upgrade_changes_nothing(engine: Engine) -> None:
    migrations.upgrade(engine)
    written = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        if statement.split(maxsplit=1)[0].upper() in {
            "INSERT",
            "UPDATE",
            "CREATE",
            "ALTER",
            "DROP",
        }:
            written.append(statement)

    migrations.upgrade(engine)

    assert written == []


@pytest.mark.bar("B4")
def test_no_table_is_rebuilt_under_a_live_cascade(sqlcipher: Engine) -> None:
    """Also on connections that were made, with foreign keys on, before the migration."""
    database.check_opens(sqlcipher)
    with sqlcipher.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    seen = []

    @event.listens_for(sqlcipher, "before_cursor_execute")
    def look(_: Connection, cursor: object, statement: str, *__: object) -> None:
        if statement.lstrip().upper().startswith("CREATE TABLE"):
            answer = cursor.connection.execute("PRAGMA foreign_keys")  # type: ignore[attr-defined]
            seen.append(answer.fetchone()[0])

    migrations.upgrade(sqlcipher)

    assert set(seen) == {0}


AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def schedule_of_the_first_version() -> dict[str, list[dict[str, Any]]]:
    """Two clinicians; Jane comes to the first of them every week."""
    told = {"kind": "session", "title": "", "location": "Room 2", "note": "Bring form"}
    when = {"zone": "UTC", "starts_local": AT.replace(tzinfo=None), "all_day": False}
    series = {"exceptions": [], "additions": [], "client_ids": [1], "extended_until": AT}
    turn = {"uid": "u-1", "status": "scheduled", "revision": 3, "changed_at": AT}
    jane = {"first_name": "Jane", "last_name": "Smith", "preferred_name": "", "internal_id": "1042"}
    return {
        "clinician": [
            {"id": 1, "name": "Dr. Ünlü", "created_at": AT},
            {"id": 2, "name": "Anna Bergström", "created_at": AT},
        ],
        "client": [jane | {"id": 1, "created_at": AT}],
        "location": [{"id": 1, "name": "Room 2"}],
        "series": [
            told
            | when
            | series
            | {"id": 1, "clinician_id": 1, "rule": "FREQ=WEEKLY", "created_at": AT}
            | {"ends_local": AT.replace(tzinfo=None, hour=18)}
        ],
        "appointment": [
            told
            | when
            | turn
            | {"id": 1, "clinician_id": 1, "series_id": 1, "occurrence": "2026-11-23T17:00:00"}
            | {"starts_at": AT, "ends_at": AT.replace(hour=18), "created_at": AT}
        ],
        "appointment_client": [{"appointment_id": 1, "client_id": 1, "position": 0}],
    }


def upgrade_to(connection: Connection, revision: str) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def fill(connection: Connection) -> None:
    tables = MetaData()
    tables.reflect(connection)
    for name, rows in schedule_of_the_first_version().items():
        for row in rows:
            values = {column: _stored(value, connection) for column, value in row.items()}
            connection.execute(tables.tables[name].insert(), values)


def _stored(value: object, connection: Connection) -> object:
    if isinstance(value, datetime) and connection.dialect.name == "sqlite":
        return value.replace(tzinfo=None)
    return value


@pytest.mark.bar("B4")
def test_a_schedule_of_the_first_version_is_kept_whole(engine: Engine) -> None:
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        upgrade_to(connection, "0001")
        fill(connection)
    engine.dispose()

    migrations.upgrade(engine)

    tables = Row.metadata.tables
    with engine.connect() as connection:
        for name, rows in schedule_of_the_first_version().items():
            table = tables[name]
            assert connection.scalar(select(func.count()).select_from(table)) == len(rows)
            kept = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            for row, found in zip(rows, kept, strict=True):
                assert {column: found[column] for column in row} == row
        clinician = tables["clinician"]
        colours = connection.scalars(select(clinician.c.colour).order_by(clinician.c.id)).all()
        turn = connection.execute(select(tables["appointment"])).mappings().one()
    assert [colour.value for colour in colours] == ["teal", "blue"]
    assert (turn["own"], turn["type_id"], turn["telehealth_address"]) == ([], None, "")
