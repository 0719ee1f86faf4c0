"""One field finds everything that is the actor's to see, and nothing else."""

from datetime import date

import pytest

from sync_ui.domain.event import Kind
from sync_ui.models import Client, db
from sync_ui.services import appointments, clients, duplicates, search
from sync_ui.services.access import Actor
from sync_ui.services.search import Group
from tests import queries
from tests.practice import Book, Clock, Practice


def found(actor: Actor, text: str, limit: int = 5) -> list[tuple[str, str]]:
    return [(hit.group.value, hit.title) for hit in search.find(actor, text, limit)]


def ids(actor: Actor, text: str, group: Group, limit: int = 5) -> list[int]:
    return [hit.id for hit in search.find(actor, text, limit) if hit.group is group]


@pytest.mark.parametrize("text", ["zoe", "ZOË", "garcia", "o’brien", "2001", "zo gar"])
def test_a_client_is_found_by_any_name_or_id(practice: Practice, text: str) -> None:
    assert found(practice.sam, text) == [("client", "Zoë O'Brien-García")]


@pytest.mark.bar("Z5")
def test_a_colleague_finds_no_client_of_another_clinician(practice: Practice, book: Book) -> None:
    book(practice.jane, location="Room 2")
    book(practice.zoe, actor=practice.anna, location="Room 2")
    assert found(practice.unlu, "smith") == [
        ("client", "Jane Smith"),
        ("appointment", "Jane Smith"),
    ]
    assert found(practice.sam, "room 2") == [
        ("appointment", "Jane Smith"),
        ("appointment", "Zoë O'Brien-García"),
    ]

    assert found(practice.anna, "smith") == []
    assert found(practice.anna, "1042") == []
    assert found(practice.anna, "unlu") == []
    assert found(practice.anna, "room 2") == [("appointment", "Zoë O'Brien-García")]
    assert found(practice.anna, "24 nov") == [("appointment", "Zoë O'Brien-García")]


def test_clinicians_are_found_with_their_calendars(practice: Practice, book: Book) -> None:
    own = [("schedule", "Dr. Ünlü"), ("sync", "Dr. Ünlü")]
    assert found(practice.sam, "unlu") == own
    assert found(practice.unlu, "ünlü") == own
    assert ids(practice.sam, "unlu", Group.SYNC) == [int(practice.unlus_calendar)]

    assert found(practice.sam, "smith unlu") == []
    booked = book(practice.jane)
    assert ids(practice.sam, "smith unlu", Group.APPOINTMENT) == [booked.id]


def test_upcoming_appointments_come_first_then_the_latest(
    practice: Practice, book: Book, now: Clock
) -> None:
    days = ("2026-11-30", "2026-11-10", "2026-11-24", "2026-11-20", "2026-12-24")
    booked = {day: book(practice.jane, at=f"{day} 10:00").id for day in days}
    appointments.cancel(practice.unlu, booked["2026-11-30"])
    order = [booked[day] for day in sorted(days[::2])]
    order += [booked["2026-11-20"], booked["2026-11-10"]]

    assert ids(practice.unlu, "jane", Group.APPOINTMENT) == order
    assert ids(practice.unlu, "jane", Group.APPOINTMENT, 4) == order[:4]
    hits = search.find(practice.unlu, "jane", 5)
    assert [hit.gone for hit in hits if hit.group is Group.APPOINTMENT] == [
        False,
        True,
        False,
        False,
        False,
    ]


def test_appointments_are_found_by_title_place_and_day(practice: Practice, book: Book) -> None:
    meeting = book(at="2026-11-24 09:00", kind=Kind.MEETING, title="Équipe").id
    session = book(practice.jane, at="2026-11-25 09:00", location="Main office").id
    off = book(at="2026-11-26 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True).id
    late = book(practice.jane, at="2026-11-24 23:30").id

    def seen(text: str) -> list[int]:
        return ids(practice.unlu, text, Group.APPOINTMENT)

    assert seen("equipe") == [meeting]
    assert seen("main off") == [session]
    assert seen("tomorrow") == [meeting, late]
    assert seen("11/25") == [late, session]
    assert seen("jane wednesday office") == [session]
    assert seen("equipe wednesday") == []
    assert seen("2026-11-26") == [off]
    (hit,) = search.find(practice.unlu, "2026-11-26", 5)
    assert (hit.title, hit.starts_at) == ("Time off", date(2026, 11, 26))


@pytest.mark.parametrize("text", ["", " ", "s", "%", "__", "' OR 1=1 --", "\x00", "x" * 5000])
def test_what_means_nothing_finds_nothing(practice: Practice, book: Book, text: str) -> None:
    book(practice.jane)

    assert found(practice.sam, text) == []


def test_names_that_begin_so_come_first(practice: Practice) -> None:
    for name in ("Juliane", "Janet", "Eliane"):
        clients.create(practice.sam, first_name=name, last_name="Abt")

    titles = [title for _, title in found(practice.sam, "jan")]

    assert titles == ["Janet Abt", "Jane Smith"]
    assert [title for _, title in found(practice.sam, "ane")] == [
        "Eliane Abt",
        "Janet Abt",
        "Juliane Abt",
        "Jane Smith",
    ]


def test_who_left_or_was_merged_is_not_found(practice: Practice, book: Book) -> None:
    twin = clients.create(practice.sam, first_name="Janie", last_name="Smith").id
    booked = book(twin)
    clients.archive(practice.sam, practice.mark)
    assert ids(practice.sam, "smith", Group.CLIENT) == [practice.jane, twin]

    duplicates.merge(practice.sam, practice.jane, twin)

    assert ids(practice.sam, "smith", Group.CLIENT) == [practice.jane]
    assert ids(practice.sam, "jane", Group.APPOINTMENT) == [booked.id]
    assert db.session.get_one(Client, twin).merged_into_id == practice.jane


def test_a_search_asks_as_often_for_many_as_for_few(practice: Practice, book: Book) -> None:
    book(practice.jane, location="Room 2")

    def asked() -> list[int]:
        return [
            queries.number_of(lambda text=text: search.find(practice.sam, text, 20))  # type: ignore[misc]
            for text in ("smith", "smith room", "24 nov")
        ]

    before = asked()
    for day in range(1, 13):
        more = clients.create(practice.sam, first_name=f"Paula {day}", last_name="Smith").id
        book(practice.jane, more, at=f"2026-12-{day:02} 10:00", title=f"No {day}")

    assert asked() == before
    assert max(before) <= 7
