"""One installation: its settings, keys, database and journal, made ready to serve."""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from flask import Flask, current_app
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sync_ui.config import Config
from sync_ui.errors import CannotStart
from sync_ui.models import database, keys, migrations
from sync_ui.models.head import Head
from sync_ui.models.journal import Journal
from sync_ui.models.keys import Keys
from sync_ui.models.practice import KeyCheck


@dataclass(frozen=True, slots=True)
class Installation:
    config: Config
    keys: Keys
    journal: Journal
    head: Head


def current() -> Installation:
    """The installation that the running application serves."""
    installation = current_app.extensions["installation"]
    assert isinstance(installation, Installation)
    return installation


def init_app(app: Flask, config: Config) -> None:
    """Make or open the data directory. Raises CannotStart with one sentence."""
    found = prepare(config)
    app.extensions["installation"] = found
    database.init_app(app, config.data_dir, config.database_url, found.keys.database)


def prepare(config: Config) -> Installation:
    """Keys exist, the database opens with them and has this version's shape.

    Safe to call from several processes at once: the first one does the work.
    """
    _make_directory(config.data_dir)
    with FileLock(config.data_dir / "prepare.lock"):
        found = _keys(config)
        engine = database.make_engine(config.data_dir, config.database_url, found.database)
        try:
            database.check_opens(engine)
            head = Head(config.data_dir / "audit.head")
            if not migrations.has_chain(engine):
                head.create()
            migrations.upgrade(engine)
            _check_keys(engine, found)
        finally:
            engine.dispose()
    return Installation(config, found, _journal(config.data_dir / "revoked.log"), head)


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
def hold(data_dir: Path, seconds_to_wait: float = 0) -> Iterator[None]:
    """Keep every other server away from the data directory. Raises CannotStart."""
    lock = FileLock(data_dir / "server.lock")
    try:
        lock.acquire(timeout=seconds_to_wait)
    except Timeout:
        raise CannotStart(
            "another server is using this data directory. Stop it first, "
            "or choose another directory with SYNC_DATA_DIR."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _make_directory(data_dir: Path) -> None:
    try:
        os.umask(0o077)  # whatever is made from here on is the owner's alone
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (data_dir / "prepare.lock").open("a"):
            pass
    except OSError:
        raise CannotStart(
            "the data directory cannot be made or written to. Check SYNC_DATA_DIR."
        ) from None


def _keys(config: Config) -> Keys:
    if _has_data(config):
        return keys.load(config.data_dir)
    return keys.create(config.data_dir)


def _has_data(config: Config) -> bool:
    if config.database_url is None:
        path = database.sqlite_path(config.data_dir)
        path.touch(mode=0o600)
        return path.stat().st_size > 0
    engine = database.make_engine(config.data_dir, config.database_url, b"")
    try:
        return migrations.exists(engine)
    finally:
        engine.dispose()


def _check_keys(engine: Engine, found: Keys) -> None:
    """The keys must be those that the installation was made with."""
    with engine.connect().execution_options(writing=True) as connection:
        session = Session(connection)
        stored = {row.name: row.fingerprint for row in session.scalars(select(KeyCheck))}
        for name, key in (("token", found.token), ("secret", found.secret)):
            fingerprint = hmac.new(key, f"{name}.key".encode(), hashlib.sha256).hexdigest()
            if name not in stored:
                session.add(KeyCheck(name=name, fingerprint=fingerprint))
            elif stored[name] != fingerprint:
                raise CannotStart(
                    f"{name}.key is the key of another installation. "
                    "Put the right one back from your recovery copy."
                )
        session.commit()
