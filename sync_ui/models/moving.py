"""Rows from PostgreSQL into an SQLCipher file and back, as they are, table by table.

Both have the tables that the migrations make; what PostgreSQL says of a column
decides how its values are read and written on either side.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, MetaData, Table
from sqlalchemy.types import NullType, TypeEngine

from sync_ui.models import database, migrations
from sync_ui.models.database import Instant

AT_ONCE = 1000


def fetch(database_url: str, target: Path, key: bytes) -> None:
    """Every row of one moment stands in the new file, in the shape that the server has."""
    server = database.make_engine(target.parent, database_url, b"")
    file = database.file_engine(target, key)
    try:
        revision = migrations.revision_of(server)
        migrations.upgrade(file, revision or "head")
        with (
            server.connect() as source,
            file.connect().execution_options(writing=True) as destination,
            destination.begin(),
        ):
            tables = _tables(source)
            _empty_file(destination, tables)
            for table in tables:
                _copy(table, source, destination)
    finally:
        server.dispose()
        file.dispose()
    _leave_wal(target, key)


def replace_rows(connection: Connection, path: Path, key: bytes) -> None:
    """The server has the rows of the file and no others, in the transaction under way.

    Both have this version's shape.
    """
    file = database.file_engine(path, key)
    try:
        tables = _tables(connection)
        names = ", ".join(f'"{table.name}"' for table in tables)
        connection.exec_driver_sql(f"TRUNCATE {names}")
        with file.connect() as source:
            for table in tables:
                _copy(table, source, connection)
        for table in tables:
            _go_on_counting(connection, table)
    finally:
        file.dispose()


def _tables(connection: Connection) -> list[Table]:
    """Those that the migrations made, parents first; the queue's own are left out."""
    ours = set(database.Row.metadata.tables) & set(sa.inspect(connection).get_table_names())
    found = MetaData()
    found.reflect(connection, only=sorted(ours))
    return found.sorted_tables


def _empty_file(connection: Connection, tables: Iterable[Table]) -> None:
    """The migrations fill in a practice, which comes with the rows."""
    for table in tables:
        connection.execute(sa.table(table.name).delete())


def _copy(table: Table, source: Connection, destination: Connection) -> None:
    read, written = _light(table, source), _light(table, destination)
    order = [read.c[column.name] for column in table.primary_key]
    found = source.execution_options(yield_per=AT_ONCE).execute(sa.select(read).order_by(*order))
    own = _columns_to_itself(table)
    later: list[dict[str, Any]] = []
    for part in found.mappings().partitions():
        rows = [dict(row) for row in part]
        for row in rows:
            if any(row[name] is not None for name in own):
                later.append({f"new_{each}": row[each] for each in (*own, *_key(table))})
                row.update(dict.fromkeys(own))
        destination.execute(written.insert(), rows)
    if later:
        where = [written.c[name] == sa.bindparam(f"new_{name}") for name in _key(table)]
        values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in own}
        destination.execute(written.update().where(*where).values(values), later)


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _columns_to_itself(table: Table) -> list[str]:
    """What points into the same table, perhaps at a row that comes later."""
    return [key.parent.name for key in table.foreign_keys if key.column.table.name == table.name]


def _light(table: Table, connection: Connection) -> sa.TableClause:
    """The same columns, with types that keep every value as it is on this side."""
    on_server = connection.dialect.name == "postgresql"
    return sa.table(
        table.name, *(sa.column(c.name, _type(c.type, on_server=on_server)) for c in table.columns)
    )


class _Words(sa.types.UserDefinedType[str]):
    """JSON as PostgreSQL writes it, to the letter; without a type of its own when it is sent."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        return sa.cast(colexpr, sa.Text)

    def bind_expression(self, bindvalue: Any) -> Any:
        return sa.cast(sa.type_coerce(bindvalue, sa.Text), sa.JSON)


def _type(found: TypeEngine[Any], *, on_server: bool) -> TypeEngine[Any]:
    if isinstance(found, sa.DateTime):
        return Instant() if found.timezone else sa.DateTime()
    if isinstance(found, sa.JSON):
        return _Words() if on_server else sa.Text()
    return NullType() if isinstance(found, sa.Enum) else found


def _go_on_counting(connection: Connection, table: Table) -> None:
    """New rows get ids that none has."""
    for column in table.primary_key:
        sequence = connection.scalar(
            sa.select(sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name))
        )
        if sequence is not None:
            highest = connection.scalar(sa.select(sa.func.max(column)))
            connection.execute(
                sa.select(sa.func.setval(sequence, highest or 1, highest is not None))
            )


def _leave_wal(path: Path, key: bytes) -> None:
    engine: Engine = database.file_engine(path, key)
    try:
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            connection.rollback()
            raw.execute("PRAGMA journal_mode=DELETE")
    finally:
        engine.dispose()
