"""Imports: another program's calendar becomes this practice's schedule.

A preview is the import itself, rolled back: it tells exactly what would happen.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from sync_ui import clock
from sync_ui.domain.reading import MAX_BYTES, Entry, Problem, Reading
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, NotFound
from sync_ui.gateways import reader
from sync_ui.models import ImportFile, db, transaction
from sync_ui.services import access, appointments, calendars, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.merge import Merge, Outcome
from sync_ui.services.titles import Titles


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the preview: what the import does with one event of the file."""

    line: int
    outcome: Outcome
    starts: datetime | date
    what: str
    turns: int
    all_day: bool


@dataclass(frozen=True, slots=True)
class Title:
    """A title that may be a client's name; `is_client` is the answer or the suggestion."""

    text: str
    count: int
    is_client: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import does, or has done."""

    source: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    titles: tuple[Title, ...]
    notes: tuple[str, ...]
    new_clients: int
    counts: Mapping[Outcome, int] = field(default_factory=dict)

    def summary(self, *, applied: bool) -> str:
        """One sentence: `12 new, 3 changed, 40 unchanged, 1 cancelled, 9 new clients.`"""
        words = [f"{self.counts.get(outcome, 0)} {outcome.value}" for outcome in Outcome]
        done = "Imported" if applied else "Would import"
        return f"{done}: {', '.join(words)}; {self.new_clients} new clients."


def read_file(path: Path) -> bytes:
    """Raises Invalid for a file that cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Invalid("The file is larger than 5 MB. Export a shorter time span.")
        return path.read_bytes()
    except OSError:
        raise Invalid("The file cannot be read.") from None


def look(
    actor: Actor,
    clinician_id: int,
    data: bytes,
    answers: Mapping[str, bool] | None = None,
    *,
    take_titles: bool = False,
) -> Preview:
    """What importing this file into the clinician's schedule would do; nothing changes.

    `answers` says of a title whether it is a client; `take_titles` takes each
    unknown one for a client. Raises Invalid, NotFound, Refused.
    """
    _guard(actor, clinician_id)
    reading = _read(data)
    try:
        with transaction() as session:
            merge = Merge(session, clinician_id, Titles(answers or {}, take_all=take_titles))
            preview = _run(merge, reading)
            raise _RollBack
    except _RollBack:
        return preview


def apply(
    actor: Actor,
    clinician_id: int,
    data: bytes,
    answers: Mapping[str, bool] | None = None,
    *,
    take_titles: bool = False,
    skip_wrong_rows: bool = False,
) -> Preview:
    """The file's events are in the clinician's schedule, all of them or none.

    Raises Invalid, NotFound, Refused, and Conflict for wrong rows that the
    actor has not agreed to leave out.
    """
    _guard(actor, clinician_id)
    reading = _read(data)
    with transaction() as session:
        merge = Merge(session, clinician_id, Titles(answers or {}, take_all=take_titles))
        preview = _run(merge, reading)
        if preview.problems and not skip_wrong_rows:
            raise Conflict(
                "Nothing was imported: some rows are wrong. Mend the file, or leave them out."
            )
        if merge.changed:
            calendars.raise_versions(session, {clinician_id}, merge.at)
        counts = {outcome.name.lower(): count for outcome, count in preview.counts.items()}
        record(session, actor, Action.IMPORT_APPLIED, f"clinician:{clinician_id}", **counts)
    return preview


def keep(actor: Actor, clinician_id: int, data: bytes) -> ImportFile:
    """The upload waits in the database (never in a plain file) for its preview to be accepted."""
    _guard(actor, clinician_id)
    if actor.user_id is None:
        raise NotFound("There is nobody to keep the file for.")
    _read(data)
    with transaction() as session:
        kept = ImportFile(
            user_id=actor.user_id, clinician_id=clinician_id, content=data, created_at=clock.now()
        )
        session.add(kept)
        session.flush()
        record(session, actor, Action.IMPORT_UPLOADED, f"import_file:{kept.id}")
    return kept


def kept_file(actor: Actor, file_id: int) -> ImportFile:
    """The actor's own upload. Raises NotFound."""
    access.require(actor, Permission.IMPORTS)
    gone = "This upload is no longer there. Upload the file again."
    found = access.get(ImportFile, file_id, gone)
    if found.user_id != actor.user_id:
        raise NotFound(gone)
    return found


def discard(actor: Actor, file_id: int) -> None:
    """The upload is gone."""
    with transaction() as session:
        session.delete(kept_file(actor, file_id))
        record(session, actor, Action.IMPORT_DISCARDED, f"import_file:{file_id}")


class _RollBack(Exception):
    """Leaves the transaction of a preview without a trace."""


def _guard(actor: Actor, clinician_id: int) -> None:
    access.require(actor, Permission.IMPORTS)
    access.clinician(actor, clinician_id)


def _read(data: bytes) -> Reading:
    zone = practice.get().zone
    db.session.rollback()  # no transaction stays open while the child reads
    return reader.read_in_child(data, zone, clock.now().date())


def _run(merge: Merge, reading: Reading) -> Preview:
    problems = list(reading.problems)
    rows = []
    for entry in reading.entries:
        try:
            rows.append(_row(entry, merge))
        except Invalid as error:
            problems.append(Problem(entry.line, error.sentence))
    merge.finish()
    counts = Counter(row.outcome for row in rows)
    return Preview(
        source=reading.source,
        rows=tuple(sorted(rows, key=lambda row: row.line)),
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
        titles=tuple(Title(*known) for known in merge.titles.asked()),
        notes=reading.notes,
        new_clients=merge.new_clients,
        counts=counts,
    )


def _row(entry: Entry, merge: Merge) -> Row:
    outcome, plan, turns = merge.take(entry)
    names = " & ".join(f"{c.first_name} {c.last_name}".strip() for c in plan.clients)
    starts = plan.starts.date() if plan.all_day else appointments.moments(plan)[0]
    return Row(entry.line, outcome, starts, names or plan.title, turns, plan.all_day)
