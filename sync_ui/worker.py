"""Background work: Huey executes and schedules what the services do.

Tasks carry nothing but their name. Whatever a lost task leaves undone, the
sweep finds, once a minute.
"""

import logging

from flask import Flask
from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey, crontab

from sync_ui.config import Config
from sync_ui.errors import CannotStart
from sync_ui.models.installation import Installation
from sync_ui.services import upkeep, uploads, zone_laws
from sync_ui.services.access import WORKER

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

    @huey.task()
    def sweep_now() -> None:
        with app.app_context():
            upkeep.sweep()

    @huey.periodic_task(crontab(minute="*"))
    def sweep_each_minute() -> None:
        with app.app_context():
            upkeep.sweep()

    @huey.task()
    def repair_zones() -> None:
        with app.app_context():
            zone_laws.repair(WORKER)

    app.extensions["huey"] = huey
    app.extensions["repair_zones"] = repair_zones
    app.extensions["sweep_now"] = sweep_now
    return huey


def run(app: Flask) -> None:
    """Work until SIGTERM or SIGINT; the task at hand is finished first."""
    check(app)
    huey: Huey = app.extensions["huey"]
    take_up(app)
    consumer = huey.create_consumer(
        workers=1, initial_delay=0.2, max_delay=2.0, graceful_signal="TERM"
    )
    consumer.run()


def take_up(app: Flask) -> None:
    """What has come up while nobody worked is done next."""
    app.extensions["repair_zones"]()  # the laws may be newer than at the last start
    app.extensions["sweep_now"]()
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
    try:
        app.extensions["sweep_now"]()
    except Exception as error:  # noqa: BLE001 - whatever it is, the change stands
        log.warning("The worker could not be woken: %s", type(error).__name__)
