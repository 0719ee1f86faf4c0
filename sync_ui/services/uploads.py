"""Uploaded files: they wait in the database, and the worker takes on the large ones.

A small file is read when its preview is looked at. A large one is read by the
worker, which keeps the preview, and applied by it once the user has accepted.
What it is at it holds by a lease, so that another begins again where it died;
the rows and the word that they are there are written together, or not at all.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, undefer

from sync_ui import clock
from sync_ui.domain.csv_table import Glance, UnknownColumns
from sync_ui.domain.reading import Problem, as_utf8
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, NotFound, SyncError, Unavailable
from sync_ui.gateways import reader
from sync_ui.models import ImportFile, UploadState, User, db, transaction
from sync_ui.services import access, bulk, imports, mappings
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.comparison import Missing, Outcome, Row
from sync_ui.services.imports import Preview, Title, Wishes

# Up to this size a file is read while its user waits.
SMALL_BYTES = 1024 * 1024
SMALL_ROWS = 1_000

# Whoever has said nothing for so long is dead, or has lost the file to whoever took it since.
# The longest silence of a worker that lives is some ten seconds, at the end of a large calendar.
LEASE = timedelta(seconds=30)

# How often the progress is written, in seconds.
PACE = 1.0

# Of a large file's preview, so many titles, problems and missing rows are kept.
SHOWN = 500

BUSY = {UploadState.WAITING, UploadState.READING, UploadState.ACCEPTED, UploadState.APPLYING}

_GONE = "This upload is no longer there. Upload the file again."

log = logging.getLogger(__name__)


def keep(actor: Actor, clinician_id: int, data: bytes) -> ImportFile:
    """The upload waits in the database (never in a plain file) for its preview to be accepted.

    Raises Invalid, NotFound, Refused.
    """
    imports.guard(actor, clinician_id)
    if actor.user_id is None:
        raise NotFound("There is nobody to keep the file for.")
    large = _is_large(data)
    if not large:
        with suppress(UnknownColumns):  # the user is asked what they are
            imports.read(data)
    with transaction() as session:
        kept = ImportFile(
            user_id=actor.user_id,
            clinician_id=clinician_id,
            content=data,
            created_at=clock.now(),
            large=large,
            state=UploadState.WAITING if large else UploadState.READY,
        )
        session.add(kept)
        session.flush()
        record(session, actor, Action.IMPORT_UPLOADED, f"import_file:{kept.id}")
    return kept


def kept_file(actor: Actor, file_id: int) -> ImportFile:
    """The actor's own upload. Raises NotFound."""
    access.require(actor, Permission.IMPORTS)
    found = access.get(ImportFile, file_id, _GONE)
    if found.user_id != actor.user_id:
        raise NotFound(_GONE)
    return found


def unfinished(actor: Actor) -> list[ImportFile]:
    """The actor's own large files that are not imported yet, the latest first."""
    access.require(actor, Permission.IMPORTS)
    own = (
        ImportFile.user_id == actor.user_id,
        ImportFile.large,
        ImportFile.state != UploadState.DONE,
    )
    latest = select(ImportFile).where(*own).order_by(ImportFile.id.desc())
    return list(db.session.scalars(latest.options(joinedload(ImportFile.clinician))))


def discard(actor: Actor, file_id: int) -> None:
    """The upload is gone; what the worker has not finished leaves no trace."""
    with transaction() as session:
        session.delete(kept_file(actor, file_id))
        record(session, actor, Action.IMPORT_DISCARDED, f"import_file:{file_id}")


def look(actor: Actor, file_id: int, answers: Mapping[str, bool] | None = None) -> Preview:
    """What importing the file would do. Raises NotFound, Invalid, and Conflict while it is read.

    A large file's preview is what the worker has found.
    """
    kept = kept_file(actor, file_id)
    if not kept.large:
        return imports.look(actor, kept.clinician_id, kept.content, answers)
    if kept.found is None:
        raise Conflict("The file is still being read. Wait a moment.")
    return restored(kept.found)


def glance(actor: Actor, file_id: int) -> Glance:
    """The columns of the file and samples of what they hold. Raises NotFound, Invalid."""
    content = kept_file(actor, file_id).content
    remembered = mappings.remembered()
    db.session.rollback()  # no transaction stays open while the child reads
    return reader.glance_in_child(content, remembered)


