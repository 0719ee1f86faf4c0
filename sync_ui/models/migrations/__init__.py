"""The database's shape, version by version."""

import sqlite3
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError, ProgrammingError

from sync_ui.errors import CannotStart

# The version that chained the audit.
CHAINED = "0007"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the database to this version's shape (or an earlier one's), in one transaction.

    Raises CannotStart if a newer version of the application has been here.
    The engine must be one of its own: on SQLite foreign keys are off, since
    rebuilding a table under a live ON DELETE CASCADE would erase its children.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _foreign_keys_off)
        engine.dispose()  # connections made before have them on
    found = revision_of(engine)
    if found == head():
        return
    if found is not None and not is_known(found):
        raise CannotStart(
            "the database was made by a newer version of Sync Calendar. Install that version."
        )
    config = _config()
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        _check_foreign_keys(connection)


def write(connection: Connection, message: str) -> None:
    """Draft the migration that the models' changes need (for developers)."""
    config = _config()
    config.attributes["connection"] = connection
    command.revision(config, message, autogenerate=True)


def head() -> str:
    """This version's shape."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def is_known(revision: str) -> bool:
    """Whether this version can bring such a database to its own shape."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def revision_of(engine: Engine) -> str | None:
    """The shape that the database has; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def exists(engine: Engine) -> bool:
    """Whether the database holds the tables of an installation."""
    try:
        return revision_of(engine) is not None
    except (OperationalError, ProgrammingError):
        raise CannotStart("the database that SYNC_DATABASE_URL names does not answer.") from None


def has_chain(engine: Engine) -> bool:
    """Whether the database's audit is chained already, as it is from one version on."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found is not None and found >= CHAINED


@cache
def _scripts() -> ScriptDirectory:
    """Read once: the versions are part of the program."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _foreign_keys_off(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys=OFF")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise CannotStart("a migration would leave broken references; nothing was changed.")
