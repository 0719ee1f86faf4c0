"""Connections: a clinician's account at a provider, and what we know to stand there."""

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0006"
down_revision = "0005"


def _words(*words: str) -> sa.Enum:
    return sa.Enum(*words, native_enum=False, length=32)


def upgrade() -> None:
    op.create_table(
        "connection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calendar_id", sa.Integer(), nullable=False),
        sa.Column("provider", _words("google", "caldav"), nullable=False),
        sa.Column("direction", _words("send_only", "two_way"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("outside_id", sa.String(), nullable=False),
        sa.Column("outside_name", sa.String(), nullable=False),
        sa.Column(
            "mode",
            _words("busy", "internal_id", "initials", "first_name", "full_name"),
            nullable=False,
        ),
        sa.Column("shows_location", sa.Boolean(), nullable=False),
        sa.Column("shows_type", sa.Boolean(), nullable=False),
        sa.Column("telehealth", _words("none", "button", "address"), nullable=False),
        sa.Column("shows_time_off", sa.Boolean(), nullable=False),
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("rule", _words("ask", "follow", "put_back"), nullable=False),
        sa.Column(
            "state",
            _words("new", "working", "stopped", "signed_out", "lost", "leaving", "ended"),
            nullable=False,
        ),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("answer", _words("ask", "follow", "put_back"), nullable=True),
        sa.Column("written", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("signed_in_at", database.Instant(timezone=True), nullable=False),
        sa.Column("tried_at", database.Instant(timezone=True), nullable=True),
        sa.Column("succeeded_at", database.Instant(timezone=True), nullable=True),
        sa.Column("next_at", database.Instant(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("leased_until", database.Instant(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("channel_digest", sa.String(), nullable=True),
        sa.Column("channel_resource", sa.String(), nullable=True),
        sa.Column("channel_ends_at", database.Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendar.id"], name=op.f("fk_connection_calendar_id_calendar")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user.id"], name=op.f("fk_connection_created_by_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("channel", name=op.f("uq_connection_channel")),
    )
    op.create_index(op.f("ix_connection_calendar_id"), "connection", ["calendar_id"])
    op.create_index(op.f("ix_connection_next_at"), "connection", ["next_at"])

    op.create_table(
        "busy_calendar",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("outside_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("whole_at", database.Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_busy_calendar_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_busy_calendar")),
        sa.UniqueConstraint(
            "connection_id", "outside_id", name=op.f("uq_busy_calendar_connection_id")
        ),
    )
    op.create_table(
        "copy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("when", sa.String(), nullable=False),
        sa.Column("held", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("restored", sa.Integer(), nullable=False),
        sa.Column("restored_at", database.Instant(timezone=True), nullable=True),
        sa.Column("next_at", database.Instant(timezone=True), nullable=True),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_copy_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_copy")),
        sa.UniqueConstraint("connection_id", "entry_id", name=op.f("uq_copy_connection_id")),
    )
    op.create_table(
        "proposal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("appointment_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("kind", _words("move", "removal"), nullable=False),
        sa.Column("starts_at", database.Instant(timezone=True), nullable=True),
        sa.Column("ends_at", database.Instant(timezone=True), nullable=True),
        sa.Column("was_starts_at", database.Instant(timezone=True), nullable=False),
        sa.Column("was_ends_at", database.Instant(timezone=True), nullable=False),
        sa.Column("made_at", database.Instant(timezone=True), nullable=False),
        sa.Column("decided_at", database.Instant(timezone=True), nullable=True),
        sa.Column("decided_by_id", sa.Integer(), nullable=True),
        sa.Column(
            "outcome", _words("accepted", "put_back", "overtaken", "withdrawn"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointment.id"],
            name=op.f("fk_proposal_appointment_id_appointment"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_proposal_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["user.id"], name=op.f("fk_proposal_decided_by_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposal")),
    )
    op.create_index(op.f("ix_proposal_appointment_id"), "proposal", ["appointment_id"])
    op.create_index(op.f("ix_proposal_connection_id"), "proposal", ["connection_id"])

    op.create_table(
        "step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("at", database.Instant(timezone=True), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_step_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step")),
    )
    op.create_index(op.f("ix_step_connection_id"), "step", ["connection_id"])

    op.create_table(
        "busy_time",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("busy_calendar_id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.String(), nullable=False),
        sa.Column("starts_at", database.Instant(timezone=True), nullable=False),
        sa.Column("ends_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["busy_calendar_id"],
            ["busy_calendar.id"],
            name=op.f("fk_busy_time_busy_calendar_id_busy_calendar"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_busy_time_clinician_id_clinician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_busy_time")),
    )
    op.create_index("ix_busy_time_clinician_starts", "busy_time", ["clinician_id", "starts_at"])
    op.create_index("ix_busy_time_entry", "busy_time", ["busy_calendar_id", "entry_id"])

    with op.batch_alter_table("mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connection_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_mail_connection_id_connection"), "connection", ["connection_id"], ["id"]
        )
