"""A worker in a process of its own that makes one pass over a connection, and may die over it.

It is forked from a process that has everything loaded, so that many can die in
a short time. Each opens the installation anew, as any worker does.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.process import BaseProcess

from sqlalchemy import event

from sync_ui import clock, create_app
from sync_ui.config import Config
from sync_ui.models import db
from sync_ui.services import sync
from tests.fault_proxy import When

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.one_pass", "sync_ui.web.application", "sync_ui.worker"])


class Killed(BaseException):
    """The worker is gone, without a word."""


@dataclass
class Death:
    """Before or after the transaction after so many more."""

    more: int
    when: When


def start(config: Config, connection_id: int, moment: datetime, death: Death | None) -> BaseProcess:
    """The clock stands at `moment` there."""
    made = _PROCESSES.Process(target=_work, args=(config, connection_id, moment, death))
    made.start()
    return made


def _work(config: Config, connection_id: int, moment: datetime, death: Death | None) -> None:
    clock.now = lambda: moment
    app = create_app(config)
    with app.app_context(), dying(death, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        sync.run(connection_id)


def raise_killed() -> None:
    raise Killed


@contextmanager
def dying(death: Death | None, die: Callable[[], None] = raise_killed) -> Iterator[None]:
    """In the midst of what is done inside, at that transaction, the worker dies.

    Whoever else is at work, in another thread, lives on.
    """
    mine = threading.get_ident()

    def is_due(when: When, more: int) -> bool:
        here = threading.get_ident() == mine
        return here and death is not None and (death.when, death.more) == (when, more)

    def before(_: object) -> None:
        if is_due(When.BEFORE, 0):
            die()

    def after(_: object) -> None:
        if death and threading.get_ident() == mine:
            death.more -= 1

    def next_word(*_: object) -> None:
        # A session that is interrupted while it commits does not know what it did.
        if is_due(When.AFTER, -1):
            die()

    ears = (
        (db.session, "before_commit", before),
        (db.session, "after_commit", after),
        (db.engine, "before_cursor_execute", next_word),
    )
    for ear in ears:
        event.listen(*ear)
    try:
        yield
    finally:
        for ear in ears:
            event.remove(*ear)
