"""The log of what was written: it grows behind a long reader, and is short again after it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from sync_ui.models import db

MOST = 4 * 1024 * 1024


@pytest.mark.bar("D6")
def test_a_long_reader_lets_the_log_grow_and_its_end_cuts_it_short(
    app: Flask, data_dir: Path
) -> None:
    log = data_dir / "sync.db-wal"
    db.session.remove()

    with db.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM location")).scalar()
        _write_until(lambda: log.stat().st_size > MOST + 1024 * 1024)

    # What a checkpoint, which comes by itself after some writing, has copied is begun anew.
    _write_until(lambda: log.stat().st_size <= MOST)
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def _write_until(enough: Callable[[], bool]) -> None:
    with db.engine.connect().execution_options(writing=True) as writer:
        writer.execute(text("CREATE TABLE IF NOT EXISTS filler (content BLOB)"))
        writer.commit()
        for _ in range(100):
            if enough():
                return
            writer.execute(text("INSERT INTO filler VALUES (randomblob(200000))"))
            writer.commit()
    raise AssertionError("It did not happen")
