"""Visits: which app read a link, and when.

A reading is noted in memory and written by a thread of its own, in batches, so
that it can neither slow nor fail a feed.
"""

import logging
import threading
import time
from datetime import datetime
from queue import Empty, SimpleQueue

from flask import Flask, current_app
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from sync_ui import clock
from sync_ui.domain import apps
from sync_ui.errors import SyncError
from sync_ui.models import Link, transaction
from sync_ui.services import access
from sync_ui.services.audit import Action, record

log = logging.getLogger(__name__)

# So long a reading waits for others, to be written with them.
BATCH_SECONDS = 1.0

Visit = tuple[int, str, datetime]


class Recorder:
    """Writes what is noted, from a thread that starts with the first visit."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._noted: SimpleQueue[Visit] = SimpleQueue()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, visit: Visit) -> None:
        self._noted.put(visit)
        with self._start:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="visits", daemon=True)
                self._thread.start()

    def write(self) -> None:
        """Write whatever is noted and not yet written; the latest of each link counts."""
        self._write(self._taken())

    def _run(self) -> None:
        while True:
            first = self._noted.get()
            time.sleep(BATCH_SECONDS)
            self._write([first, *self._taken()])

    def _taken(self) -> list[Visit]:
        taken = []
        while True:
            try:
                taken.append(self._noted.get_nowait())
            except Empty:
                return taken

    def _write(self, visits: list[Visit]) -> None:
        if not visits:
            return
        latest = {link_id: (app, at) for link_id, app, at in visits}
        with self._app.app_context():
            try:
                _store(latest)
            except (SQLAlchemyError, SyncError) as error:
                log.warning("Visits could not be written: %s", type(error).__name__)


def init_app(app: Flask) -> None:
    app.extensions["visits"] = Recorder(app)


def recorder() -> Recorder:
    found = current_app.extensions["visits"]
    assert isinstance(found, Recorder)
    return found


def note(link_id: int | None, user_agent: str) -> None:
    """A link was read; browsers, previews and scripts do not count."""
    app = apps.recognise(user_agent)
    if link_id is not None and app is not None:
        recorder().note((link_id, app.name, clock.now()))


def _store(latest: dict[int, tuple[str, datetime]]) -> None:
    with transaction() as session:
        for link_id, (app, at) in latest.items():
            link = session.get(Link, link_id)
            if link is None:
                continue
            if link.read_at is None:
                record(session, access.PHONE, Action.LINK_FIRST_READ, f"link:{link_id}")
            session.execute(update(Link).where(Link.id == link_id).values(read_at=at, read_by=app))
