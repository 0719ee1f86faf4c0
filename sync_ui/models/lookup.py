"""One row by one indexed read, as cheap as the database can give it.

No session, no transaction to begin, no objects: what a calendar app that asks
"anything new?" costs, thousands of times a day.
"""

from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine, Select, event
from sqlalchemy.exc import DBAPIError

# As many as can read at once; more wait. A PostgreSQL server has few to give.
CONNECTIONS = 4


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
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(CONNECTIONS):
            self._free.put(None)
        event.listen(engine, "engine_disposed", lambda _: self.close())

    def first(self, value: str) -> tuple[Any, ...] | None:
        """The row as it is committed now. Raises DBAPIError when the database does not answer."""
        connection = self._free.get()
        try:
            # A connection may have gone stale while nobody read; a new one has not.
            if connection is not None:
                try:
                    return self._fetch(connection, value)
                except self._error:
                    _close(connection)
                    connection = None
            connection = self._connect()
            return self._fetch(connection, value)
        except self._error as error:
            raise DBAPIError(None, None, error, hide_parameters=True) from None
        finally:
            self._free.put(connection)

    def first_within(self, connection: Connection, value: str) -> tuple[Any, ...] | None:
        """The same row as the transaction under way sees it."""
        row = connection.exec_driver_sql(self._sql, self._parameters(value)).first()
        return None if row is None else tuple(row)

    def close(self) -> None:
        for _ in range(CONNECTIONS):
            if (connection := self._free.get()) is not None:
                _close(connection)
            self._free.put(None)

    def _fetch(self, connection: Any, value: str) -> tuple[Any, ...] | None:
        # All of them, so that no open cursor holds on to what is true now.
        rows = connection.execute(self._sql, self._parameters(value)).fetchall()
        return rows[0] if rows else None

    def _parameters(self, value: str) -> Any:
        return (value,) if self._positional else {self._name: value}

    def _connect(self) -> Any:
        made = self._engine.raw_connection()
        driver = made.driver_connection
        made.detach()  # from the pool, for good
        if self._engine.dialect.name == "postgresql":
            driver.autocommit = True  # type: ignore[union-attr]
        return driver


def _close(connection: Any) -> None:
    with suppress(Exception):  # it is given up either way
        connection.close()
