"""The schedule: types, colours, rooms, holidays, and what was said of one turn alone."""

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0002"
down_revision = "0001"

COLOURS = (
    "teal", "blue", "violet", "pink", "red", "orange", "yellow", "green", "brown", "grey"
)  # fmt: skip
COLOUR = sa.Enum(*COLOURS, name="colour", native_enum=False, length=32)


def upgrade() -> None:
    op.create_table(
        "appointment_type",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("colour", COLOUR, nullable=False),
        sa.Column("archived_at", database.Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment_type")),
        sa.UniqueConstraint("name", name=op.f("uq_appointment_type_name")),
    )
    op.create_table(
        "holiday",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holiday")),
    )
    op.create_index("ix_holiday_first_day", "holiday", ["first_day"])

    with op.batch_alter_table("appointment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("own", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("type_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("telehealth_address", sa.String(), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("clash_reason", sa.String(), nullable=False, server_default="")
        )
        batch_op.create_index("ix_appointment_starts_ends", ["starts_at", "ends_at"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_appointment_type_id_appointment_type"),
            "appointment_type",
            ["type_id"],
            ["id"],
        )

    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("merged_into_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_client_merged_into_id_client"), "client", ["merged_into_id"], ["id"]
        )

    with op.batch_alter_table("clinician", schema=None) as batch_op:
        batch_op.add_column(sa.Column("colour", COLOUR, nullable=False, server_default="teal"))

    with op.batch_alter_table("location", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("exclusive", sa.Boolean(), nullable=False, server_default=sa.false())
        )

    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.add_column(sa.Column("type_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("telehealth_address", sa.String(), nullable=False, server_default="")
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_series_type_id_appointment_type"),
            "appointment_type",
            ["type_id"],
            ["id"],
        )
    _colour_clinicians()


def _colour_clinicians() -> None:
    """Each clinician who is there already gets a colour of their own."""
    clinician = sa.table("clinician", sa.column("id"), sa.column("colour"))
    connection = op.get_bind()
    ids = connection.scalars(sa.select(clinician.c.id).order_by(clinician.c.id)).all()
    for number, clinician_id in enumerate(ids):
        connection.execute(
            sa.update(clinician)
            .where(clinician.c.id == clinician_id)
            .values(colour=COLOURS[number % 9])
        )
