import pytest
from sqlalchemy import select

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Appointment, AppointmentType, Calendar, db
from sync_ui.services import appointments, plans, types
from tests.practice import Book, Clock, Practice


def names() -> list[str]:
    return [found.name for found in types.offered()]


def test_a_type_brings_its_length_and_colour(practice: Practice, book: Book) -> None:
    intake = types.create(practice.ada, name="Intake", minutes=90, colour=Colour.BLUE)

    found = book(practice.jane, type_id=intake.id)

    assert found.type is not None
    assert (found.type.name, found.type.minutes, found.type.colour) == ("Intake", 90, Colour.BLUE)


def test_an_archived_type_is_kept_by_appointments_and_offered_no_more(
    practice: Practice, book: Book
) -> None:
    intake = types.create(practice.ada, name="Intake", minutes=90, colour=Colour.BLUE)
    found = book(practice.jane, type_id=intake.id)

    types.archive(practice.ada, intake.id)

    assert names() == []
    appointments.change(practice.sam, found.id, plans.plan_of(found))
    assert found.type_id == intake.id
    with pytest.raises(Invalid):
        book(practice.mark, type_id=intake.id)


def test_two_types_of_one_name_are_refused_until_one_is_archived(practice: Practice) -> None:
    first = types.create(practice.ada, name="Intake", minutes=90, colour=Colour.BLUE)
    with pytest.raises(Conflict):
        types.create(practice.ada, name=" intake ", minutes=60, colour=Colour.RED)
    types.archive(practice.ada, first.id)

    types.create(practice.ada, name="Intake", minutes=60, colour=Colour.RED)

    assert names() == ["Intake"]


def test_a_type_keeps_its_own_name_and_takes_no_others(practice: Practice) -> None:
    intake = types.create(practice.ada, name="Intake", minutes=90, colour=Colour.BLUE)
    types.create(practice.ada, name="Couple", minutes=80, colour=Colour.RED)

    types.change(practice.ada, intake.id, name="Intake", minutes=60, colour=Colour.GREEN)

    assert (types.get(intake.id).minutes, types.get(intake.id).colour) == (60, Colour.GREEN)
    with pytest.raises(Conflict):
        types.change(practice.ada, intake.id, name="Couple", minutes=60, colour=Colour.GREEN)


@pytest.mark.parametrize(("name", "minutes"), [("", 50), ("Long", 0), ("Longer", 1441)])
def test_nonsense_is_refused(practice: Practice, name: str, minutes: int) -> None:
    with pytest.raises(Invalid):
        types.create(practice.ada, name=name, minutes=minutes, colour=Colour.TEAL)

    assert names() == []


def test_types_are_kept_by_administrators(practice: Practice) -> None:
    for actor in (practice.sam, practice.unlu):
        with pytest.raises(Refused):
            types.create(actor, name="Intake", minutes=90, colour=Colour.BLUE)
    with pytest.raises(NotFound):
        types.archive(practice.ada, 999)


def versions() -> dict[int | None, int]:
    """By clinician; None is the practice's calendar."""
    db.session.rollback()
    return {found.clinician_id: found.version for found in db.session.scalars(select(Calendar))}


def recovery(practice: Practice, **other: object) -> AppointmentType:
    made = types.create(practice.ada, name="Recovery", minutes=50, colour=Colour.BLUE)
    if other:
        change(practice, made, **other)
    return made


def change(practice: Practice, kind: AppointmentType, **other: object) -> None:
    as_it_is = {
        "name": kind.name,
        "minutes": kind.minutes,
        "colour": kind.colour,
        "ceiling": kind.ceiling,
    }
    types.change(practice.ada, kind.id, **(as_it_is | other))  # type: ignore[arg-type]


def test_a_type_keeps_the_ceiling_that_it_was_given(practice: Practice) -> None:
    made = types.create(
        practice.ada, name="Recovery", minutes=50, colour=Colour.BLUE, ceiling=DisplayMode.BUSY
    )
    assert types.get(made.id).ceiling is DisplayMode.BUSY

    change(practice, made, ceiling=None)

    assert types.get(made.id).ceiling is None


@pytest.mark.parametrize(
    ("new", "moves"),
    [
        ({"ceiling": DisplayMode.BUSY}, True),
        ({"name": "Recovery group"}, True),
        ({"minutes": 90, "colour": Colour.RED}, False),
        ({}, False),
    ],
)
def test_what_links_show_of_a_type_moves_the_feeds_that_hold_it(
    practice: Practice, book: Book, now: Clock, new: dict[str, object], moves: bool
) -> None:
    kind = recovery(practice)
    hers = book(practice.jane, type_id=kind.id).id
    other = book(practice.mark, at="2026-11-25 10:00").id
    book(practice.zoe, actor=practice.anna)
    now.move(minutes=1)
    before, unlu = versions(), practice.unlu.clinician_id
    revisions = [db.session.get_one(Appointment, a).revision for a in (hers, other)]

    change(practice, kind, **new)

    after = versions()
    assert {key for key in after if after[key] != before[key]} == ({unlu, None} if moves else set())
    found = [db.session.get_one(Appointment, a).revision for a in (hers, other)]
    assert found == [revisions[0] + moves, revisions[1]]


def test_a_name_that_an_archived_type_gives_up_moves_its_feeds(
    practice: Practice, book: Book
) -> None:
    kind = recovery(practice)
    book(practice.jane, type_id=kind.id)
    types.archive(practice.ada, kind.id)
    before = versions()

    types.create(practice.ada, name="Recovery", minutes=60, colour=Colour.RED)

    assert types.get(kind.id).name.startswith("Recovery (until ")
    assert versions()[practice.unlu.clinician_id] == before[practice.unlu.clinician_id] + 1
