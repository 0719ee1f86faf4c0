import pytest

from sync_ui.domain.colours import Colour
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.services import appointments, plans, types
from tests.practice import Book, Practice


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
