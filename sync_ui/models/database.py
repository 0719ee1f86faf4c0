"""The engine: an encrypted SQLite file by default, PostgreSQL by setting.

Both behave alike. A reading transaction sees one moment; writing transactions
run one after the other, so that nobody's change is lost: SQLite by BEGIN
IMMEDIATE, PostgreSQL by one advisory lock.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from sync_ui.errors import CannotStart, Unavailable
from sync_ui.models.damage import DAMAGED, sentence_for

# Earlier versions can corrupt a database that two connections write to at once.
OLDEST_SQLITE = (3, 51, 3)

# Threads of the web server, and one for the visits.
POOL_SIZE = 17

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "temp_store=MEMORY",
    "mmap_size=0",
    "secure_delete=ON",
    # Behind a long reader the log grows; once it is gone, the file is cut back to its usual size.
    "journal_size_limit=4194304",
)

# Any fixed number: the one lock that writers of this application share.
WRITERS_LOCK = 0x53594E43


class Row(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(metadata=Row.metadata)


class Instant(TypeDecorator[datetime]):
    """A moment, aware and in UTC in Python whatever the database stores."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def sqlite_path(data_dir: Path) -> Path:
    return data_dir / "sync.db"


def engine_options(database_url: str | None) -> dict[str, Any]:
    """What the engine is made with; raises CannotStart for an unsafe SQLite."""
    shared = {
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "hide_parameters": True,  # errors end in logs, and the values are clients' data
    }
    if database_url:
        return {**shared, "pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
    refuse_old_sqlite(sqlcipher.sqlite_version_info)
    return {
        **shared,
        "module": sqlcipher,
        "pool_timeout": 10,
        "connect_args": {"timeout": 10},
    }


def refuse_old_sqlite(version: tuple[int, ...]) -> None:
    if version < OLDEST_SQLITE:
        found, wanted = (".".join(map(str, v)) for v in (version, OLDEST_SQLITE))
        raise CannotStart(
            f"SQLite {found} can corrupt data; {wanted} or later is needed. "
            "Install the pinned dependencies again."
        )


def make_engine(data_dir: Path, database_url: str | None, database_key: bytes) -> Engine:
    """An engine of its own, outside an application; used for migrations."""
    if database_url is None:
        return file_engine(sqlite_path(data_dir), database_key)
    engine = create_engine(database_url, **engine_options(database_url))
    prepare_engine(engine, lambda: database_key)
    return engine


def file_engine(path: Path, database_key: bytes) -> Engine:
    """The same on any encrypted file."""
    engine = create_engine(f"sqlite:///{path}", **engine_options(None))
    prepare_engine(engine, lambda: database_key)
    return engine


def init_app(
    app: Flask, data_dir: Path, database_url: str | None, database_key: Callable[[], bytes]
) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url or f"sqlite:///{sqlite_path(data_dir)}"
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(database_url)
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine, database_key)


def prepare_engine(engine: Engine, database_key: Callable[[], bytes]) -> None:
    """Teach the engine to unlock the file and to begin transactions as promised."""
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, database_key)
    else:
        _prepare_postgresql(engine)


def _prepare_sqlite(engine: Engine, database_key: Callable[[], bytes]) -> None:
    @event.listens_for(engine, "connect")
    def unlock(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not in the driver
        connection.execute("PRAGMA cipher_log_level=NONE")  # we say ourselves what is wrong
        # The raw key form needs no key derivation: 0.1 ms instead of 76.
        connection.execute(f"PRAGMA key=\"x'{database_key().hex()}'\"")
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN DEFERRED")

    @event.listens_for(engine, "before_cursor_execute")
    def refuse_to_write(connection: Connection, _: object, statement: str, *__: object) -> None:
        # As cheap as it is plain; PRAGMA query_only would make every statement be planned anew.
        writes = statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}
        if writes and not connection.get_execution_options().get("writing"):
            raise RuntimeError("Changes are made inside `transaction()` only.")


def _prepare_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writing"):
            # Waiting comes first: the snapshot of what is read afterwards is fresh.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (WRITERS_LOCK,))
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


@contextmanager
def transaction() -> Iterator[Session]:
    """One use case: all of it is stored, or none.

    Whatever was read before is read again inside, under the writers' lock, so
    that a decision is never taken on what another has changed meanwhile. Keep
    it short: no network, no hashing, no rendering inside.
    """
    session = db.session()
    if session.info.get("writing"):
        raise RuntimeError("A use case is one transaction; call none inside another.")
    session.rollback()
    session.info["writing"] = True
    try:
        _begin_writing(session)
        yield session
        session.commit()
        _raise_head(session)
        _tell(session)
    except DBAPIError as error:
        session.rollback()
        raise _translated(error) from None
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info["writing"] = False
        session.info.pop("owes", None)
        session.info.pop("newest_entry", None)


def owes_more(session: Session) -> None:
    """The transaction under way leaves something for the worker to do: it is woken afterwards."""
    session.info["owes"] = True


def _raise_head(session: Session) -> None:
    newest = session.info.pop("newest_entry", None)
    if newest is not None:
        current_app.extensions["installation"].head.raise_to(newest)


def _tell(session: Session) -> None:
    if session.info.pop("owes", False):
        current_app.extensions.get("wake", _nobody)()


def _nobody() -> None:
    """Outside the application nobody has to be woken: a sweep finds what is owed."""


def _translated(error: DBAPIError) -> Exception:
    """What is the disk's fault, or the file's, is said in a sentence."""
    told = sentence_for(error)
    current_app.extensions["installation"].damage.notice(error)
    return error if told is None else Unavailable(told)


def _begin_writing(session: Session) -> None:
    if current_app.extensions["installation"].damage.is_known():
        raise Unavailable(DAMAGED)
    try:
        session.connection(execution_options={"writing": True})
    except (OperationalError, PoolTimeoutError) as error:
        if isinstance(error, OperationalError) and sentence_for(error):
            raise _translated(error) from None
        raise Unavailable(
            "The database is busy or cannot be written to. Nothing was changed; try again."
        ) from None


def wipe_log(engine: Engine) -> bool:
    """What was deleted is not in the file's log any more; in the file it is zeros already.

    False while somebody is reading or writing: nobody waits for this. PostgreSQL
    has its own ways.
    """
    if engine.dialect.name != "sqlite":
        return True
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout=0")
        [(busy, _, _)] = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        cursor.execute("PRAGMA busy_timeout=10000")
        return not busy
    finally:
        raw.close()


def check_opens(engine: Engine) -> None:
    """Raises CannotStart when the key is wrong or the database cannot be reached."""
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.execute(text("SELECT count(*) FROM sqlite_master"))
            else:
                connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        if engine.dialect.name != "sqlite":
            raise CannotStart(
                "the database that SYNC_DATABASE_URL names does not answer."
            ) from None
        if "locked" in str(error) or "readonly" in str(error) or "unable to open" in str(error):
            raise CannotStart("the database file cannot be opened or is locked.") from None
        raise CannotStart(
            "the database does not open with the key in database.key: it is the key of another "
            "database, or the file is damaged. Put the right key or a backup back."
        ) from None
