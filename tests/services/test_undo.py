"""An import taken back: the database is as it was, row by row, or nothing happens."""

import random
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from sync_ui.domain.event import Status
from sync_ui.errors import Conflict, NotFound, Refused
from sync_ui.models import (
    Appointment,
    AuditEntry,
    Calendar,
    Client,
    Import,
    ImportedRow,
    Initials,
    Row,
    db,
)
from sync_ui.services import appointments, clients, imports, series, undo, upkeep
from sync_ui.services.access import COMMAND
from sync_ui.services.comparison import Outcome
from sync_ui.services.imports import Preview
from tests.practice import Book, Clock
from tests.practice import Practice as People
from tests.services.test_appointments import plan
from tests.services.test_imports import CANCELLED, FOR_EVER, MOVED, PAULA, STAFF, WEEKLY, calendar

BringIn = Callable[..., Preview]

# What may rise although all is as it was, and what tells of the import itself.
RISING = {"revision", "version", "changed_at", "last_change", "policy_revision"}
OF_IMPORTS = {"audit_entry", "import_run", "import_row"}


@pytest.fixture
def bring_in(practice: People) -> BringIn:
    def bring(*events: str, data: bytes = b"", **more: object) -> Preview:
        assert practice.unlu.clinician_id is not None
        content = data or calendar(*events)
        return imports.apply(practice.sam, practice.unlu.clinician_id, content, **more)  # type: ignore[arg-type]

    return bring


def every_table() -> dict[str, list[tuple[object, ...]]]:
    db.session.rollback()
    db.session.expire_all()
    found = {}
    for table in Row.metadata.sorted_tables:
        if table.name in OF_IMPORTS:
            continue
        columns = [column for column in table.columns if column.name not in RISING]
        rows = db.session.execute(select(*columns).order_by(*table.primary_key.columns))
        found[table.name] = [tuple(row) for row in rows]
    return found


def last_import() -> int:
    db.session.rollback()
    return db.session.scalars(select(func.max(Import.id))).one()


def test_the_database_is_as_it_was_row_by_row(practice: People, bring_in: BringIn) -> None:
    before = every_table()
    bring_in(PAULA, STAFF, WEEKLY, MOVED, CANCELLED)
    assert every_table() != before

    undo.undo(practice.sam, last_import())

    assert every_table() == before


def test_an_updating_import_is_undone_to_what_was_there_before(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA, STAFF, WEEKLY)
    before = every_table()
    bring_in(
        PAULA.replace("Paula Brown", "Ravi Shah"),
        STAFF.replace("T12", "T11").replace("Staff", "Team"),
        WEEKLY.replace("COUNT=4", "COUNT=6"),
        MOVED,
        CANCELLED,
    )
    assert every_table() != before

    undo.undo(practice.sam, last_import())

    assert every_table() == before


def test_what_was_put_back_is_told_to_feeds_as_a_change(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA)
    bring_in(PAULA.replace("T10", "T11"))
    db.session.rollback()
    revision = db.session.scalars(select(Appointment.revision)).one()
    versions = dict(db.session.execute(select(Calendar.id, Calendar.version)).all())

    undo.undo(practice.sam, last_import())

    found = db.session.scalars(select(Appointment)).one()
    assert (found.revision, found.starts_local.hour) == (revision + 1, 10)
    after = dict(db.session.execute(select(Calendar.id, Calendar.version)).all())
    raised = {key for key, version in after.items() if version > versions[key]}
    assert raised == {1, int(practice.unlus_calendar)}


POOL = [
    PAULA,
    STAFF,
    PAULA.replace("paula@", "ravi@").replace("Paula Brown", "Ravi Shah").replace("T10", "T15"),
    PAULA.replace("paula@", "zoe@").replace("Paula Brown", "Zoë O'Brien-García"),
    PAULA.replace("paula@", "jill@").replace("Paula Brown", "Jill Smith & Mark Smith"),
    WEEKLY,
    MOVED,
    CANCELLED,
    FOR_EVER.replace("weekly@", "ever@").replace("WEEKLY", "MONTHLY"),
]


@pytest.mark.bar("I8")
@pytest.mark.parametrize("seed", range(5))
def test_any_imports_are_done_once_by_twice_and_undone_in_the_reverse_order(
    seed: int, practice: People, bring_in: BringIn, now: Clock
) -> None:
    chance = random.Random(seed)

    def some() -> list[str]:
        events = [event for event in POOL if chance.random() < 0.7 or event == WEEKLY]
        if chance.random() < 0.5:
            events = [event.replace("T10", f"T{chance.choice([10, 11])}") for event in events]
        if chance.random() < 0.5:
            events = [event.replace("Brown", chance.choice(["Brown", "Bloom"])) for event in events]
        return events

    states = []
    for _ in range(4):
        states.append(every_table())
        events = some()
        bring_in(*events)
        now.move(minutes=1)
        once = every_table()
        assert set(bring_in(*events).counts) == {Outcome.UNCHANGED}
        assert every_table() == once
        now.move(minutes=1)
    while states:
        for _ in range(2):
            db.session.rollback()
            latest = select(Import.id).where(Import.undone_at.is_(None)).order_by(Import.id.desc())
            undo.undo(practice.ada, db.session.scalars(latest.limit(1)).one())
        now.move(minutes=1)
        assert every_table() == states.pop()


