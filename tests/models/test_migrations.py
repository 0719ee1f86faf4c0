from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, event

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
