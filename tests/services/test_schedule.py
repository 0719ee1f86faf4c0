from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import event

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import Kind, Status
from sync_ui.errors import NotFound
from sync_ui.models import Holiday, db, transaction
from sync_ui.models import Practice as PracticeRow
from sync_ui.services import appointments, schedule, types
from sync_ui.services.access import Actor
from sync_ui.services.plans import Plan
from tests.practice import Book, Practice

MONDAY = date(2026, 11, 23)


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", hear)
    yield asked
    event.remove(db.engine, "before_cursor_execute", hear)


def move_practice_to(zone: str) -> None:
    with transaction() as session:
        session.get_one(PracticeRow, 1).zone = zone


def add_type(practice: Practice) -> int:
    return types.create(practice.ada, name="Couple", minutes=80, colour=Colour.VIOLET).id


def test_a_slot_tells_what_is_booked(practice: Practice, book: Book) -> None:
    booked = book(
        practice.jane,
        practice.mark,
        type_id=add_type(practice),
        location="Telehealth",
        telehealth_address="https://video.example/room",
        status=Status.NO_SHOW,
    )

    assert schedule.between(practice.unlu, MONDAY, 7) == [
        schedule.Slot(
            id=booked.id,
            clinician_id=practice.unlu.clinician_id or 0,
            clinician="Dr. Ünlü",
            clinician_colour=Colour.TEAL,
            starts=datetime(2026, 11, 24, 10),
            ends=datetime(2026, 11, 24, 10, 50),
            minutes=50,
            all_day=False,
            kind=Kind.SESSION,
            status=Status.NO_SHOW,
            title="",
            clients=("Jane Smith", "Mark Smith"),
            type="Couple",
            type_colour=Colour.VIOLET,
            location="Telehealth",
            telehealth=True,
            repeats=False,
            revision=0,
        )
    ]


def test_a_meeting_has_a_title_and_no_client(practice: Practice, book: Book) -> None:
    book(kind=Kind.MEETING, title="Lunch with Ada")

    (slot,) = schedule.between(practice.unlu, MONDAY, 7)

    assert (slot.title, slot.clients, slot.type, slot.telehealth) == (
        "Lunch with Ada",
        (),
        None,
        False,
    )


@pytest.mark.bar("Z1")
def test_each_sees_the_schedules_that_are_theirs(practice: Practice, book: Book) -> None:
    book(practice.jane)
    book(practice.zoe, actor=practice.anna)

    def seen(actor: Actor, *clinicians: Actor) -> list[str]:
        ids = [who.clinician_id or 0 for who in clinicians]
        return [slot.clinician for slot in schedule.between(actor, MONDAY, 7, ids)]

    everyone = ["Anna Bergström", "Dr. Ünlü"]
    assert seen(practice.sam) == seen(practice.ada) == everyone
    assert seen(practice.sam, practice.unlu, practice.anna) == everyone
    assert seen(practice.sam, practice.anna) == ["Anna Bergström"]
    assert seen(practice.unlu) == seen(practice.unlu, practice.unlu) == ["Dr. Ünlü"]
    for other in ([practice.anna], [practice.unlu, practice.anna]):
        with pytest.raises(NotFound):
            seen(practice.unlu, *other)


@pytest.mark.parametrize("clinician_id", [0, -1, 2**31, 2**63])
def test_what_can_be_no_id_is_no_clinician(practice: Practice, clinician_id: int) -> None:
    with pytest.raises(NotFound):
        schedule.between(practice.sam, MONDAY, 7, [clinician_id])


def test_days_begin_and_end_at_the_practices_midnight(practice: Practice, book: Book) -> None:
    book(at="2026-11-23 23:30", minutes=60)
    book(at="2026-11-24 00:00", minutes=24 * 60, kind=Kind.TIME_OFF, all_day=True)
    book(at="2026-11-25 00:00")

    def seen(day: int) -> list[str]:
        found = schedule.between(practice.unlu, date(2026, 11, day), 1)
        assert found == schedule.on(schedule.between(practice.unlu, MONDAY, 7), date(2026, 11, day))
        return [f"{slot.starts:%d %H:%M}" for slot in found]

    assert [seen(day) for day in (23, 24, 25, 26)] == [
        ["23 23:30"],
        ["23 23:30", "24 00:00"],
        ["25 00:00"],
        [],
    ]


