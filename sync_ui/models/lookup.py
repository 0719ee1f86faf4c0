"""One row by one indexed read, as cheap as the database can give it.

No session, no transaction to begin, no objects: what a calendar app that asks
"anything new?" costs, thousands of times a day.
"""

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine, Select, event
from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004 - SQLAlchemy's own

# What a database that hangs may cost a reader before the last good feed is sent.
SECONDS_TO_WAIT = 2

# As many as can read at once; more wait. A PostgreSQL server has few to give.
CONNECTIONS = 4

Row = tuple[Any, ...]


class Lookup:
    """A statement with one parameter, prepared on connections of its own.

    Rows are plain tuples as the driver gives them: to compare, not to compute with.
    """

    def __init__(self, engine: Engine, statement: Select[*tuple[Any, ...]]) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        (self._name,) = compiled.params
        self._sql = str(compiled)
        self._positional = compiled.positional
        self._engine = engine
        self._error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._free: SimpleQueue[_Reader | None] = SimpleQueue()
        for _ in range(CONNECTIONS):
            self._free.put(None)
        event.listen(engine, "engine_disposed", lambda _: self.close())

    def first(self, value: str) -> Row | None:
        """The row as it is committed now; SQLAlchemyError when the database does not answer."""
        try:
            reader = self._free.get(timeout=SECONDS_TO_WAIT)
        except Empty:
            raise TimeoutError("the database does not answer") from None
        try:
            # A connection may have gone stale while nobody read; a new one has not.
            if reader is not None:
                try:
                    return reader.first(value)
                except self._error:
                    reader.close()
                    reader = None
            reader = self._connect()
            return reader.first(value)
        except self._error as error:
            raise DBAPIError(None, None, error, hide_parameters=True) from None
        finally:
            self._free.put(reader)

    def first_within(self, connection: Connection, value: str) -> Row | None:
        """The same row as the transaction under way sees it."""
        row = connection.exec_driver_sql(self._sql, self._parameters(value)).first()
        return None if row is None else tuple(row)

    def close(self) -> None:
        for _ in range(CONNECTIONS):
            if (reader := self._free.get()) is not None:
                reader.close()
            self._free.put(None)

    def fetch(self, connection: Any, value: str) -> Row | None:
        # All of them, so that no open cursor holds on to what is true now.
        rows = connection.execute(self._sql, self._parameters(value)).fetchall()
        return rows[0] if rows else None

    def _parameters(self, value: str) -> Any:
        return (value,) if self._positional else {self._name: value}

    def _connect(self) -> "_Reader":
        made = self._engine.raw_connection()
        driver: Any = made.driver_connection
        made.detach()  # from the pool, for good
        if self._engine.dialect.name == "postgresql":
            driver.autocommit = True
            return _Reader(self, driver)
        return _SqliteReader(self, driver)


class _Reader:
    """Asks each time."""

    def __init__(self, lookup: Lookup, connection: Any) -> None:
        self._lookup = lookup
        self._connection = connection

    def first(self, value: str) -> Row | None:
        return self._lookup.fetch(self._connection, value)

    def close(self) -> None:
        with suppress(Exception):  # it is given up either way
            self._connection.close()


class _SqliteReader(_Reader):
    """Keeps its rows until anybody commits, which SQLite tells in a third of a read's time."""

    def __init__(self, lookup: Lookup, connection: Any) -> None:
        super().__init__(lookup, connection)
        self._version: Row | None = None
        self._rows: dict[str, Row] = {}

    def first(self, value: str) -> Row | None:
        [version] = self._connection.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._rows = {}
            # Said before the reading: what is committed in between is read again.
            self._version = version
        row = self._rows.get(value)
        if row is None:
            row = super().first(value)
            if row is not None:
                self._rows[value] = row
        return row
