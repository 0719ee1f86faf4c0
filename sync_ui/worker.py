"""Background work: Huey executes and schedules what the services do.

Tasks carry nothing but their name and ids. Whatever a lost task leaves undone,
the sweep finds, once a minute.
"""

import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask
from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey, crontab
from huey.consumer import Consumer

from sync_ui.config import Config
from sync_ui.errors import CannotStart
from sync_ui.models.installation import Installation
from sync_ui.services import backups, host, sync, upkeep, uploads, zone_laws
from sync_ui.services.access import WORKER

# A provider that is slow, or a large import, holds up one of them.
THREADS = 4

log = logging.getLogger(__name__)


def make_huey(config: Config) -> Huey:
    """An SQLite file by default; Redis, or else PostgreSQL, when several machines run."""
    if config.redis_url:
        return RedisHuey("sync-calendar", url=config.redis_url)
    if config.database_url:
        dsn = config.database_url.replace("postgresql+psycopg", "postgresql", 1)
        return PostgresHuey("sync-calendar", dsn=dsn)
    return SqliteHuey("sync-calendar", filename=str(config.data_dir / "tasks.db"))


def init_app(app: Flask) -> Huey:
    """Tasks run inside the application; `app.extensions["huey"]` takes them."""
    installation: Installation = app.extensions["installation"]
    huey = make_huey(installation.config)
    one_at_a_time = threading.Lock()
    back_up_daily = _back_up_daily(app, huey)

    @huey.task()
    def sweep_now() -> None:
        with one_at_a_time, app.app_context():
            upkeep.sweep()

    @huey.periodic_task(crontab(minute="*"))
    def sweep_each_minute() -> None:
        with app.app_context():
            host.beat()
        sync_due()
        back_up_daily()
        sweep_now.call_local()

    @huey.task()
    def sync_due() -> None:
        with app.app_context():
            for connection_id in sync.due():
                sync_one(connection_id)

    @huey.task()
    def sync_one(connection_id: int) -> None:
        with app.app_context():
            passed = sync.run(connection_id)
        if passed is not None and passed.more:
            sync_one(connection_id)  # others have their turn in between

    def wake_for_connections(seconds: float = 0) -> None:
        if sync.is_needed():
            enqueue(partial(sync_due.schedule, delay=seconds))

    app.extensions["huey"] = huey
    app.extensions["wake"] = wake_for_connections
    app.extensions["sweep_now"] = sweep_now
    _add_rare_tasks(app, huey)
    return huey


def _add_rare_tasks(app: Flask, huey: Huey) -> None:
    @huey.task()
    def repair_zones() -> None:
        with app.app_context():
            zone_laws.repair(WORKER)

    @huey.periodic_task(crontab(minute="23"))
    def look_daily() -> None:
        """Asked each hour, so that a night without power costs no day."""
        with app.app_context():
            upkeep.look_daily()

    app.extensions["repair_zones"] = repair_zones
    app.extensions["look_daily"] = look_daily


def _back_up_daily(app: Flask, huey: Huey) -> Any:
    """Beside the sweep, which nothing long may hold up."""

    @huey.task()
    def back_up() -> None:
        with app.app_context():
            try:
                backups.make_daily()
            except Exception as error:  # noqa: BLE001 - tried again in a minute
                log.error("The daily backup failed: %s", type(error).__name__)

    return back_up


def run(app: Flask) -> None:
    """Work until SIGTERM, SIGINT or SIGHUP; the task at hand is finished first."""
    check(app)
    huey: Huey = app.extensions["huey"]
    take_up(app)
    consumer = huey.create_consumer(
        workers=THREADS, initial_delay=0.1, max_delay=0.5, graceful_signal="TERM"
    )
    end_on_hang_up(consumer)
    consumer.run()


def end_on_hang_up(consumer: Consumer) -> None:
    """As on SIGTERM, unless SIGHUP is ignored.

    Huey would run the program's command anew in this process: a second server, which
    nobody watches and which takes the port once the first one has ended.
    """
    hang_up = getattr(signal, "SIGHUP", None)  # only Unix has it
    if hang_up is None:
        return
    actions = consumer._signal_actions  # noqa: SLF001 - set before Huey listens, by no other way
    if signal.getsignal(hang_up) is signal.SIG_IGN:
        del actions[hang_up]
    else:
        actions[hang_up] = actions[signal.SIGTERM]


def take_up(app: Flask) -> None:
    """What has come up while nobody worked is done next."""
    with app.app_context():
        host.beat()
    app.extensions["repair_zones"]()  # the laws may be newer than at the last start
    app.extensions["sweep_now"]()
    app.extensions["look_daily"]()
    # An import that a worker died over is free when its lease is over.
    app.extensions["sweep_now"].schedule(delay=uploads.LEASE.total_seconds() + 1)


def check(app: Flask) -> None:
    """Raises CannotStart if the queue does not answer."""
    huey: Huey = app.extensions["huey"]
    try:
        huey.pending_count()
    except Exception:  # noqa: BLE001 - each engine has errors of its own
        raise CannotStart("the queue that SYNC_REDIS_URL names does not answer.") from None


def wake(app: Flask) -> None:
    """Let the worker look now; if that fails it looks within a minute anyway."""
    enqueue(app.extensions["sweep_now"])


def enqueue(task: Callable[[], object]) -> None:
    try:
        task()
    except Exception as error:  # noqa: BLE001 - whatever it is, the change stands
        log.warning("The worker could not be woken: %s", type(error).__name__)
