"""Imports in the background, what they did, and what columns mean."""

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0003"
down_revision = "0002"

STATES = ("waiting", "reading", "ready", "accepted", "applying", "done", "failed")


def upgrade() -> None:
    op.create_table(
        "import_mapping",
        sa.Column("signature", sa.String(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("day_first", sa.Boolean(), nullable=True),
        sa.Column("changed_at", database.Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("signature", name=op.f("pk_import_mapping")),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("applied_at", database.Instant(timezone=True), nullable=False),
        sa.Column("undone_at", database.Instant(timezone=True), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_import_run_clinician_id_clinician")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_import_run_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
    )
    op.create_index(
        "ix_import_run_clinician_applied", "import_run", ["clinician_id", "applied_at"]
    )
    op.create_table(
        "import_row",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("of_table", sa.String(), nullable=False),
        sa.Column("row_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["import_run.id"],
            name=op.f("fk_import_row_import_id_import_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "import_id", "of_table", "row_id", name=op.f("pk_import_row")
        ),
    )
    for table in ("appointment", "series"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("import_source", sa.String(), nullable=True))
    # A client who goes is looked for in each of these.
    op.create_index("ix_imported_title_client_id", "imported_title", ["client_id"])
    op.create_index("ix_client_merged_into_id", "client", ["merged_into_id"])
    _let_files_wait()


def _let_files_wait() -> None:
    """What waits already was read when it was uploaded."""
    state = sa.Enum(*STATES, name="uploadstate", native_enum=False, length=32)
    no = sa.false()
    with op.batch_alter_table("import_file", schema=None) as batch_op:
        for column in (
            sa.Column("large", sa.Boolean(), nullable=False, server_default=no),
            sa.Column("state", state, nullable=False, server_default="ready"),
            sa.Column("leased_at", database.Instant(timezone=True), nullable=True),
            sa.Column("progress", sa.Integer(), nullable=False, server_default="0"),
            sa.Column("total", sa.Integer(), nullable=False, server_default="0"),
            sa.Column("answers", sa.JSON(), nullable=False, server_default="{}"),
            sa.Column("cancelled", sa.JSON(), nullable=False, server_default="[]"),
            sa.Column("skips_wrong_rows", sa.Boolean(), nullable=False, server_default=no),
            sa.Column("found", sa.JSON(none_as_null=True), nullable=True),
            sa.Column("problem", sa.String(), nullable=False, server_default=""),
        ):
            batch_op.add_column(column)