def look_again(actor: Actor, file_id: int, wishes: Wishes | None = None) -> None:
    """The worker reads a large file again, with these answers."""
    with transaction() as session:
        kept = kept_file(actor, file_id)
        if not kept.large:
            return
        _refuse_busy(kept)
        if wishes is not None:
            kept.answers = {**kept.answers, **wishes.answers}
        kept.state, kept.found, kept.problem = UploadState.WAITING, None, ""
        record(session, actor, Action.IMPORT_UPLOADED, f"import_file:{file_id}")


def accept(actor: Actor, file_id: int, wishes: Wishes) -> Preview | None:
    """The file is imported; None for a large one, which the worker takes on.

    Raises NotFound, Invalid, Refused, and Conflict for wrong rows that the
    actor has not agreed to leave out.
    """
    kept = kept_file(actor, file_id)
    if kept.large:
        _hand_on(actor, file_id, wishes)
        return None
    done = imports.apply(
        actor,
        kept.clinician_id,
        kept.content,
        wishes.answers,
        skip_wrong_rows=wishes.skip_wrong_rows,
        cancel_missing=wishes.cancel,
    )
    discard(actor, file_id)
    return done


def work(actor: Actor) -> int:
    """Read and apply what waits, one file after the other. Returns how many were taken on.

    `actor` is the worker; what a file brings is its user's doing.
    """
    taken = 0
    while (job := _claim()) is not None:
        taken += 1
        _Work(job).carry_out()
    return taken


def is_busy(kept: ImportFile) -> bool:
    return kept.state in BUSY


def _is_large(data: bytes) -> bool:
    if len(data) > SMALL_BYTES:
        as_utf8(data)  # what is no text at all is refused at once
        return True
    return (data.count(b"BEGIN:VEVENT") or data.count(b"\n")) > SMALL_ROWS


def _refuse_busy(kept: ImportFile) -> None:
    if kept.state in {UploadState.ACCEPTED, UploadState.APPLYING}:
        raise Conflict("The file is being imported already.")
    if kept.state is UploadState.DONE:
        raise Conflict("The file has been imported already.")


def _hand_on(actor: Actor, file_id: int, wishes: Wishes) -> None:
    with transaction() as session:
        kept = kept_file(actor, file_id)
        _refuse_busy(kept)
        if kept.state is not UploadState.READY:
            raise Conflict("The file is still being read. Wait for its preview.")
        kept.answers = {**kept.answers, **wishes.answers}
        kept.skips_wrong_rows = wishes.skip_wrong_rows
        kept.cancelled = sorted(wishes.cancel or ())
        kept.state, kept.problem, kept.total = UploadState.ACCEPTED, "", 0
        record(session, actor, Action.IMPORT_ACCEPTED, f"import_file:{file_id}")


@dataclass(frozen=True, slots=True)
class Job:
    """A file that this process has taken on, in the state that says so."""

    id: int
    user_id: int
    clinician_id: int
    state: UploadState
    leased_at: datetime
    content: bytes
    wishes: Wishes


def _claim() -> Job | None:
    """The next file that nobody is at; from now on it is this process's."""
    now = clock.now()
    dead = ImportFile.leased_at < now - LEASE
    at_work = ImportFile.state.in_((UploadState.READING, UploadState.APPLYING))
    owed = ImportFile.state.in_((UploadState.WAITING, UploadState.ACCEPTED)) | (at_work & dead)
    db.session.rollback()  # whatever was read before is old
    wanted = select(ImportFile.id).where(owed).order_by(ImportFile.created_at).limit(1)
    if db.session.scalar(wanted) is None:
        return None
    with transaction() as session:
        if session.scalar(select(ImportFile.id).where(at_work & ~dead).limit(1)) is not None:
            return None  # one at a time
        found = session.scalar(
            select(ImportFile)
            .where(owed)
            .order_by(ImportFile.created_at)
            .limit(1)
            .options(undefer(ImportFile.content))
        )
        if found is None:
            return None
        accepted = found.state in {UploadState.ACCEPTED, UploadState.APPLYING}
        found.state = UploadState.APPLYING if accepted else UploadState.READING
        found.leased_at, found.progress, found.total = now, 0, 0
        wishes = Wishes(
            answers=found.answers,
            skip_wrong_rows=found.skips_wrong_rows,
            cancel=found.cancelled,
        )
        return Job(
            id=found.id,
            user_id=found.user_id,
            clinician_id=found.clinician_id,
            state=found.state,
            leased_at=now,
            content=found.content,
            wishes=wishes,
        )


class _Lost(Exception):
    """The user wants the file no more, or another worker has taken it on."""


