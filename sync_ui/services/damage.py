"""Damage of the database: looked for at each start and daily, and known to every process."""

import logging
from datetime import timedelta

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.models import damage, db
from sync_ui.models.installation import current

A_DAY = timedelta(days=1)

log = logging.getLogger(__name__)


def is_known() -> bool:
    """Whether changes are refused since the database was found damaged. Cheap."""
    return current().damage.is_known()


def look() -> bool:
    """Whether the database is whole, by reading all of it; from now on every process knows.

    Half a second for each 100 MB. Raises SQLAlchemyError if it cannot be read at all.
    """
    db.session.rollback()
    whole = damage.is_whole(db.engine)
    if whole:
        current().damage.forget()
    else:
        log.error("The database is damaged. Stop the server and restore a backup.")
        current().damage.note()
    return whole


def look_daily() -> None:
    """By the worker: at its start, and once a day from then on."""
    last = current_app.extensions.get("looked_for_damage")
    if last is not None and clock.now() < last + A_DAY:
        return
    try:
        look()
        current_app.extensions["looked_for_damage"] = clock.now()
    except SQLAlchemyError as error:
        log.error("The database cannot be looked at: %s", type(error).__name__)
