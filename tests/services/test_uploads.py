"""Large files: the worker reads and applies them, and a death in between does no harm."""

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain.csv_table import UnknownColumns
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import (
    Appointment,
    Import,
    ImportedRow,
    ImportFile,
    UploadState,
    db,
    transaction,
)
from sync_ui.services import accounts, imports, mappings, upkeep, uploads
from sync_ui.services.access import WORKER
from sync_ui.services.comparison import Outcome
from sync_ui.services.imports import Wishes
from tests.practice import Clock, Practice


def table(rows: int, header: str = "Client,Start,Minutes") -> bytes:
    """Hour by hour from December on, with forty clients."""
    begin = datetime(2026, 12, 1)
    lines = [
        f"Client{n % 40} Brown,{begin + timedelta(hours=n):%Y-%m-%d %H:%M},50" for n in range(rows)
    ]
    return "\n".join([header, *lines]).encode()


LARGE = table(3_000)


def state_of(file_id: int) -> UploadState:
    db.session.rollback()
    return db.session.scalars(select(ImportFile.state).where(ImportFile.id == file_id)).one()


def appointments() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Appointment.id))) or 0


@pytest.fixture
def large(practice: Practice) -> int:
    """A file that the worker has not seen yet."""
    assert practice.unlu.clinician_id is not None
    return uploads.keep(practice.sam, practice.unlu.clinician_id, LARGE).id


