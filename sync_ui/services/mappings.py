"""What the columns of a kind of table are: said once by a user, used by itself from then on."""

from collections.abc import Sequence

from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.csv_table import COLUMNS, ColumnMapping, needs
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models import ImportMapping, db, transaction
from sync_ui.services import access
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

_NAMES = {column.name for column in COLUMNS}


def remembered() -> dict[str, ColumnMapping]:
    """Each mapping by the signature of its header."""
    found = db.session.execute(
        select(ImportMapping.signature, ImportMapping.columns, ImportMapping.day_first)
    )
    return {row.signature: ColumnMapping(tuple(row.columns), row.day_first) for row in found}


def remember(
    actor: Actor, signature: str, columns: Sequence[str], day_first: bool | None = None
) -> None:
    """Tables with this header are read so from now on. Raises Invalid, Refused."""
    access.require(actor, Permission.IMPORTS)
    columns = list(columns)
    named = [name for name in columns if name]
    if not _NAMES.issuperset(named):
        raise Invalid("No such column is known. Choose what each column is from the list.")
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice:
        raise Invalid(f"Two columns are {twice}. Leave one of them out.")
    missing = needs(named)
    if missing:
        raise Invalid(f"A column {missing} is needed. Say which one it is.")
    with transaction() as session:
        found = session.get(ImportMapping, signature) or ImportMapping(signature=signature)
        found.columns, found.day_first, found.changed_at = columns, day_first, clock.now()
        session.add(found)
        record(session, actor, Action.IMPORT_COLUMNS_SAID, f"import_mapping:{signature[:16]}")
