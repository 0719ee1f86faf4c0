import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Client, db
from sync_ui.services import access, appointments, clients
from sync_ui.services.access import COMMAND, Actor
from tests.practice import Book, Practice


def names(actor: Actor, search: str = "") -> list[str]:
    return [f"{c.first_name} {c.last_name}".strip() for c in clients.listed(actor, search)]


def change(practice: Practice, client_id: int, **other: object) -> Client:
    found = db.session.get_one(Client, client_id)
    now = {
        "first_name": found.first_name,
        "last_name": found.last_name,
        "preferred_name": found.preferred_name,
        "internal_id": found.internal_id,
        "ceiling": found.ceiling,
    }
    return clients.change(practice.sam, client_id, **(now | other))  # type: ignore[arg-type]


def test_a_clinician_knows_of_own_clients_only(practice: Practice, book: Book) -> None:
    book(practice.jane)
    appointments.cancel(practice.anna, book(practice.zoe, actor=practice.anna).id)

    assert names(practice.unlu) == ["Jane Smith"]
    assert names(practice.anna) == ["Zoë O'Brien-García"]
    assert names(practice.sam) == ["Zoë O'Brien-García", "Jane Smith", "Mark Smith"]
    with pytest.raises(NotFound):
        access.client(practice.unlu, practice.zoe)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("smith", ["Jane Smith", "Mark Smith"]),
        ("SMITH ja", ["Jane Smith"]),
        ("1043", ["Mark Smith"]),
        ("garc", ["Zoë O'Brien-García"]),
        ("%", []),
        ("_", []),
        ("\\", []),
        ("' OR 1=1 --", []),
        ("", ["Zoë O'Brien-García", "Jane Smith", "Mark Smith"]),
    ],
)
def test_search_finds_any_name_or_id_and_nothing_by_wildcards(
    practice: Practice, search: str, found: list[str]
) -> None:
    assert names(practice.sam, search) == found


def test_search_tells_a_clinician_nothing_of_others(practice: Practice, book: Book) -> None:
    book(practice.zoe, actor=practice.anna)
    assert names(practice.anna, "Zoë") == ["Zoë O'Brien-García"]

    assert names(practice.unlu, "Zoë") == []


def test_clients_are_kept_by_schedulers_and_administrators(practice: Practice, book: Book) -> None:
    book(practice.jane)
    assert clients.create(practice.sam, first_name="Paula").first_name == "Paula"

    with pytest.raises(Refused):
        clients.create(practice.unlu, first_name="Paula")
    with pytest.raises(Refused):
        clients.change(
            practice.unlu,
            practice.jane,
            first_name="Jane",
            last_name="Doe",
            preferred_name="",
            internal_id="1042",
            ceiling=None,
        )


def test_an_internal_id_is_assigned_by_chance_and_unique(practice: Practice) -> None:
    made = [clients.create(practice.sam, first_name=f"Paula {n}").internal_id for n in range(20)]

    assert len({*made, "1042", "1043", "2001"}) == 23
    assert {len(internal_id) for internal_id in made} == {4}
    assert made != sorted(made)


@pytest.mark.parametrize("internal_id", ["1043", " 1043 ", "ab-7"])
def test_an_internal_id_belongs_to_one_client(practice: Practice, internal_id: str) -> None:
    change(practice, practice.zoe, internal_id="AB-7")
    assert change(practice, practice.jane, internal_id="1042").internal_id == "1042"

    with pytest.raises(Conflict):
        change(practice, practice.jane, internal_id=internal_id)
    with pytest.raises(Conflict):
        clients.create(practice.sam, first_name="Paula", internal_id=internal_id)


@pytest.mark.parametrize("internal_id", ["", "  ", "x" * 21, "1 2", "1\n2", "é", "=1+1", "1;2"])
def test_an_internal_id_is_plain(practice: Practice, internal_id: str) -> None:
    with pytest.raises(Invalid):
        change(practice, practice.jane, internal_id=internal_id)


@pytest.mark.parametrize(
    ("first", "last"), [("", ""), (" \t", "\n"), ("x" * 101, ""), ("Jane", "x" * 101)]
)
def test_a_client_has_a_name_of_moderate_length(practice: Practice, first: str, last: str) -> None:
    with pytest.raises(Invalid):
        clients.create(practice.sam, first_name=first, last_name=last)


def test_names_stand_on_one_line(practice: Practice) -> None:
    made = clients.create(practice.sam, first_name=" Mary \r\n Ann ", last_name="de\tla  Cruz")

    assert (made.first_name, made.last_name) == ("Mary Ann", "de la Cruz")


@pytest.mark.parametrize("name", ["Ja\x00ne", "Ja\x1bne", "\udcffJane", "Jane \x00 ", "Jane\x7f"])
def test_characters_that_nobody_can_see_are_left_out(practice: Practice, name: str) -> None:
    made = clients.create(practice.sam, first_name=name)

    assert made.first_name == "Jane"
    assert names(practice.sam, f"{name} Smith") == ["Jane Smith"]


@pytest.mark.parametrize("name", ["Zoë", "'t Hooft", "Nguyễn", "王小明", "محمد", "👩‍👩‍👧", "X"])
def test_any_name_that_people_have_is_taken(practice: Practice, name: str) -> None:
    assert clients.create(practice.sam, first_name=name).first_name == name


def test_a_command_takes_the_client_of_the_name(practice: Practice, book: Book) -> None:
    clinician_id = practice.unlu.clinician_id
    assert clinician_id is not None
    before = len(names(practice.sam))

    assert clients.find_or_create(COMMAND, "  jane   SMITH ", clinician_id).id == practice.jane
    zoe = clients.find_or_create(COMMAND, "Zoe\u0308 O'Brien-García", clinician_id)
    assert zoe.id == practice.zoe
    assert len(names(practice.sam)) == before
    assert clients.find_or_create(COMMAND, "Cher", clinician_id).last_name == ""
    assert clients.find_or_create(COMMAND, "Mary Ann Lee", clinician_id).first_name == "Mary Ann"


def test_of_two_clients_of_one_name_the_clinicians_own_is_meant(
    practice: Practice, book: Book
) -> None:
    clinician_id = practice.unlu.clinician_id
    assert clinician_id is not None
    clients.create(practice.sam, first_name="Jane", last_name="Smith")
    with pytest.raises(Conflict):
        clients.find_or_create(COMMAND, "Jane Smith", clinician_id)

    book(practice.jane)

    assert clients.find_or_create(COMMAND, "Jane Smith", clinician_id).id == practice.jane


def test_a_clients_own_ceiling_is_kept(practice: Practice) -> None:
    made = clients.create(practice.sam, first_name="Paula", ceiling=DisplayMode.BUSY)
    assert made.ceiling is DisplayMode.BUSY

    assert change(practice, made.id, ceiling=None).ceiling is None
