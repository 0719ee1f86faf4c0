"""How many times the database is asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from sync_ui.models import db


def number_of(use: Callable[[], object]) -> int:
    """The queries of one use, begun without anything that was read before."""
    db.session.rollback()
    with asked() as queries:
        use()
    return len(queries)


@contextmanager
def asked() -> Iterator[list[str]]:
    queries: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        if not statement.startswith(("BEGIN", "SET TRANSACTION")):
            queries.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
