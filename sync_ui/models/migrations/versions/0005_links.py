"""Links in depth: what each shows, how long it lives, and who reads it."""

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0005"
down_revision = "0004"


def _words(*words: str) -> sa.Enum:
    return sa.Enum(*words, native_enum=False, length=32)


def upgrade() -> None:
    yes, no = sa.true(), sa.false()
    op.create_table(
        "feed_figures",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("mended", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_feed_figures")),
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("reader", _words("app", "browser", "preview", "script"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("first_at", database.Instant(timezone=True), nullable=False),
        sa.Column("last_at", database.Instant(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("seen_until", database.Instant(timezone=True), nullable=False),
        sa.Column("told_at", database.Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_visit_link_id_link")),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"], name=op.f("fk_visit_token_id_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
        sa.UniqueConstraint("token_id", "name", "network", name=op.f("uq_visit_token_id")),
    )
    op.create_index(op.f("ix_visit_last_at"), "visit", ["last_at"])
    op.create_index(op.f("ix_visit_link_id"), "visit", ["link_id"])
    modes = _words("busy", "internal_id", "initials", "first_name", "full_name")
    with op.batch_alter_table("appointment_type") as table:
        table.add_column(sa.Column("ceiling", modes, nullable=True))
    with op.batch_alter_table("code") as table:
        table.add_column(sa.Column("made_by_id", sa.Integer(), nullable=True))
        table.create_foreign_key(op.f("fk_code_made_by_id_user"), "user", ["made_by_id"], ["id"])
    with op.batch_alter_table("link") as table:
        for column, default in (
            ("shows_location", yes),
            ("shows_type", no),
            ("shows_time_off", yes),
            ("shows_cancelled", no),
        ):
            added = sa.Column(column, sa.Boolean(), nullable=False, server_default=default)
            table.add_column(added)
        ways = _words("none", "button", "address")
        table.add_column(sa.Column("telehealth", ways, nullable=False, server_default="none"))
        table.add_column(sa.Column("days_back", sa.Integer(), nullable=True))
        table.add_column(sa.Column("months_ahead", sa.Integer(), nullable=True))
        table.add_column(sa.Column("agreement", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("practice") as table:
        table.add_column(sa.Column("longest_link_days", sa.Integer(), nullable=True))
        for column, default in (("wants_agreement", no), ("schedulers_share_practice", yes)):
            added = sa.Column(column, sa.Boolean(), nullable=False, server_default=default)
            table.add_column(added)
    with op.batch_alter_table("token") as table:
        table.add_column(sa.Column("ends_at", database.Instant(timezone=True), nullable=True))
        reasons = _words("lost", "leaked", "left", "routine")
        table.add_column(sa.Column("reason", reasons, nullable=True))
    with op.batch_alter_table("user") as table:
        table.add_column(
            sa.Column("mails_notices", sa.Boolean(), nullable=False, server_default=no)
        )
