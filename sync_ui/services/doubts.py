"""Links that a restore without the journal of dead links has left in doubt."""

from datetime import datetime

from sqlalchemy import func, select

from sync_ui.models import AuditEntry, Link, Token, db
from sync_ui.services.audit import Action


def since() -> datetime | None:
    """When a restore last left links in doubt, if one ever did."""
    restored = select(AuditEntry).where(AuditEntry.action == Action.BACKUP_RESTORED.value)
    found = db.session.scalars(restored.order_by(AuditEntry.id.desc()))
    return next((entry.at for entry in found if entry.detail.get("doubtful")), None)


def count() -> int:
    """How many links still work at an address of before that restore."""
    at = since()
    if at is None:
        return 0
    living = (
        select(func.count(func.distinct(Token.link_id)))
        .join(Link, Link.id == Token.link_id)
        .where(Token.retired_at.is_(None), Link.disabled_at.is_(None), Token.created_at <= at)
    )
    return db.session.scalar(living) or 0