@pytest.mark.parametrize("touch", ["moved", "cancelled", "imported again"])
def test_an_import_that_was_touched_since_is_not_undone(
    touch: str, practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA, STAFF)
    first = last_import()
    db.session.rollback()
    appointment_id = db.session.scalars(select(Appointment.id)).first()
    assert appointment_id is not None
    if touch == "moved":
        appointments.change(practice.unlu, appointment_id, plan(), despite="Both agreed")
    elif touch == "cancelled":
        appointments.cancel(practice.unlu, appointment_id)
    else:
        bring_in(PAULA.replace("T10", "T11"), STAFF)
    before = every_table()

    with pytest.raises(Conflict) as refused:
        undo.undo(practice.sam, first)

    assert refused.value.sentence == (
        "1 row of this import was changed since, here or by a later import,"
        " so it cannot be undone as a whole."
    )
    assert every_table() == before


def test_a_client_who_was_booked_elsewhere_stays(
    practice: People, bring_in: BringIn, book: Book
) -> None:
    bring_in(PAULA, PAULA.replace("paula@", "ravi@").replace("Paula Brown", "Ravi Shah"))
    db.session.rollback()
    paula = db.session.scalars(select(Client.id).where(Client.first_name == "Paula")).one()
    book(paula, at="2026-12-03 10:00", actor=practice.anna)

    undo.undo(practice.sam, last_import())

    db.session.rollback()
    names = db.session.scalars(select(Client.first_name).order_by(Client.id))
    assert list(names) == ["Jane", "Mark", "Zoë", "Paula"]


def test_a_client_who_was_edited_stays(practice: People, bring_in: BringIn) -> None:
    bring_in(PAULA)
    db.session.rollback()
    paula = db.session.scalars(select(Client).where(Client.first_name == "Paula")).one()
    clients.change(
        practice.sam,
        paula.id,
        first_name="Paula",
        last_name="Brown",
        preferred_name="Polly",
        internal_id=paula.internal_id,
        ceiling=None,
    )

    undo.undo(practice.sam, last_import())

    db.session.rollback()
    assert db.session.scalar(select(func.count(Appointment.id))) == 0
    assert db.session.scalar(select(Client.id).where(Client.preferred_name == "Polly")) is not None


def test_initials_that_an_import_made_ambiguous_are_plain_again(
    practice: People, bring_in: BringIn, book: Book
) -> None:
    book(practice.jane)
    bring_in(PAULA.replace("Paula Brown", "Jim Stone"))
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Initials)) == 2

    undo.undo(practice.sam, last_import())

    db.session.rollback()
    assert db.session.scalars(select(Initials.client_id)).all() == [practice.jane]


def test_turns_that_the_worker_has_added_go_with_their_series(
    practice: People, bring_in: BringIn, now: Clock
) -> None:
    before = every_table()
    bring_in(FOR_EVER)
    now.move(days=14)
    assert series.extend(COMMAND) == 2

    undo.undo(practice.sam, last_import())

    assert every_table() == before


def test_a_turn_that_was_moved_here_keeps_its_import_from_being_undone(
    practice: People, bring_in: BringIn, now: Clock
) -> None:
    bring_in(FOR_EVER)
    now.move(days=14)
    series.extend(COMMAND)
    db.session.rollback()
    latest = select(Appointment.id).order_by(Appointment.starts_at.desc()).limit(1)
    appointments.cancel(practice.unlu, db.session.scalars(latest).one())

    with pytest.raises(Conflict):
        undo.undo(practice.sam, last_import())


@pytest.mark.bar("I8")
def test_an_import_is_undone_once_and_not_after_ninety_days(
    practice: People, bring_in: BringIn, now: Clock
) -> None:
    bring_in(PAULA)
    undo.undo(practice.sam, last_import())
    with pytest.raises(Conflict):
        undo.undo(practice.sam, last_import())

    bring_in(STAFF)
    now.move(days=90, minutes=1)
    upkeep.clean_up()
    with pytest.raises(Conflict):
        undo.undo(practice.sam, last_import())
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(ImportedRow)) == 0
    assert db.session.scalar(select(Appointment.status)) is Status.SCHEDULED


def test_what_would_undo_an_import_is_kept_for_ninety_days(
    practice: People, bring_in: BringIn, now: Clock
) -> None:
    bring_in(PAULA)
    now.move(days=89)
    upkeep.clean_up()

    assert imports.undoable(imports.listed(practice.sam)) == {last_import()}
    undo.undo(practice.sam, last_import())
    assert imports.undoable(imports.listed(practice.sam)) == set()


def test_clinicians_undo_nothing_and_what_does_not_exist_is_not_found(
    practice: People, bring_in: BringIn
) -> None:
    bring_in(PAULA)
    with pytest.raises(Refused):
        undo.undo(practice.unlu, last_import())
    with pytest.raises(NotFound):
        undo.undo(practice.sam, 4711)


def test_an_undo_is_audited_without_names(practice: People, bring_in: BringIn) -> None:
    bring_in(PAULA)
    undo.undo(practice.sam, last_import())

    entry = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.subject, entry.detail) == (
        "import.undone",
        f"import_run:{last_import()}",
        {},
    )
