"""Imports: another program's calendar becomes this practice's schedule.

A preview compares and writes nothing. An import compares first, then writes in
one short transaction what the comparison found; if something changed in
between, it compares again inside.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from sync_ui import clock
from sync_ui.domain.reading import MAX_BYTES, TOO_LARGE, Problem, Reading, nobody
from sync_ui.domain.reading import Tell as TellRead
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid
from sync_ui.gateways import reader
from sync_ui.models import Import, ImportedRow, db, transaction
from sync_ui.services import access, bulk, calendars, known, mappings, merge, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.comparison import Comparison, Missing, Outcome, Row
from sync_ui.services.merge import Tell
from sync_ui.services.titles import Titles


class WrongRows(Conflict):
    """Nothing was imported, because of these."""

    def __init__(self, problems: Collection[Problem], sentence: str) -> None:
        super().__init__(sentence)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Title:
    """A title that may be a client's name; `is_client` is the answer or the suggestion."""

    text: str
    count: int
    is_client: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import does, or has done; of its rows, at most some hundreds of each outcome.

    `wrong` counts all problems, of which a large file shows some.
    """

    source: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    titles: tuple[Title, ...]
    notes: tuple[str, ...]
    new_clients: int
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    is_table: bool = False
    wrong: int = 0

    def summary(self, *, applied: bool) -> str:
        """One sentence: `12 new, 3 changed, 40 unchanged, 1 cancelled, 9 new clients.`"""
        words = [f"{self.counts.get(outcome, 0)} {outcome.value}" for outcome in Outcome]
        done = "Imported" if applied else "Would import"
        return f"{done}: {', '.join(words)}; {self.new_clients} new clients."


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user wants of an import.

    `answers` says of a title whether it is a client; `take_titles` takes each
    unknown one for a client. `cancel` names what of the missing shall be
    cancelled, None for all of it.
    """

    answers: Mapping[str, bool] = field(default_factory=dict)
    take_titles: bool = False
    skip_wrong_rows: bool = False
    cancel: Collection[str] | None = ()

    def titles(self) -> Titles:
        return Titles(self.answers, take_all=self.take_titles)


def read_file(path: Path) -> bytes:
    """Raises Invalid for a file that cannot be read or is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Invalid(TOO_LARGE)
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

    Raises Invalid, NotFound, Refused.
    """
    guard(actor, clinician_id)
    wishes = Wishes(answers or {}, take_titles)
    found, _ = compared(clinician_id, read(data), wishes)
    return preview(found)


def apply(
    actor: Actor,
    clinician_id: int,
    data: bytes,
    answers: Mapping[str, bool] | None = None,
    *,
    take_titles: bool = False,
    skip_wrong_rows: bool = False,
    cancel_missing: Collection[str] | None = (),
) -> Preview:
    """The file's events are in the clinician's schedule, all of them or none.

    Raises Invalid, NotFound, Refused, and Conflict for wrong rows that the
    actor has not agreed to leave out.
    """
    guard(actor, clinician_id)
    wishes = Wishes(answers or {}, take_titles, skip_wrong_rows, cancel_missing)
    reading = read(data)
    found, seen = compared(clinician_id, reading, wishes)
    prepared = bulk.prepare(db.session(), clinician_id, reading.signature, found.changes)
    with transaction() as session:
        found = carry_out(session, actor, clinician_id, found, seen, wishes, prepared)
    return preview(found)


def guard(actor: Actor, clinician_id: int) -> None:
    access.require(actor, Permission.IMPORTS)
    access.clinician(actor, clinician_id)


def read(data: bytes, tell: TellRead = nobody) -> Reading:
    """What the file says. Raises Invalid."""
    zone = practice.get().zone
    remembered = mappings.remembered()
    db.session.rollback()  # no transaction stays open while the child reads
    return reader.read_in_child(data, zone, clock.now().date(), remembered, tell=tell)


def compared(
    clinician_id: int, reading: Reading, wishes: Wishes, tell: Tell = lambda _: None
) -> tuple[Comparison, str]:
    """What importing would do, and the fingerprint of what that depends on."""
    session = db.session()
    seen = known.fingerprint(session, clinician_id)
    found = merge.compare(session, clinician_id, reading, wishes.titles(), wishes.cancel, tell)
    return found, seen


def carry_out(
    session: Session,
    actor: Actor,
    clinician_id: int,
    found: Comparison,
    seen: str,
    wishes: Wishes,
    prepared: bulk.Prepared,
) -> Comparison:
    """Write, in the transaction under way, what `compared` found. Raises Conflict."""
    signature = found.reading.signature
    if known.fingerprint(session, clinician_id) != seen:
        found = merge.compare(session, clinician_id, found.reading, wishes.titles(), wishes.cancel)
        prepared = bulk.prepare(session, clinician_id, signature, found.changes)
    _refuse_wrong_rows(found, wishes)
    counts = {
        outcome.name.lower(): found.counts[outcome] for outcome in Outcome if found.counts[outcome]
    }
    run = Import(
        clinician_id=clinician_id,
        user_id=actor.user_id,
        source=found.reading.source,
        applied_at=clock.now(),
        counts=counts | ({"new_clients": found.new_clients} if found.new_clients else {}),
    )
    session.add(run)
    session.flush()
    if found.changes:
        at = calendars.stamp(session)
        session.flush()
        bulk.Writing(session, run, signature, at).carry_out(prepared)
        calendars.raise_versions(session, {clinician_id}, at)
    record(session, actor, Action.IMPORT_APPLIED, f"clinician:{clinician_id}", **counts)
    return found


def _refuse_wrong_rows(found: Comparison, wishes: Wishes) -> None:
    if found.problems and not wishes.skip_wrong_rows:
        raise WrongRows(
            found.problems,
            "Nothing was imported: some rows are wrong. Mend the file, or leave them out.",
        )
    if found.problems and wishes.cancel is None and found.missing:
        raise Conflict(
            "Nothing was imported: while some rows are wrong, nobody can tell what is missing. "
            "Mend the file first, or cancel nothing."
        )


def preview(found: Comparison) -> Preview:
    return Preview(
        source=found.reading.source,
        rows=tuple(found.rows),
        problems=tuple(found.problems),
        titles=tuple(Title(*asked) for asked in found.titles),
        notes=found.reading.notes,
        new_clients=found.new_clients,
        counts=found.counts,
        missing=tuple(found.missing),
        is_table=found.reading.is_table,
        wrong=len(found.problems),
    )


def listed(actor: Actor, limit: int = 20) -> list[Import]:
    """The last imports into the schedules that the actor keeps, the latest first."""
    access.require(actor, Permission.IMPORTS)
    latest = select(Import).order_by(Import.applied_at.desc(), Import.id.desc()).limit(limit)
    return list(
        db.session.scalars(latest.options(joinedload(Import.clinician), joinedload(Import.user)))
    )


def undoable(runs: Collection[Import]) -> set[int]:
    """Which of these imports have left something that can be taken back."""
    noted = select(ImportedRow.import_id).where(ImportedRow.import_id.in_([run.id for run in runs]))
    with_rows = set(db.session.scalars(noted.distinct()))
    return {run.id for run in runs if run.undone_at is None and run.id in with_rows}
