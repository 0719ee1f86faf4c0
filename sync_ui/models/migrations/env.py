"""Alembic's way in: one transaction over all migrations, on the given connection."""

from alembic import context

from sync_ui.models.database import Row

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Row.metadata,
    render_as_batch=True,
    user_module_prefix="database.",
)
context.run_migrations()
