import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Appointment, Calendar, db
from sync_ui.services import accounts, links, people
from tests.practice import Book, Practice


def shown(practice: Practice) -> list[str]:
    return [clinician.name for clinician in people.visible(practice.sam)]


def test_a_clinician_without_a_sign_in_has_a_calendar_of_their_own(practice: Practice) -> None:
    made = people.create(practice.ada, "  Dr. Tomás   Ibáñez ")

    assert (made.name, made.user_id) == ("Dr. Tomás Ibáñez", None)
    assert shown(practice) == ["Anna Bergström", "Dr. Tomás Ibáñez", "Dr. Ünlü"]
    names = [links.name(calendar) for calendar in links.manageable(practice.sam)]
    assert sorted(names) == ["Anna Bergström", "Dr. Tomás Ibáñez", "Dr. Ünlü", "Riverside"]
    assert db.session.query(Calendar).count() == 4


def test_a_clinician_sees_the_own_schedule_only(practice: Practice) -> None:
    assert [clinician.name for clinician in people.visible(practice.anna)] == ["Anna Bergström"]
    assert people.visible(practice.ada) == people.clinicians()


def test_who_has_left_takes_no_appointment_and_no_link(practice: Practice, book: Book) -> None:
    kept = book(practice.jane).id
    link = links.allow(practice.unlu, practice.unlus_calendar)
    clinician_id = practice.unlu.clinician_id
    assert clinician_id is not None

    people.archive(practice.ada, clinician_id)
    people.archive(practice.ada, clinician_id)

    assert db.session.get_one(Appointment, kept).clinician_id == clinician_id
    assert links.state(link) == "disabled"
    assert shown(practice) == ["Anna Bergström"]
    with pytest.raises(Conflict):
        book(practice.jane)
    with pytest.raises(Conflict):
        links.allow(practice.ada, practice.unlus_calendar)
    with pytest.raises(Conflict):
        links.create(practice.ada, practice.unlus_calendar, "Phone", DisplayMode.BUSY)


def test_only_an_administrator_keeps_clinicians(practice: Practice) -> None:
    clinician_id = practice.unlu.clinician_id
    assert clinician_id is not None
    for actor in (practice.sam, practice.unlu, practice.anna):
        with pytest.raises(Refused):
            people.create(actor, "Dr. No")
        with pytest.raises(Refused):
            people.change(actor, clinician_id, "Dr. No")
        with pytest.raises(Refused):
            people.archive(actor, clinician_id)
    assert shown(practice) == ["Anna Bergström", "Dr. Ünlü"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "\x00\x1b"])
def test_a_clinician_has_a_name_on_one_line(practice: Practice, name: str) -> None:
    with pytest.raises(Invalid):
        people.create(practice.ada, name)


def test_nobody_is_not_found(practice: Practice) -> None:
    with pytest.raises(NotFound):
        people.change(practice.ada, 999, "Dr. No")
    with pytest.raises(NotFound):
        accounts.clinician_by_email("nobody@example.com")


def test_a_clinician_is_found_by_email_however_it_is_spelt(practice: Practice) -> None:
    assert accounts.clinician_by_email(" UNLU@example.com ").name == "Dr. Ünlü"
