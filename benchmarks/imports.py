"""What an import of 100 000 rows costs, as multiples of the bare csv parse of the same file.

The real import on an installation of its own, step by step: reading in a child,
comparing, making rows, and writing, during which other writers wait. The parse
is measured in between, so that a disturbance hits both.
"""

import argparse
import csv
import io
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.domain.roles import Role
from sync_ui.models import Import, db, installation, transaction
from sync_ui.services import accounts, bulk, imports, undo
from sync_ui.services.access import COMMAND
from sync_ui.services.imports import Wishes

CLIENTS = 400


class Steps:
    """How long each step took, and the parse beside it."""

    def __init__(self, data: bytes) -> None:
        self._text = data.decode()
        self._parses: list[float] = []
        self._taken: list[tuple[str, float]] = []

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        self._parses.append(self._parse())
        start = time.perf_counter()
        yield
        self._taken.append((name, time.perf_counter() - start))

    def told(self) -> None:
        bare = median(self._parses)
        print(f"{'':34}{'seconds':>10}{'parses':>10}")
        print(f"{'bare csv parse':34}{bare:>10.2f}{1:>8} ×")
        for name, seconds in self._taken:
            print(f"{name:34}{seconds:>10.2f}{seconds / bare:>8.0f} ×")

    def _parse(self) -> float:
        start = time.perf_counter()
        for _ in csv.reader(io.StringIO(self._text)):
            pass
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    data = table(rows)
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as directory:
        config = Config(data_dir=Path(directory), base_url="http://127.0.0.1:8000")
        installation.prepare(config)
        with create_app(config).app_context():
            email, words = "anna@example.com", "a password of the benchmark"
            accounts.create_user(
                COMMAND, email=email, name="Anna", role=Role.CLINICIAN, password=words
            )
            clinician_id = accounts.clinician_by_email(email).id
            before = peak()
            steps = Steps(data)
            run(clinician_id, data, steps)
            db.session.remove()
            db.engine.dispose()
    print(f"Import of {rows} rows, {len(data) / 1e6:.1f} MB, {CLIENTS} clients.")
    steps.told()
    print(f"Memory at most: {peak():.0f} MB, of which {before:.0f} MB before the file was read.")


def table(rows: int) -> bytes:
    out = io.StringIO()
    written = csv.writer(out)
    written.writerow(["Client", "Start Date", "Start Time", "Minutes", "Status", "Notes"])
    start = datetime(2026, 1, 1, 8)
    for number in range(rows):
        at = start + timedelta(minutes=7 * number)
        name = f"Client{number % CLIENTS} Smith"
        written.writerow([name, f"{at:%Y-%m-%d}", f"{at:%H:%M}", 50, "scheduled", "By import"])
    return out.getvalue().encode()


def run(clinician_id: int, data: bytes, steps: Steps) -> None:
    wishes = Wishes(take_titles=True)
    with steps.measured("reading, in a child"):
        reading = imports.read(data)
    with steps.measured("comparing"):
        found, seen = imports.compared(clinician_id, reading, wishes)
    with steps.measured("making rows"):
        prepared = bulk.prepare(db.session(), clinician_id, reading.signature, found.changes)
    with steps.measured("writing, other writers wait"), transaction() as session:
        imports.carry_out(session, COMMAND, clinician_id, found, seen, wishes, prepared)
    del found, prepared
    with steps.measured("comparing what is unchanged"):
        found, _ = imports.compared(clinician_id, reading, wishes)
    assert not found.changes
    with steps.measured("undoing"):
        undo.undo(COMMAND, db.session.scalars(select(func.max(Import.id))).one())


def peak() -> float:
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