class _Work:
    """One file, read and compared, and written if the user has accepted it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._leased_at = job.leased_at
        self._told_at = time.monotonic()

    def carry_out(self) -> None:
        try:
            self._carry_out(_user_of(self._job))
        except _Lost:
            return
        except Unavailable:
            return  # tried again when the lease is over
        except SyncError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the other files go on
            log.error("An import failed: %s", type(error).__name__)
            db.session.rollback()
            self._fail(Conflict("Something went wrong on our side. Nothing was imported."))

    def _carry_out(self, actor: Actor) -> None:
        job = self._job
        imports.guard(actor, job.clinician_id)
        reading = imports.read(job.content, self._tell_reading)
        total = 2 * len(reading.entries)
        found, seen = imports.compared(
            job.clinician_id,
            reading,
            job.wishes,
            lambda done: self._tell(len(reading.entries) + done, total),
        )
        if job.state is UploadState.READING:
            with transaction() as session:
                self._tell_result(self._held(session), imports.preview(found), UploadState.READY)
            return
        self._tell(total, total)
        signature = reading.signature
        prepared = bulk.prepare(db.session(), job.clinician_id, signature, found.changes)
        with transaction() as session:
            kept = self._held(session)
            found = imports.carry_out(
                session, actor, job.clinician_id, found, seen, job.wishes, prepared
            )
            kept.content = b""
            self._tell_result(kept, imports.preview(found), UploadState.DONE)

    def _tell_result(self, kept: ImportFile, found: Preview, state: UploadState) -> None:
        kept.found, kept.state, kept.leased_at = plain(found), state, None

    def _held(self, session: Session) -> ImportFile:
        """The row, if it is still this process's: its lease is the one that was taken here."""
        kept = session.get(ImportFile, self._job.id)
        if kept is None or kept.state is not self._job.state or kept.leased_at != self._leased_at:
            raise _Lost
        return kept

    def _tell_reading(self, done: int, total: int) -> None:
        self._tell(done, 2 * total)

    def _tell(self, done: int, total: int) -> None:
        """Progress is written at its own pace, each time in a transaction of its own."""
        if time.monotonic() - self._told_at < PACE:
            return
        self._told_at = time.monotonic()
        with transaction() as session:
            kept, now = self._held(session), clock.now()
            kept.progress, kept.total, kept.leased_at = done, total, now
        self._leased_at = now

    def _fail(self, error: SyncError) -> None:
        """A preview that was there can still be looked at; the file cannot be, if it was not."""
        with suppress(_Lost), transaction() as session:
            kept = self._held(session)
            readable = kept.state is UploadState.APPLYING and kept.found is not None
            kept.state = UploadState.READY if readable else UploadState.FAILED
            kept.problem, kept.leased_at = error.sentence, None
            if isinstance(error, UnknownColumns):
                kept.found = {"unknown_columns": True}


def _user_of(job: Job) -> Actor:
    """Who uploaded the file, as far as they may still import."""
    user = db.session.get(User, job.user_id)
    if user is None or user.disabled_at is not None:
        raise NotFound("Whoever uploaded this file is no longer here.")
    return access.actor_for(user)


# A preview as JSON, as much of it as is shown.


def plain(found: Preview) -> dict[str, Any]:
    few = replace(
        found,
        problems=found.problems[:SHOWN],
        titles=found.titles[:SHOWN],
        missing=found.missing[:SHOWN],
    )
    kept = asdict(few)
    kept["counts"] = {outcome.value: count for outcome, count in found.counts.items()}
    for row in (*kept["rows"], *kept["missing"]):
        row["starts"] = row["starts"].isoformat()
        row["was"] = row["was"].isoformat() if row.get("was") else None
    return kept


def restored(kept: Mapping[str, Any]) -> Preview:
    rows = [
        row | {"starts": _time(row["starts"]), "was": _time(row["was"])} for row in kept["rows"]
    ]
    missing = [
        Missing(m["id"], _time(m["starts"]), m["what"], m["turns"], m["all_day"])
        for m in kept["missing"]
    ]
    return Preview(
        **{
            **kept,
            "rows": tuple(
                Row(**row | {"outcome": Outcome(row["outcome"]), "said": tuple(row["said"])})
                for row in rows
            ),
            "problems": tuple(Problem(**problem) for problem in kept["problems"]),
            "titles": tuple(Title(**title) for title in kept["titles"]),
            "notes": tuple(kept["notes"]),
            "counts": {Outcome(word): count for word, count in kept["counts"].items()},
            "missing": tuple(missing),
        }
    )


def _time(text: str | None) -> Any:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
