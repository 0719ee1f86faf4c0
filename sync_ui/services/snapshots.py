"""Rows as an undoing needs them: what they were, and whether anyone has changed them since."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum as PythonEnum
from hashlib import blake2b
from typing import Any

from sqlalchemy import Column, Enum, Table

from sync_ui.models.database import Instant

# These rise by themselves: feeds are told of changes, and series grow.
RISING = frozenset({"id", "revision", "changed_at", "extended_until"})

# Which series it belongs to is told by the series itself.
_UNTOLD = RISING | {"series_id"}


def digest(table: Table, values: Mapping[Any, Any], clients: Sequence[int | None] = ()) -> str:
    """Of all that a person or an import could change of a row."""
    facts = [values[column.name] for column in table.columns if column.name not in _UNTOLD]
    return blake2b(repr((facts, list(clients))).encode(), digest_size=16).hexdigest()


def plain(table: Table, values: Mapping[Any, Any], clients: Sequence[int] = ()) -> dict[str, Any]:
    """The row for JSON; `restored` brings it back."""
    found = {column.name: _plain(values[column.name]) for column in table.columns}
    return found | {"clients": list(clients)}


def restored(table: Table, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Every column but those that rise; `extended_until` is set back, too."""
    wanted = RISING - {"extended_until"}
    return {
        column.name: _restored(column, kept[column.name])
        for column in table.columns
        if column.name not in wanted and column.name in kept
    }


def _plain(value: Any) -> Any:
    if isinstance(value, PythonEnum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def _restored(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, Enum):
        assert column.type.enum_class is not None
        return column.type.enum_class(value)
    is_time = isinstance(column.type, Instant) or column.type.python_type is datetime
    return datetime.fromisoformat(value) if is_time else value