def test_walls_are_those_of_the_practice_wherever_it_was_booked(
    practice: Practice, book: Book
) -> None:
    book(at="2026-11-24 10:00")
    book(at="2026-11-25 00:00", minutes=48 * 60, kind=Kind.TIME_OFF, all_day=True)
    move_practice_to("Asia/Tokyo")

    found = schedule.between(practice.unlu, MONDAY, 7)

    assert [(slot.starts, slot.ends) for slot in found] == [
        (datetime(2026, 11, 25, 0), datetime(2026, 11, 25, 0, 50)),
        (datetime(2026, 11, 25), datetime(2026, 11, 27)),  # days are days
    ]


def test_walls_are_right_on_both_days_of_a_change_of_clocks(practice: Practice, book: Book) -> None:
    for at in ("2026-03-07 10:00", "2026-03-08 10:00", "2026-10-31 10:00", "2026-11-01 10:00"):
        book(at=at)

    found = schedule.between(practice.unlu, date(2026, 3, 7), 2) + schedule.between(
        practice.unlu, date(2026, 10, 31), 2
    )

    assert [f"{slot.starts:%m-%d %H:%M} {slot.ends:%H:%M} {slot.minutes}" for slot in found] == [
        "03-07 10:00 10:50 50",
        "03-08 10:00 10:50 50",
        "10-31 10:00 10:50 50",
        "11-01 10:00 10:50 50",
    ]


def test_nothing_ends_before_it_starts_in_the_hour_that_the_clocks_repeat(
    practice: Practice, book: Book
) -> None:
    late = book(at="2026-11-01 01:30", minutes=50)
    assert late.ends_at - late.starts_at == timedelta(minutes=50)

    (slot,) = schedule.between(practice.unlu, date(2026, 11, 1), 1)

    assert (slot.starts, slot.ends, slot.minutes) == (
        datetime(2026, 11, 1, 1, 30),
        datetime(2026, 11, 1, 2, 20),
        50,
    )


def test_one_query_answers_however_much_is_booked(practice: Practice, book: Book) -> None:
    def asked() -> int:
        db.session.rollback()
        with statements() as heard:
            schedule.between(practice.sam, MONDAY, 7)
        return len(heard)

    book(practice.jane)
    few = asked()
    for day in range(1, 20):
        book(practice.jane, practice.mark, at=f"2026-11-{23 + day % 5} {8 + day // 5:02}:00")
        book(practice.zoe, actor=practice.anna, at=f"2026-11-{23 + day % 5} {8 + day // 5:02}:00")

    assert len(schedule.between(practice.sam, MONDAY, 7)) == 39
    assert few == asked() == 2  # the practice's zone, and what is booked


def test_holidays_that_touch_the_days_are_told(practice: Practice) -> None:
    with transaction() as session:
        session.add_all(
            Holiday(name=name, first_day=date(2026, 11, first), last_day=date(2026, 11, last))
            for name, first, last in [("Retreat", 20, 22), ("Thanksgiving", 26, 27), ("X", 30, 30)]
        )

    assert [day.name for day in schedule.holidays(MONDAY, 7)] == ["Thanksgiving"]
    assert [day.name for day in schedule.holidays(date(2026, 11, 22), 9)] == [
        "Retreat",
        "Thanksgiving",
        "X",
    ]


def test_a_moved_appointment_keeps_its_place_in_one_day(practice: Practice, book: Book) -> None:
    booked = book(practice.jane)
    starts = datetime(2026, 11, 26, 15)
    plan = Plan(starts=starts, ends=starts + timedelta(minutes=50), zone="America/New_York")
    appointments.change(practice.unlu, booked.id, plan)

    (slot,) = schedule.between(practice.unlu, MONDAY, 7)

    assert (slot.id, slot.starts, slot.revision) == (booked.id, starts, 1)
