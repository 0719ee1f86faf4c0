import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, Invalid, NotFound, Refused
from sync_ui.models import Client, db
from sync_ui.services import access, appointments, attendance, clients
from sync_ui.services.access import COMMAND, Actor
from tests import queries
from tests.practice import Book, Clock, Practice


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


@pytest.mark.bar("Z1")
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
        ("GARCÍA", ["Zoë O'Brien-García"]),
        ("zoe", ["Zoë O'Brien-García"]),
        ("o’brien zo", ["Zoë O'Brien-García"]),
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


@pytest.mark.bar("Z5")
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


def test_an_archived_client_is_in_no_list_until_restored(practice: Practice, book: Book) -> None:
    kept = book(practice.jane)
    assert names(practice.unlu) == ["Jane Smith"]

    clients.archive(practice.sam, practice.jane)

    assert names(practice.unlu) == []
    assert names(practice.sam, "Smith") == ["Mark Smith"]
    archived = clients.listed(practice.unlu, archived=True)
    assert [client.name for client in archived] == ["Jane Smith"]
    assert clients.listed(practice.anna, archived=True) == []
    assert access.appointment(practice.unlu, kept.id).clients[0].id == practice.jane

    clients.restore(practice.sam, practice.jane)

    assert names(practice.unlu) == ["Jane Smith"]
    assert clients.listed(practice.sam, archived=True) == []


def test_clients_are_archived_by_schedulers_and_administrators(
    practice: Practice, book: Book
) -> None:
    book(practice.jane)
    with pytest.raises(Refused):
        clients.archive(practice.unlu, practice.jane)
    clients.archive(practice.ada, practice.jane)

    with pytest.raises(Refused):
        clients.restore(practice.unlu, practice.jane)


def test_names_are_in_order_whatever_their_accents(practice: Practice) -> None:
    for last_name in ("Ödegaard", "odell", "Zeta", "Ångström"):
        clients.create(practice.sam, first_name="Paula", last_name=last_name)

    found = [client.last_name for client in clients.listed(practice.sam)]

    assert found == [
        "Ångström",
        "O'Brien-García",
        "Ödegaard",
        "odell",
        "Smith",
        "Smith",
        "Zeta",
    ]


def test_a_record_tells_what_is_to_come_and_what_was(
    practice: Practice, book: Book, now: Clock
) -> None:
    last = book(practice.jane, at="2026-11-16 10:00")
    book(practice.mark, at="2026-11-24 09:00")
    gone = book(practice.jane, at="2026-11-24 10:00")
    appointments.cancel(practice.unlu, gone.id)
    ahead = [book(practice.jane, at=f"2026-12-{day:02} 10:00") for day in range(1, 13)]
    under_way = book(practice.jane, at="2026-11-23 11:30")

    found = attendance.of(practice.unlu, practice.jane)

    assert [each.id for each in found.upcoming] == [under_way.id, *(a.id for a in ahead[:9])]
    assert found.ahead == 13
    assert [each.id for each in found.past] == [last.id]


def test_a_clinician_sees_own_appointments_with_the_client_only(
    practice: Practice, book: Book
) -> None:
    own = book(practice.jane)
    annas = book(practice.jane, actor=practice.anna, at="2026-11-25 10:00")

    def seen(actor: Actor) -> tuple[list[int], int]:
        found = attendance.of(actor, practice.jane)
        return [each.id for each in found.upcoming], found.ahead

    assert seen(practice.sam) == ([own.id, annas.id], 2)
    assert seen(practice.unlu) == ([own.id], 1)
    assert seen(practice.anna) == ([annas.id], 1)


def test_lists_and_records_ask_as_often_for_many_as_for_few(practice: Practice, book: Book) -> None:
    book(practice.jane)

    def asked() -> tuple[int, int]:
        return (
            queries.number_of(lambda: clients.listed(practice.unlu, "s")),
            queries.number_of(lambda: attendance.of(practice.unlu, practice.jane)),
        )

    before = asked()
    for number in range(20):
        more = clients.create(practice.sam, first_name=f"Paula {number}", last_name="Smith")
        book(practice.jane, more.id, at=f"2026-12-{number + 1:02} 10:00")

    assert asked() == before == (1, 3)
