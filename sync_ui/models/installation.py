"""One installation: its settings, keys, database and journal, made ready to serve."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from flask import Flask, current_app
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain import disks
from sync_ui.errors import CannotStart, SyncError, Unavailable
from sync_ui.models import copying, database, former, keys, migrations
from sync_ui.models.damage import DAMAGED, Damage, sentence_for
from sync_ui.models.head import Head
from sync_ui.models.journal import Journal
from sync_ui.models.keys import KeyFiles, Keys
from sync_ui.models.practice import KeyCheck

JOURNAL = "revoked.log"

TAKEN = (
    "another server is using this data directory. Stop it first, "
    "or choose another directory with SYNC_DATA_DIR."
)
LOST = (
    "the database is missing or empty, but there are traces of one ({traces}). Put it back, or "
    "restore a backup with `flask restore FILE` and start again. To begin anew with an empty "
    "practice, choose another directory with SYNC_DATA_DIR."
)
BROKEN = (
    "the database is damaged so far that it cannot be served. Restore a backup with "
    "`flask restore FILE`; what is there now is kept beside it."
)

READ_ONLY = (
    "the disk of the data directory is read-only; Linux makes a failing disk so. Have it checked "
    "and repaired, then start again."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    config: Config
    key_files: KeyFiles
    journal: Journal
    head: Head
    damage: Damage

    @property
    def keys(self) -> Keys:
        """As the files say now: a rotation may be under way."""
        return self.key_files.read()


def current() -> Installation:
    """The installation that the running application serves."""
    installation = current_app.extensions["installation"]
    assert isinstance(installation, Installation)
    return installation


def init_app(app: Flask, config: Config) -> None:
    """Make or open the data directory. Raises CannotStart with one sentence."""
    found = prepare(config)
    app.extensions["installation"] = found
    database.init_app(app, config.data_dir, config.database_url, lambda: found.keys.database)


def prepare(config: Config) -> Installation:
    """Keys exist, the database opens with them and has this version's shape.

    Safe to call from several processes at once: the first one does the work.
    """
    make_directory(config)
    _refuse_shared_disk(config)
    with preparing(config.data_dir):
        copying.clear_up(config.data_dir)
        found = _opening(config, _keys(config))
        engine = database.make_engine(config.data_dir, config.database_url, found.database)
        try:
            database.check_opens(engine)
            head = Head(config.data_dir / "audit.head")
            if not migrations.has_chain(engine):
                head.create()
            _copy_before_upgrade(config, engine, found)
            migrations.upgrade(engine)
            head.resume(engine)
            _check_keys(engine, found)
        except DBAPIError as error:
            if sentence_for(error) != DAMAGED:
                raise
            raise CannotStart(BROKEN) from None
        finally:
            engine.dispose()
    # Open connections know one key of the file; it is changed while nobody serves.
    fixed = () if config.database_url else ("database",)
    key_files = KeyFiles(config.data_dir, found, fixed)
    journal = _journal(config.data_dir / JOURNAL)
    damage = Damage(config.data_dir, found.ring("database"))
    return Installation(config, key_files, journal, head, damage)


def _copy_before_upgrade(config: Config, engine: Engine, found: Keys) -> None:
    """Whatever a migration does to data, the data as it was can be put back."""
    revision = migrations.revision_of(engine)
    if revision in {None, migrations.head()} or not migrations.is_known(str(revision)):
        return
    source = copying.Source(config.data_dir, config.database_url, found.database)
    try:
        make_backup_directory(config)
        copying.make(source, former.before_upgrade(config, str(revision), clock.now()))
    except SyncError as error:
        raise CannotStart(
            f"the backup that comes before an upgrade could not be made. {error.sentence}"
        ) from None


def make_backup_directory(config: Config) -> None:
    """Raises Unavailable."""
    try:
        config.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise Unavailable(
            "The folder for backups cannot be made. Check SYNC_BACKUP_DIR and its rights."
        ) from None


def _refuse_shared_disk(config: Config) -> None:
    """SQLite on a disk that other machines may write to can lose data without a word."""
    if config.database_url is not None:
        return
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return  # not on Linux
    kind = disks.kind_of(str(config.data_dir.resolve()), mounts)
    if disks.is_shared(kind):
        raise CannotStart(
            f"the data directory is on a network file system ({kind}), where an SQLite database "
            "can be lost. Put SYNC_DATA_DIR on a disk of this machine, or use PostgreSQL "
            "(SYNC_DATABASE_URL)."
        )


def _journal(path: Path) -> Journal:
    journal = Journal(path)
    try:
        journal.open()
    except OSError:
        raise CannotStart(
            "revoked.log, the journal of dead links, cannot be read and written. "
            "Give the file back to the user that runs the server."
        ) from None
    return journal


@contextmanager
def hold_alone(config: Config) -> Iterator[None]:
    """Keep every server and every command away. Raises CannotStart."""
    data_dir = make_directory(config)
    stop = "a server is using this data directory. Stop it first, and start it again afterwards."
    with hold(data_dir, otherwise=stop), preparing(data_dir):
        yield


def lend(app: Flask, config: Config) -> Installation:
    """For a command that mends an installation: its keys and journal, without its database."""
    data_dir = config.data_dir
    keys.renew_secret(data_dir)
    key_files = KeyFiles(data_dir, keys.load(data_dir))
    head = Head(data_dir / "audit.head")
    journal = _journal(data_dir / JOURNAL)
    damage = Damage(data_dir, keys.ring(data_dir, "database"))
    found = Installation(config, key_files, journal, head, damage)
    app.extensions["installation"] = found
    return found


@contextmanager
def hold(data_dir: Path, seconds_to_wait: float = 0, *, otherwise: str = TAKEN) -> Iterator[None]:
    """Keep every other server away from the data directory. Raises CannotStart."""
    lock = FileLock(data_dir / "server.lock")
    try:
        lock.acquire(timeout=seconds_to_wait)
    except Timeout:
        raise CannotStart(otherwise) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def preparing(data_dir: Path) -> Iterator[None]:
    """Whoever starts meanwhile waits."""
    with FileLock(data_dir / "prepare.lock"):
        yield


def make_directory(config: Config) -> Path:
    """The data directory, there and writable. Raises CannotStart."""
    data_dir = config.data_dir
    try:
        os.umask(0o077)  # whatever is made from here on is the owner's alone
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (data_dir / "prepare.lock").open("a"):
            pass
    except OSError as error:
        if error.errno == errno.EROFS:
            raise CannotStart(READ_ONLY) from None
        raise CannotStart(
            "the data directory cannot be made or written to. Check SYNC_DATA_DIR."
        ) from None
    return data_dir


def _keys(config: Config) -> Keys:
    if _has_data(config):
        keys.renew_secret(config.data_dir)
        return keys.load(config.data_dir)
    if traces := _traces(config):
        raise CannotStart(LOST.format(traces=", ".join(traces)))
    if config.database_url is None:
        database.sqlite_path(config.data_dir).touch(mode=0o600)
    return keys.create(config.data_dir)


def _traces(config: Config) -> list[str]:
    """What tells that there was an installation here, whose loss must not look like a start."""
    head = Head(config.data_dir / "audit.head").read()
    journal = config.data_dir / JOURNAL
    found = {
        "audit.head": head is not None and head.number > 0,
        JOURNAL: journal.is_file() and journal.stat().st_size > 0,
        "backups": any(config.backups.glob(f"*{copying.ENDING}")),
    }
    return [name for name, is_there in found.items() if is_there]


def _has_data(config: Config) -> bool:
    if config.database_url is None:
        path = database.sqlite_path(config.data_dir)
        return path.exists() and path.stat().st_size > 0
    engine = database.make_engine(config.data_dir, config.database_url, b"")
    try:
        return migrations.exists(engine)
    finally:
        engine.dispose()


def _opening(config: Config, found: Keys) -> Keys:
    """The same keys, the one that opens the database first.

    It is not the first in the file if a rotation was cut short, or an older
    backup was put back.
    """
    ring = found.ring("database")
    if config.database_url or len(ring) == 1:
        return found
    for key in ring:
        engine = database.make_engine(config.data_dir, None, key)
        try:
            database.check_opens(engine)
        except CannotStart:
            continue
        finally:
            engine.dispose()
        return found if key == ring[0] else _put_first(config.data_dir, found, key)
    return found


def _put_first(data_dir: Path, found: Keys, key: bytes) -> Keys:
    rings = {name: found.ring(name) for name in keys.NAMES}
    rings["database"] = key, *(other for other in rings["database"] if other != key)
    with suppress(OSError):  # on a read-only disk it is looked for at each start
        keys.write(data_dir, "database", rings["database"])
    return keys.of_rings(rings)


def _check_keys(engine: Engine, found: Keys) -> None:
    """The keys must be those that the installation was made with, or have come after them.

    What is left of a rotation is done by `services.keys.finish`.
    """
    with engine.connect().execution_options(writing=True) as connection:
        session = Session(connection)
        stored = {row.name: row.fingerprint for row in session.scalars(select(KeyCheck))}
        for name in keys.NAMES:
            if name not in stored:
                current = keys.fingerprint(name, found.ring(name)[0])
                session.add(KeyCheck(name=name, fingerprint=current))
            elif name == "secret":
                _tell_of_another_secret(stored[name], found)
            elif not _is_known(stored[name], found, name, engine.dialect.name):
                raise CannotStart(
                    f"{name}.key is the key of another installation. Put the right one back from "
                    "your recovery copy; after a restore, add the key of that time with "
                    "`flask keys enter --older`."
                )
        session.commit()


def _tell_of_another_secret(stored: str, found: Keys) -> None:
    """Nothing is sealed with it: cookies end, and `services.keys.finish` notes the new one."""
    if stored not in {keys.fingerprint("secret", key) for key in found.ring("secret")}:
        log.warning("secret.key is another one than before: everybody has to sign in again.")


def _is_known(stored: str, found: Keys, name: str, dialect: str) -> bool:
    if name == "database" and dialect == "sqlite":
        return True  # it has opened the file
    return stored in {keys.fingerprint(name, key) for key in found.ring(name)}
