"""Second factors, tickets, network restrictions, the audit's chain, backups."""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0007"
down_revision = "0006"

AUDIT = sa.table(
    "audit_entry",
    sa.column("id", sa.Integer()),
    sa.column("at", database.Instant(timezone=True)),
    sa.column("actor", sa.String()),
    sa.column("action", sa.String()),
    sa.column("subject", sa.String()),
    sa.column("detail", sa.JSON()),
    sa.column("digest", sa.String()),
)


def _words(*words: str) -> sa.Enum:
    return sa.Enum(*words, native_enum=False, length=32)


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, database.Instant(timezone=True), nullable=nullable)


def upgrade() -> None:
    _factors()
    _tickets()
    op.create_table(
        "backup",
        sa.Column("id", sa.Integer(), nullable=False),
        _moment("at"),
        sa.Column("kind", _words("daily", "by_hand"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        _moment("verified_at", nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
    )
    op.create_index(op.f("ix_backup_at"), "backup", ["at"])
    with op.batch_alter_table("practice") as table:
        table.add_column(
            sa.Column("second_factor_roles", sa.String(), nullable=False, server_default="")
        )
        table.add_column(sa.Column("idle_minutes", sa.Integer(), nullable=False, server_default="15"))
        table.add_column(
            sa.Column("allowed_networks", sa.String(), nullable=False, server_default="")
        )
        table.add_column(_moment("emergency_at", nullable=True))
    with op.batch_alter_table("mail") as table:
        table.add_column(sa.Column("address", sa.String(), nullable=True))
    # Whoever is signed in signs in once more: nobody knows how these sessions began.
    op.execute(sa.text("DELETE FROM session"))
    with op.batch_alter_table("session") as table:
        table.add_column(_moment("second_factor_at", nullable=True))
        table.add_column(_moment("confirmed_at"))
        table.add_column(sa.Column("browser", sa.String(), nullable=False))
        table.add_column(sa.Column("network", sa.String(), nullable=False))
    _chain()


def _factors() -> None:
    op.create_table(
        "challenge",
        sa.Column("digest", sa.String(), nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_challenge")),
    )
    op.create_table(
        "authenticator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("confirmed_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_authenticator_user_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticator")),
        sa.UniqueConstraint("user_id", name=op.f("uq_authenticator_user_id")),
    )
    op.create_table(
        "passkey",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        _moment("created_at"),
        _moment("used_at", nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_passkey_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index(op.f("ix_passkey_user_id"), "passkey", ["user_id"])
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        _moment("created_at"),
        _moment("used_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_recovery_code_user_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_recovery_code_digest")),
    )
    op.create_index(op.f("ix_recovery_code_user_id"), "recovery_code", ["user_id"])


def _tickets() -> None:
    op.create_table(
        "ticket",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", _words("invitation", "reset"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("made_by_id", sa.Integer(), nullable=True),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("spent_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["made_by_id"], ["user.id"], name=op.f("fk_ticket_made_by_id_user")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_ticket_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
        sa.UniqueConstraint("digest", name=op.f("uq_ticket_digest")),
    )
    op.create_index(op.f("ix_ticket_expires_at"), "ticket", ["expires_at"])
    op.create_index(op.f("ix_ticket_user_id"), "ticket", ["user_id"])


def _chain() -> None:
    """Entries are numbered without a gap, and each gets its digest."""
    with op.batch_alter_table("audit_entry") as table:
        table.add_column(sa.Column("digest", sa.String(), nullable=True))
    connection = op.get_bind()
    before, number = "0" * 64, 0
    for entry in connection.execute(sa.select(AUDIT).order_by(AUDIT.c.id)).all():
        number += 1
        moment = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
        parts = [before, number, moment, entry.actor, entry.action, entry.subject, entry.detail]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        before = hashlib.sha256(text.encode()).hexdigest()
        connection.execute(
            sa.update(AUDIT).where(AUDIT.c.id == entry.id).values(id=number, digest=before)
        )
    with op.batch_alter_table("audit_entry") as table:
        table.alter_column("digest", existing_type=sa.String(), nullable=False)
        table.create_index(op.f("ix_audit_entry_subject"), ["subject"])
