"""Backups at full load, and restores that are cut off anywhere."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import text

from sync_ui.config import Config
from sync_ui.errors import Conflict
from sync_ui.models import copying, database, installation
from sync_ui.models.installation import Installation

_PROCESSES = multiprocessing.get_context("spawn")

PLACES = "INSERT INTO location (name, exclusive) VALUES (:name, 0)"
HOLIDAYS = (
    "INSERT INTO holiday (name, first_day, last_day) VALUES (:name, '2026-12-24', '2026-12-24')"
)


@pytest.fixture
def found(tmp_path: Path) -> Installation:
    return installation.prepare(Config(data_dir=tmp_path / "instance", base_url="http://localhost"))


def source(found: Installation) -> copying.Source:
    return copying.Source(found.config.data_dir, None, found.keys.database)


def write_pairs(
    data_dir: Path, key: bytes, writer: int, is_over: Callable[[], bool], begun: Any
) -> None:
    """A place and a holiday of the same name in each transaction, until it is over."""
    engine = database.make_engine(data_dir, None, key)
    number = 0
    while not is_over():
        with engine.connect().execution_options(writing=True) as connection, connection.begin():
            for statement in (PLACES, HOLIDAYS):
                connection.execute(text(statement), {"name": f"{writer}-{number}"})
        number += 1
        begun.set()
    engine.dispose()


def write_elsewhere(data_dir: Path, key: bytes, writer: int, over: Any, begun: Any) -> None:
    write_pairs(data_dir, key, writer, over.is_set, begun)


@pytest.fixture
def load(found: Installation) -> Iterator[None]:
    """Four threads here and another process write as fast as they can."""
    over, begun = _PROCESSES.Event(), [_PROCESSES.Event() for _ in range(5)]
    data_dir, key = found.config.data_dir, found.keys.database
    writers: list[Any] = [
        threading.Thread(target=write_elsewhere, args=(data_dir, key, each, over, begun[each]))
        for each in range(4)
    ]
    writers.append(
        _PROCESSES.Process(target=write_elsewhere, args=(data_dir, key, 4, over, begun[4]))
    )
    for writer in writers:
        writer.start()
    for each in begun:
        assert each.wait(60)
    yield
    over.set()
    for writer in writers:
        writer.join()


def names(connection: Any, table: str) -> list[str]:
    return [name for (name,) in connection.execute(f"SELECT name FROM {table} ORDER BY name")]


@pytest.mark.bar("B1")
def test_a_backup_at_full_load_is_the_database_as_one_commit_left_it(
    found: Installation, load: None, tmp_path: Path
) -> None:
    key, seen = found.keys.database, []
    for number in range(5):
        path = tmp_path / f"{number}.backup"
        copying.make(source(found), path)
        elsewhere = tmp_path / "elsewhere.db"
        copying.unpack(path, key, elsewhere, key)
        with closing(copying._connect(elsewhere, key)) as connection:
            places, holidays = names(connection, "location"), names(connection, "holiday")
        assert places == holidays
        # Each writer's are all there from its first to its last: no commit was left out.
        for writer in range(5):
            of_writer = {int(name[2:]) for name in places if name.startswith(f"{writer}-")}
            assert of_writer == set(range(len(of_writer)))
        seen.append(len(places))

    assert seen == sorted(seen)
    assert seen[0] < seen[-1]  # the writers went on


def test_a_database_that_somebody_has_open_is_not_replaced(
    found: Installation, tmp_path: Path
) -> None:
    key, current = found.keys.database, database.sqlite_path(found.config.data_dir)
    copying.make(source(found), tmp_path / "a.backup")
    fresh = found.config.data_dir / copying.RESTORING
    copying.unpack(tmp_path / "a.backup", key, fresh, key)
    engine = database.make_engine(found.config.data_dir, None, key)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM practice")).all()
        with pytest.raises(Conflict, match="has the database open"):
            copying.put_in_place(fresh, current, key, tmp_path / "kept")
    engine.dispose()

    copying.put_in_place(fresh, current, key, found.config.data_dir / "kept")
    assert not fresh.exists()


def restore_and_die(data_dir: Path, file: Path, at: int) -> None:
    """Killed before its so-many-th step on the disk; ends well if there are fewer."""
    from flask import Flask

    from sync_ui.services import restore

    left = at

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return real(*args, **kwargs)

        return step

    for owner, name in (
        *((os, each) for each in ("link", "fsync", "open")),
        *((Path, each) for each in ("replace", "unlink")),
        *((copying, each) for each in ("release", "settle", "_export", "is_whole")),
    ):
        setattr(owner, name, dying(getattr(owner, name)))
    config = Config(data_dir=data_dir, base_url="http://localhost")
    app = Flask("restore")
    with app.app_context(), installation.hold_alone(config):
        restore.restore(installation.lend(app, config), file)
    os._exit(0)


@pytest.mark.bar("B2")
def test_a_restore_that_is_killed_leaves_the_old_database_or_the_new(
    found: Installation, tmp_path: Path
) -> None:
    """At each step that it takes on the disk."""
    data_dir, key = found.config.data_dir, found.keys.database
    file = tmp_path / "a.backup"
    add_place(found, "old and new")
    copying.make(source(found), file)
    add_place(found, "old alone")
    states, at, code = [], 0, -1
    forked = multiprocessing.get_context("fork")

    while code != 0:
        child = forked.Process(target=restore_and_die, args=(data_dir, file, at))
        child.start()
        child.join()
        code = child.exitcode or 0
        assert code in {0, -signal.SIGKILL}
        again = installation.prepare(found.config)
        with closing(copying._connect(database.sqlite_path(data_dir), key)) as connection:
            assert copying.is_whole(connection)
            states.append(names(connection, "location"))
        assert again.keys.database == key
        left = {path.name for path in data_dir.iterdir()}
        assert not any(name.startswith(copying.RESTORING) for name in left)
        if states[-1] == ["old and new"]:
            add_place(found, "old alone")
        at += 1

    assert at > 10
    assert states[0] == ["old alone", "old and new"]
    assert states[-1] == ["old and new"]
    assert {tuple(state) for state in states} == {tuple(states[0]), tuple(states[-1])}


def add_place(found: Installation, name: str) -> None:
    engine = database.make_engine(found.config.data_dir, None, found.keys.database)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(text(PLACES), {"name": name})
    engine.dispose()


@pytest.mark.bar("B2")
def test_a_damaged_database_is_kept_and_its_log_never_meets_the_new_one(
    found: Installation, tmp_path: Path
) -> None:
    key, data_dir = found.keys.database, found.config.data_dir
    copying.make(source(found), tmp_path / "a.backup")
    current = database.sqlite_path(data_dir)
    broken = b"broken" * 1000
    current.write_bytes(broken)
    log = data_dir / "sync.db-wal"
    log.write_bytes(b"stale")
    fresh = data_dir / copying.RESTORING
    copying.unpack(tmp_path / "a.backup", key, fresh, key)

    copying.put_in_place(fresh, current, key, data_dir / "kept")

    assert (data_dir / "kept").read_bytes() == broken
    with closing(copying._connect(current, key)) as connection:
        assert copying.is_whole(connection)
    assert not log.exists()
    with pytest.raises(sqlcipher.DatabaseError):
        copying.release(data_dir / "kept", key)
