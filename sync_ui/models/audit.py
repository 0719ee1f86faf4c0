"""Who changed what: rows are added and never changed, each chained to the one before."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from sync_ui.models.database import Instant, Row


class AuditEntry(Row):
    """`actor` is a user's id, or the word for who else did it; `detail` holds ids and
    words of the application, never names or secrets. `id` counts without a gap;
    `digest` is `domain.chain`'s over the entry and the digest before it.
    """

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    actor: Mapped[str]
    action: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str] = mapped_column(index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    digest: Mapped[str]
