"""The first tables, the practice and its calendar."""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from sync_ui.models import database

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", database.Instant(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_action", "audit_entry", ["action"])
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"])

    op.create_table(
        "client",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_name", sa.String(), nullable=False),
        sa.Column("last_name", sa.String(), nullable=False),
        sa.Column("preferred_name", sa.String(), nullable=False),
        sa.Column("internal_id", sa.String(), nullable=False),
        sa.Column(
            "ceiling",
            sa.Enum(
                "busy",
                "internal_id",
                "initials",
                "first_name",
                "full_name",
                name="displaymode",
                native_enum=False,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("archived_at", database.Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
        sa.UniqueConstraint("internal_id", name=op.f("uq_client_internal_id")),
    )
    op.create_table(
        "key_check",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_key_check")),
    )
    op.create_table(
        "location",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("name", name=op.f("uq_location_name")),
    )
    op.create_table(
        "practice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column(
            "ceiling",
            sa.Enum(
                "busy",
                "internal_id",
                "initials",
                "first_name",
                "full_name",
                name="displaymode",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("shows_internal_ids", sa.Boolean(), nullable=False),
        sa.Column("days_back", sa.Integer(), nullable=False),
        sa.Column("months_ahead", sa.Integer(), nullable=False),
        sa.Column("policy_revision", sa.Integer(), nullable=False),
        sa.Column("policy_changed_at", database.Instant(timezone=True), nullable=False),
        sa.Column("last_change", database.Instant(timezone=True), nullable=False),
        sa.Column("setup_code", sa.String(), nullable=True),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_practice_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice")),
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", database.Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_failure")),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "administrator", "scheduler", "clinician", name="role", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("disabled_at", database.Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
    )
    op.create_table(
        "clinician",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("archived_at", database.Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_clinician_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinician")),
        sa.UniqueConstraint("user_id", name=op.f("uq_clinician_user_id")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("seen_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_session_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_session_digest")),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"])

    op.create_table(
        "calendar",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_calendar_clinician_id_clinician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
        sa.UniqueConstraint("clinician_id", name=op.f("uq_calendar_clinician_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_calendar_uid")),
    )
    op.create_table(
        "import_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_import_file_clinician_id_clinician")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_import_file_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_file")),
    )
    op.create_table(
        "imported_title",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_imported_title_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["clinician_id"],
            ["clinician.id"],
            name=op.f("fk_imported_title_clinician_id_clinician"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_title")),
        sa.UniqueConstraint("clinician_id", "title", name=op.f("uq_imported_title_clinician_id")),
    )
    op.create_table(
        "initials",
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("letters", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_initials_client_id_client")
        ),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_initials_clinician_id_clinician")
        ),
        sa.PrimaryKeyConstraint("clinician_id", "client_id", "letters", name=op.f("pk_initials")),
        sa.UniqueConstraint(
            "clinician_id", "letters", "number", name=op.f("uq_initials_clinician_id")
        ),
    )
    op.create_index("ix_initials_client_id", "initials", ["client_id"])

    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("import_key", sa.String(), nullable=True),
        sa.Column("import_digest", sa.String(), nullable=True),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "session",
                "meeting",
                "supervision",
                "time_off",
                "other",
                name="kind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("starts_local", sa.DateTime(), nullable=False),
        sa.Column("ends_local", sa.DateTime(), nullable=False),
        sa.Column("all_day", sa.Boolean(), nullable=False),
        sa.Column("exceptions", sa.JSON(), nullable=False),
        sa.Column("additions", sa.JSON(), nullable=False),
        sa.Column("client_ids", sa.JSON(), nullable=False),
        sa.Column("extended_until", database.Instant(timezone=True), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_series_clinician_id_clinician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("clinician_id", "import_key", name=op.f("uq_series_clinician_id")),
    )
    op.create_table(
        "appointment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=True),
        sa.Column("occurrence", sa.String(), nullable=True),
        sa.Column("import_key", sa.String(), nullable=True),
        sa.Column("import_digest", sa.String(), nullable=True),
        sa.Column(
            "kind",
            sa.Enum(
                "session",
                "meeting",
                "supervision",
                "time_off",
                "other",
                name="kind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "scheduled",
                "cancelled",
                "late_cancelled",
                "no_show",
                name="status",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("starts_local", sa.DateTime(), nullable=False),
        sa.Column("starts_at", database.Instant(timezone=True), nullable=False),
        sa.Column("ends_at", database.Instant(timezone=True), nullable=False),
        sa.Column("all_day", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("changed_at", database.Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["clinician.id"], name=op.f("fk_appointment_clinician_id_clinician")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_appointment_series_id_series")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        sa.UniqueConstraint("clinician_id", "import_key", name=op.f("uq_appointment_clinician_id")),
        sa.UniqueConstraint("series_id", "occurrence", name=op.f("uq_appointment_series_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_appointment_uid")),
    )
    op.create_index("ix_appointment_clinician_starts", "appointment", ["clinician_id", "starts_at"])

    op.create_table(
        "link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calendar_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column(
            "mode",
            sa.Enum(
                "busy",
                "internal_id",
                "initials",
                "first_name",
                "full_name",
                name="displaymode",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", database.Instant(timezone=True), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", database.Instant(timezone=True), nullable=True),
        sa.Column("disabled_at", database.Instant(timezone=True), nullable=True),
        sa.Column("read_at", database.Instant(timezone=True), nullable=True),
        sa.Column("read_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["calendar.id"], name=op.f("fk_link_calendar_id_calendar")
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["user.id"], name=op.f("fk_link_created_by_id_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link")),
    )
    op.create_index("ix_link_calendar_id", "link", ["calendar_id"])

    op.create_table(
        "appointment_client",
        sa.Column("appointment_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["appointment_id"],
            ["appointment.id"],
            name=op.f("fk_appointment_client_appointment_id_appointment"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("fk_appointment_client_client_id_client")
        ),
        sa.PrimaryKeyConstraint("appointment_id", "client_id", name=op.f("pk_appointment_client")),
    )
    op.create_index("ix_appointment_client_client_id", "appointment_client", ["client_id"])

    op.create_table(
        "code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("expires_at", database.Instant(timezone=True), nullable=False),
        sa.Column("spent_at", database.Instant(timezone=True), nullable=True),
        sa.Column("browser", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_code_link_id_link")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_code_digest")),
    )
    op.create_index("ix_code_link_id", "code", ["link_id"])

    op.create_table(
        "mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind", sa.Enum("link", name="mailkind", native_enum=False, length=32), nullable=False
        ),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=True),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("due_at", database.Instant(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", database.Instant(timezone=True), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_mail_link_id_link")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_mail_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    op.create_index("ix_mail_due_at", "mail", ["due_at"])

    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", database.Instant(timezone=True), nullable=False),
        sa.Column("retired_at", database.Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["link_id"], ["link.id"], name=op.f("fk_token_link_id_link")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
    op.create_index("ix_token_link_id", "token", ["link_id"])
    _make_practice()


def _make_practice() -> None:
    """An installation has its practice from the start; /setup fills in the rest."""
    now = datetime.now(UTC).replace(microsecond=0)
    tables = sa.MetaData()
    tables.reflect(op.get_bind(), only=("practice", "calendar"))
    stored = now if op.get_bind().dialect.name == "postgresql" else now.replace(tzinfo=None)
    op.bulk_insert(
        tables.tables["practice"],
        [
            {
                "id": 1,
                "name": "My practice",
                "zone": "UTC",
                "ceiling": "initials",
                "shows_internal_ids": False,
                "days_back": 30,
                "months_ahead": 6,
                "policy_revision": 0,
                "policy_changed_at": stored,
                "last_change": stored,
                "created_at": stored,
            }
        ],
    )
    op.bulk_insert(
        tables.tables["calendar"],
        [{"uid": str(uuid.uuid4()), "version": 0, "changed_at": stored}],
    )