def test_a_small_file_waits_for_nobody(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    kept = uploads.keep(practice.sam, practice.unlu.clinician_id, table(20))

    assert (kept.large, kept.state) == (False, UploadState.READY)
    assert uploads.look(practice.sam, kept.id).counts == {Outcome.NEW: 20}
    assert uploads.work(WORKER) == 0


def test_a_large_file_is_read_and_applied_by_the_worker(practice: Practice, large: int) -> None:
    assert state_of(large) is UploadState.WAITING
    with pytest.raises(Conflict):
        uploads.look(practice.sam, large)
    with pytest.raises(Conflict):
        uploads.accept(practice.sam, large, Wishes())

    upkeep.sweep()
    assert state_of(large) is UploadState.READY
    preview = uploads.look(practice.sam, large)
    assert (preview.counts, preview.new_clients, len(preview.rows)) == (
        {Outcome.NEW: 3_000},
        40,
        300,
    )
    assert appointments() == 0

    assert uploads.accept(practice.sam, large, Wishes()) is None
    assert state_of(large) is UploadState.ACCEPTED
    upkeep.sweep()

    assert (state_of(large), appointments()) == (UploadState.DONE, 3_000)
    assert uploads.kept_file(practice.sam, large).content == b""
    assert imports.listed(practice.sam)[0].user_id == practice.sam.user_id
    with pytest.raises(Conflict):
        uploads.accept(practice.sam, large, Wishes())


def test_a_preview_comes_back_from_the_database_as_it_was(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    data = table(30) + b"\nRavi Shah,yesterday,50\nZed Young,2026-12-30 10:00,50"
    imports.apply(practice.sam, practice.unlu.clinician_id, data, skip_wrong_rows=True)
    later = data.replace(b"Client10 Brown,2026-12-01 10:00,50\n", b"")
    found = imports.look(practice.sam, practice.unlu.clinician_id, later)
    assert (len(found.missing), len(found.problems)) == (1, 1)

    assert uploads.restored(uploads.plain(found)) == found


def test_progress_is_told_and_the_lease_is_renewed(
    practice: Practice, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(uploads, "PACE", 0.0)
    tell = uploads._Work._tell

    def note(work: uploads._Work, done: int, total: int) -> None:
        tell(work, done, total)
        kept = uploads.kept_file(practice.sam, large)
        told.append((kept.progress, kept.total, kept.leased_at))

    monkeypatch.setattr(uploads._Work, "_tell", note)

    uploads.work(WORKER)

    assert [progress for progress, _, _ in told] == sorted(progress for progress, _, _ in told)
    assert told[-1] == (6_000, 6_000, clock.now())


class Killed(BaseException):
    """As sudden as a signal."""


@pytest.mark.bar("D9")
@pytest.mark.parametrize("accepted", [False, True])
def test_what_a_dead_worker_had_begun_is_begun_again(
    accepted: bool, practice: Practice, large: int, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if accepted:
        uploads.work(WORKER)
        uploads.accept(practice.sam, large, Wishes())
    with monkeypatch.context() as dying:
        dying.setattr(imports, "compared", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            uploads.work(WORKER)
    began = UploadState.APPLYING if accepted else UploadState.READING
    assert (state_of(large), appointments()) == (began, 0)
    assert uploads.work(WORKER) == 0, "its lease still holds"

    now.move(seconds=uploads.LEASE.total_seconds() + 1)
    assert uploads.work(WORKER) == 1

    assert appointments() == (3_000 if accepted else 0)
    assert state_of(large) is (UploadState.DONE if accepted else UploadState.READY)


@pytest.mark.bar("D9")
@pytest.mark.parametrize("accepted", [False, True])
def test_a_worker_that_was_silent_too_long_leaves_the_file_to_whoever_took_it(
    accepted: bool, practice: Practice, large: int, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if accepted:
        uploads.work(WORKER)
        uploads.accept(practice.sam, large, Wishes())
    compared = imports.compared
    took = []

    def be_silent(*args: object) -> object:
        """Another worker takes the file on, and is at it when this one comes to itself."""
        found = compared(*args)  # type: ignore[arg-type]
        now.move(seconds=uploads.LEASE.total_seconds() + 1)
        took.append(uploads._claim())
        now.move(seconds=1)
        return found

    with monkeypatch.context() as silent:
        silent.setattr(imports, "compared", be_silent)
        assert uploads.work(WORKER) == 1
    (job,) = took
    assert job is not None
    assert (state_of(large), appointments()) == (job.state, 0)

    uploads._Work(job).carry_out()

    assert state_of(large) is (UploadState.DONE if accepted else UploadState.READY)
    assert appointments() == (3_000 if accepted else 0)
    assert db.session.scalar(select(func.count(Import.id))) == (1 if accepted else 0)


def test_a_file_that_cannot_be_read_says_nothing_of_one_that_got_its_number(
    practice: Practice, large: int, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert practice.unlu.clinician_id is not None
    own = practice.unlu.clinician_id

    def replace_it(*_: object, **__: object) -> object:
        uploads.discard(practice.sam, large)
        now.move(seconds=1)
        uploads.keep(practice.sam, own, table(2_000))
        raise Invalid("This file is wrong.")

    with monkeypatch.context() as wrong:
        wrong.setattr(uploads._Work, "_carry_out", replace_it)
        job = uploads._claim()
        assert job is not None
        uploads._Work(job).carry_out()

    db.session.rollback()
    (kept,) = db.session.scalars(select(ImportFile))
    assert (kept.state, kept.problem) == (UploadState.WAITING, "")


def test_a_file_that_was_discarded_meanwhile_leaves_no_trace(
    practice: Practice, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.work(WORKER)
    uploads.accept(practice.sam, large, Wishes())
    compared = imports.compared

    def discard_first(*args: object) -> object:
        uploads.discard(practice.sam, large)
        return compared(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(imports, "compared", discard_first)

    assert uploads.work(WORKER) == 1
    assert appointments() == 0
    assert db.session.scalar(select(func.count(Import.id))) == 0


def test_what_changed_while_it_was_compared_is_compared_again(
    practice: Practice, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert practice.unlu.clinician_id is not None
    own = practice.unlu.clinician_id
    uploads.work(WORKER)
    uploads.accept(practice.sam, large, Wishes())
    compared = imports.compared

    def import_meanwhile(*args: object) -> object:
        found = compared(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(imports, "compared", compared)
        imports.apply(practice.ada, own, LARGE)
        return found

    monkeypatch.setattr(imports, "compared", import_meanwhile)

    uploads.work(WORKER)

    assert appointments() == 3_000
    assert [run.counts for run in imports.listed(practice.sam)] == [
        {"unchanged": 3_000},
        {"new": 3_000, "new_clients": 40},
    ]


@pytest.mark.bar("Z3")
def test_a_user_who_has_left_imports_nothing(practice: Practice, large: int) -> None:
    uploads.work(WORKER)
    uploads.accept(practice.sam, large, Wishes())
    assert practice.sam.user_id is not None
    accounts.disable_user(practice.ada, practice.sam.user_id)

    uploads.work(WORKER)

    kept = uploads.kept_file(practice.sam, large)
    assert (kept.problem, appointments()) == ("Whoever uploaded this file is no longer here.", 0)


def test_wrong_rows_stop_a_large_import_until_they_are_left_out(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    data = LARGE + b"\nRavi Shah,yesterday,50"
    file_id = uploads.keep(practice.sam, practice.unlu.clinician_id, data).id
    uploads.work(WORKER)
    uploads.accept(practice.sam, file_id, Wishes())
    uploads.work(WORKER)

    kept = uploads.kept_file(practice.sam, file_id)
    assert (kept.state, appointments()) == (UploadState.READY, 0)
    assert kept.problem == (
        "Nothing was imported: some rows are wrong. Mend the file, or leave them out."
    )
    uploads.accept(practice.sam, file_id, Wishes(skip_wrong_rows=True))
    uploads.work(WORKER)
    assert appointments() == 3_000


def test_a_large_file_that_cannot_be_read_says_why(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    cut = b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nEND:VEVENT\n" * 2_000
    file_id = uploads.keep(practice.sam, practice.unlu.clinician_id, cut).id

    uploads.work(WORKER)

    kept = uploads.kept_file(practice.sam, file_id)
    assert kept.state is UploadState.FAILED
    assert kept.problem.startswith("This file breaks off")


@pytest.mark.bar("I9")
def test_what_is_no_text_is_refused_at_once_whatever_its_size(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    with pytest.raises(Invalid):
        uploads.keep(practice.sam, practice.unlu.clinician_id, b"PK\x03\x04" + b"x" * 2_000_000)


UNKNOWN = "Wer,Wann,Wie lange"


@pytest.mark.parametrize("rows", [20, 3_000])
def test_what_columns_are_is_said_once_and_remembered(rows: int, practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    own, data = practice.unlu.clinician_id, table(rows, UNKNOWN)
    file_id = uploads.keep(practice.sam, own, data).id
    uploads.work(WORKER)
    with pytest.raises((UnknownColumns, Conflict, Invalid)):
        imports.look(practice.sam, own, data)

    found = uploads.glance(practice.sam, file_id)
    assert [heading.cell for heading in found.headings] == ["Wer", "Wann", "Wie lange"]
    assert [heading.name for heading in found.headings] == ["", "", ""]
    mappings.remember(practice.sam, found.signature, ["Client", "Start", "Duration"])
    uploads.look_again(practice.sam, file_id)
    uploads.work(WORKER)

    assert uploads.look(practice.sam, file_id).counts == {Outcome.NEW: rows}
    upper = table(rows, UNKNOWN.upper())
    assert imports.look(practice.sam, own, upper).counts == {Outcome.NEW: rows}


def test_a_mapping_can_say_which_number_is_the_day(practice: Practice) -> None:
    assert practice.unlu.clinician_id is not None
    data = b"Wer,Wann\nPaula Brown,03/04/2027 10:00\n"
    file_id = uploads.keep(practice.sam, practice.unlu.clinician_id, data).id
    signature = uploads.glance(practice.sam, file_id).signature
    starts = []
    for day_first in (True, False):
        mappings.remember(practice.sam, signature, ["Client", "Start"], day_first)
        starts.append(uploads.look(practice.sam, file_id).rows[0].starts.month)

    assert starts == [4, 3]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["Client", "Client"], "Two columns are Client. Leave one of them out."),
        (["Client", ""], "A column Start Date (or Start, with day and time) is needed."),
        (["Start", ""], "A column Client, First Name and Last Name, Client ID or Title"),
        (["Client", "Start", "nonsense"], "No such column is known."),
    ],
)
def test_a_mapping_that_says_too_little_is_refused(
    columns: list[str], sentence: str, practice: Practice
) -> None:
    with pytest.raises(Invalid) as refused:
        mappings.remember(practice.sam, "0" * 32, columns)
    assert refused.value.sentence.startswith(sentence)


WORK = """
import sys
from pathlib import Path
from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.services import bulk, uploads
from sync_ui.services.access import WORKER

data_dir, url = sys.argv[1:]
config = Config(data_dir=Path(data_dir), base_url="http://127.0.0.1", database_url=url or None)
add = bulk.Writing._add

def add_slowly(*args):
    add(*args)
    print("half done", flush=True)
    import time; time.sleep(600)

bulk.Writing._add = add_slowly
with create_app(config).app_context():
    uploads.work(WORKER)
"""


@pytest.mark.bar("D9", "I8")
def test_a_worker_that_is_killed_in_the_middle_of_writing_leaves_nothing(
    app: Flask, config: Config, practice: Practice, large: int
) -> None:
    uploads.work(WORKER)
    uploads.accept(practice.sam, large, Wishes())
    db.session.remove()
    child = subprocess.Popen(
        [sys.executable, "-c", WORK, str(config.data_dir), config.database_url or ""],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"half done\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()

    assert appointments() == 0
    with transaction() as session:
        kept = session.get_one(ImportFile, large)
        assert kept.state is UploadState.APPLYING
        kept.leased_at = clock.now() - timedelta(minutes=3)
    upkeep.sweep()

    assert (state_of(large), appointments()) == (UploadState.DONE, 3_000)
    assert db.session.scalar(select(func.count(Import.id))) == 1
    noted = (
        select(func.count()).select_from(ImportedRow).where(ImportedRow.of_table == "appointment")
    )
    assert db.session.scalar(noted) == 3_000
